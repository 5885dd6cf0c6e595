//! An entry of the change log as memory keeps it: small, because there are many. An id in a
//! [`Change`] has room for 64 bytes of text; here an integer takes eight, and a text what it needs.

use super::{LogEntry, LogPosition};
use crate::domain::{Cause, Change, Micros, PostId, Reaction, Revision, UserId, What};

/// An entry.
#[derive(Debug)]
pub(super) struct KeptEntry {
    pub(super) position: LogPosition,
    pub(super) occurred_at: Micros,
    post: PostId,
    revision: Revision,
    what: KeptWhat,
    actor: Option<KeptUser>,
}

#[derive(Debug)]
enum KeptWhat {
    Reaction {
        user: KeptUser,
        reaction: Reaction,
        active: bool,
        cause: Cause,
    },
    /// What is rare.
    Other(Box<What>),
}

#[derive(Debug)]
enum KeptUser {
    Integer(u64),
    Text(Box<str>),
}

impl KeptUser {
    fn of(user: UserId) -> Self {
        match user.integer() {
            Some(id) => Self::Integer(id),
            None => Self::Text(user.spelled().as_str().into()),
        }
    }

    fn id(&self) -> UserId {
        match self {
            Self::Integer(id) => (*id).try_into(),
            Self::Text(text) => text.parse(),
        }
        .expect("it was a user id")
    }
}

impl KeptEntry {
    pub(super) fn of(position: LogPosition, change: Change) -> Self {
        let Change { post, what, revision, occurred_at, actor } = change;
        let what = match what {
            What::Reaction { user, reaction, active, cause } => {
                KeptWhat::Reaction { user: KeptUser::of(user), reaction, active, cause }
            }
            other => KeptWhat::Other(Box::new(other)),
        };
        Self { position, occurred_at, post, revision, what, actor: actor.map(KeptUser::of) }
    }

    /// How many of its ids are texts.
    pub(super) fn text_ids(&self) -> u64 {
        let user = match &self.what {
            KeptWhat::Reaction { user, .. } => Some(user),
            KeptWhat::Other(_) => None,
        };
        let ids = [user, self.actor.as_ref()].into_iter().flatten();
        ids.filter(|id| matches!(id, KeptUser::Text(_))).count() as u64
    }

    pub(super) fn entry(&self) -> LogEntry {
        let Self { position, occurred_at, post, revision, .. } = *self;
        let what = match &self.what {
            KeptWhat::Reaction { user, reaction, active, cause } => What::Reaction {
                user: user.id(),
                reaction: reaction.clone(),
                active: *active,
                cause: *cause,
            },
            KeptWhat::Other(what) => (**what).clone(),
        };
        let actor = self.actor.as_ref().map(KeptUser::id);
        LogEntry { position, change: Change { post, what, revision, occurred_at, actor } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_small_and_comes_back_whole() {
        assert!(size_of::<KeptEntry>() <= 120, "{}", size_of::<KeptEntry>());
        let position = LogPosition { millis: 1, sequence: 2 };
        let post = "0192f0c1-2345-7890-abcd-ef0123456789".parse().expect("a post id");
        for (user, actor) in [("7", None), ("7", Some("9")), ("a@b", Some("="))] {
            let reaction = "like".parse().expect("a reaction");
            let user = user.parse().expect("a user id");
            let actor = actor.and_then(|actor| actor.parse().ok());
            let flag = What::Reaction { user, reaction, active: true, cause: Cause::Tap };
            for what in [flag, What::Locked(true)] {
                let (revision, occurred_at) = (Revision(3), Micros(4));
                let change = Change { post, what, revision, occurred_at, actor };
                let entry = LogEntry { position, change: change.clone() };
                assert_eq!(KeptEntry::of(position, change).entry(), entry);
            }
        }
    }
}
