//! What differs between an input and a store: both sorted by post, user and reaction, side by side.

use serde::Serialize;

use super::export::{Exported, Moved};
use super::outward::Reader;
use super::posts::Posts;
use super::row::{Line, Row};
use super::sorted::Sorted;
use crate::domain::{Micros, PostId, Reaction, UserId};

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The post.
    pub post: PostId,
    /// The user.
    pub user: UserId,
    /// The reaction.
    pub reaction: Reaction,
    /// The time in the input; None if it is not there, or is off.
    pub input: Option<Micros>,
    /// The time in the store; None if it is not there.
    pub store: Option<Micros>,
}

/// How many there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// In the input alone.
    pub missing: u64,
    /// In the store alone.
    pub extra: u64,
    /// In both, with another time.
    pub time: u64,
    /// In both, with the same time.
    pub same: u64,
}

#[derive(Serialize)]
struct DifferenceJson<'a> {
    differs: &'static str,
    post_id: String,
    user_id: String,
    reaction: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<String>,
}

impl Difference {
    fn kind(&self) -> &'static str {
        match (self.input, self.store) {
            (Some(_), None) => "missing",
            (None, _) => "extra",
            (Some(_), Some(_)) => "time",
        }
    }

    /// A line of JSON, without its end.
    pub fn line(&self) -> String {
        let line = DifferenceJson {
            differs: self.kind(),
            post_id: self.post.to_string(),
            user_id: self.user.to_string(),
            reaction: self.reaction.as_str(),
            input: self.input.map(|at| at.to_string()),
            store: self.store.map(|at| at.to_string()),
        };
        serde_json::to_string(&line).unwrap_or_default()
    }
}

impl Differences {
    /// How many differences there are.
    pub fn all(&self) -> u64 {
        self.missing + self.extra + self.time
    }
}

type Member = (PostId, UserId, Reaction);

/// The members of an input that are on, each once.
struct Wanted(Posts);

impl Wanted {
    fn next(&mut self) -> std::io::Result<Option<Row>> {
        while let Some(key) = self.0.member()? {
            match self.0.line(&key)? {
                Line::Member(row) if row.active => return Ok(Some(row)),
                // The rules of posts are not compared; a row that is off is as good as none.
                Line::Member(_) | Line::Rules(..) => {}
            }
        }
        Ok(None)
    }
}

/// The members of a store.
struct Held {
    store: Reader,
    part: std::vec::IntoIter<Exported>,
}

impl Held {
    fn next(&mut self) -> Option<Moved> {
        loop {
            match self.part.next() {
                Some(Exported::Member(moved)) => return Some(moved),
                Some(Exported::Rules(..) | Exported::Forgotten(..)) => {}
                None => self.part = self.store.part()?.into_iter(),
            }
        }
    }
}

/// Compares, on a thread that may wait. `found` gets each difference; false ends it.
pub(crate) fn compare(
    keys: Sorted,
    store: Reader,
    mut found: impl FnMut(&Difference) -> bool,
) -> std::io::Result<Differences> {
    let mut wanted = Wanted(Posts::of(keys));
    let mut differences = Differences::default();
    let mut held = Held { store, part: Vec::new().into_iter() };
    let (mut want, mut have) = (wanted.next()?, held.next());
    let member = |row: &Row| -> Member { (row.post, row.user, row.reaction.clone()) };
    let member_of = |moved: &Moved| -> Member {
        (moved.post, moved.reactor.user, moved.reactor.reaction.clone())
    };
    loop {
        let (wants, has) = (want.as_ref().map(member), have.as_ref().map(member_of));
        let order = match (&wants, &has) {
            (None, None) => return Ok(differences),
            // What did not come is not missing; the caller has the reason.
            (Some(_), None) if held.store.has_failed() => return Ok(differences),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(wants), Some(has)) => wants.cmp(has),
        };
        let input = want.as_ref().filter(|_| order.is_le()).map(|row| row.at);
        let stored = have.as_ref().filter(|_| order.is_ge()).map(|moved| moved.reactor.reacted_at);
        match (input, stored) {
            (Some(input), Some(stored)) if input == stored => differences.same += 1,
            (Some(_), Some(_)) => differences.time += 1,
            (Some(_), None) => differences.missing += 1,
            (None, _) => differences.extra += 1,
        }
        if input != stored
            && let Some((post, user, reaction)) = if order.is_le() { wants } else { has }
        {
            let difference = Difference { post, user, reaction, input, store: stored };
            if !found(&difference) {
                return Ok(differences);
            }
        }
        if order.is_le() {
            want = wanted.next()?;
        }
        if order.is_ge() {
            have = held.next();
        }
    }
}
