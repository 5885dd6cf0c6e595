//! Which posts users reacted to, as hints: each says that a user may have a reaction on a post. A
//! reader looks at the post.

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use crate::domain::{PostId, UserId};

/// Bytes of a hint, the allocator's overhead included; see [`super::partition`] for the others.
const HINT_BYTES: u64 = 50;
const TEXT_HINT_BYTES: u64 = 130;

/// The hints of one partition. One ordered set for all users takes less than a set for each: most
/// users have few posts in a partition.
#[derive(Debug, Default)]
pub(super) struct GivenIndex {
    integers: BTreeSet<(u64, Uuid)>,
    texts: BTreeSet<(Arc<str>, Uuid)>,
}

impl GivenIndex {
    /// Keeps a hint, or drops it.
    pub(super) fn set(&mut self, user: UserId, post: PostId, has_any: bool) {
        match (user.integer(), has_any) {
            (Some(id), true) => drop(self.integers.insert((id, *post.as_uuid()))),
            (Some(id), false) => drop(self.integers.remove(&(id, *post.as_uuid()))),
            (None, true) => drop(self.texts.insert(text_key(user, post))),
            (None, false) => drop(self.texts.remove(&text_key(user, post))),
        }
    }

    pub(super) fn has(&self, user: UserId, post: PostId) -> bool {
        match user.integer() {
            Some(id) => self.integers.contains(&(id, *post.as_uuid())),
            None => self.texts.contains(&text_key(user, post)),
        }
    }

    /// The posts on which a user may have a reaction.
    pub(super) fn posts(&self, user: UserId) -> Vec<PostId> {
        let post = |id: &Uuid| PostId::try_from(*id).ok();
        match user.integer() {
            Some(id) => {
                let own = self.integers.range((id, Uuid::nil())..=(id, Uuid::max()));
                own.filter_map(|(_, id)| post(id)).collect()
            }
            None => {
                let text: Arc<str> = user.spelled().as_str().into();
                let own = (Arc::clone(&text), Uuid::nil())..=(text, Uuid::max());
                self.texts.range(own).filter_map(|(_, id)| post(id)).collect()
            }
        }
    }

    /// About how many bytes the hints take.
    pub(super) fn bytes(&self) -> u64 {
        let (integers, texts) = (self.integers.len() as u64, self.texts.len() as u64);
        integers * HINT_BYTES + texts * TEXT_HINT_BYTES
    }
}

fn text_key(user: UserId, post: PostId) -> (Arc<str>, Uuid) {
    (user.spelled().as_str().into(), *post.as_uuid())
}
