//! A post as one step finds it, for [`decide()`](crate::domain::decide()).

use redb::ReadableTable;

use super::FileError;
use super::file_error::FileResult;
use super::keys::{self, Set};
use super::values::{Counted, Head};
use crate::domain::{Look, Micros, Partition, PostId, PostLook, Reaction, Revision, Rules, UserId};

/// With up to this many members, each step counts them, so that no error in a stored count lasts.
/// With more, the stored count moves by one, in the transaction that adds or removes the member.
const COUNTED: usize = 64;

/// A post before a step.
#[derive(Debug)]
pub(super) struct Seen<'a, P> {
    posts: &'a P,
    pub(super) post: PostId,
    /// Of a post without state: the floor, and a generation of its own.
    pub(super) head: Head,
    pub(super) has_state: bool,
    /// Whether the file has no entry of the post at all, so that nobody has to look for one.
    pub(super) is_absent: bool,
}

/// A post and the user of a tap.
#[derive(Debug)]
pub(super) struct SeenByUser<'a, P>(pub(super) &'a Seen<'a, P>, pub(super) UserId);

impl<'a, P: ReadableTable<&'static [u8], &'static [u8]>> Seen<'a, P> {
    pub(super) fn look(
        posts: &'a P,
        meta: &impl ReadableTable<&'static str, u64>,
        post: PostId,
    ) -> FileResult<Self> {
        let stored = posts.get(&keys::head(post)[..])?;
        let has_state = stored.is_some();
        let head = match stored.map(|found| Head::decode(found.value())).transpose()? {
            Some(head) => head,
            None => Head {
                revision: floor(meta, post.partition())?,
                generation: first_generation(posts, post)?,
                rules: Rules::default(),
            },
        };
        Ok(Self { posts, post, head, has_state, is_absent: false })
    }

    /// As [`Seen::look`], for a step that looks for many members: an import brings mostly posts of
    /// which the file has nothing yet.
    pub(super) fn look_for_many(
        posts: &'a P,
        meta: &impl ReadableTable<&'static str, u64>,
        post: PostId,
    ) -> FileResult<Self> {
        let seen = Self::look(posts, meta, post)?;
        if seen.has_state {
            return Ok(seen);
        }
        let (from, end) = (keys::head(post), keys::behind(post));
        let is_absent = posts.range::<&[u8]>(&from[..]..&end[..])?.next().is_none();
        Ok(Self { is_absent, ..seen })
    }

    /// The set of a reaction's members.
    pub(super) fn set(&self, reaction: &Reaction) -> FileResult<Set> {
        let generation = match self.head.generation {
            // All sets of the post are of that generation.
            0 => 0,
            own => self.counted(reaction)?.map_or(own, |counted| counted.generation),
        };
        Ok(Set { post: self.post, reaction: reaction.clone(), generation })
    }

    /// When a user gave a reaction; None if the user does not have it.
    pub(super) fn since(&self, user: UserId, reaction: &Reaction) -> FileResult<Option<Micros>> {
        if self.is_absent {
            return Ok(None);
        }
        let found = self.posts.get(&self.set(reaction)?.member(user)[..])?;
        let since = found.map(|found| keys::number(found.value(), "member")).transpose()?;
        Ok(since.map(Micros))
    }

    fn counted(&self, reaction: &Reaction) -> FileResult<Option<Counted>> {
        let found = self.posts.get(&keys::count(self.post, reaction)[..])?;
        found.map(|found| Counted::decode(found.value())).transpose()
    }

    /// The count that readers see.
    fn shown(&self, reaction: &Reaction) -> FileResult<u64> {
        Ok(self.counted(reaction)?.map_or(0, |counted| counted.count))
    }

    /// The number of members: counted, or the stored count if there are too many to count.
    pub(super) fn size(&self, reaction: &Reaction) -> FileResult<u64> {
        if self.is_absent {
            return Ok(0);
        }
        let (from, end) = self.set(reaction)?.orders();
        let mut counted = 0;
        for member in self.posts.range::<&[u8]>(&from[..]..&end[..])?.take(COUNTED + 1) {
            member?;
            counted += 1;
        }
        if counted > COUNTED as u64 { Ok(counted.max(self.shown(reaction)?)) } else { Ok(counted) }
    }

    /// The reactions of the post, by the counts that readers see, at most this many.
    pub(super) fn kinds(&self, most: usize) -> FileResult<Vec<Reaction>> {
        let (from, end) = keys::counts(self.post);
        let found = self.posts.range::<&[u8]>(&from[..]..&end[..])?.take(most);
        found.map(|entry| keys::reaction_of_count(entry?.0.value())).collect()
    }
}

/// A post, and the floor of its partition, as an amendment finds them.
pub(super) struct SeenByAll<'a, P> {
    pub(super) seen: &'a Seen<'a, P>,
    pub(super) floor: Revision,
}

impl<P: ReadableTable<&'static [u8], &'static [u8]>> PostLook for SeenByAll<'_, P> {
    type Error = FileError;

    fn revision(&self) -> FileResult<Option<Revision>> {
        Ok(self.seen.has_state.then_some(self.seen.head.revision))
    }

    fn floor(&self) -> FileResult<Revision> {
        Ok(self.floor)
    }

    fn rules(&self) -> FileResult<Rules> {
        Ok(self.seen.head.rules.clone())
    }

    fn kinds(&self, most: usize) -> FileResult<Vec<Reaction>> {
        self.seen.kinds(most)
    }

    fn members(&self, reaction: &Reaction) -> FileResult<u64> {
        self.seen.size(reaction)
    }

    fn since(&self, user: UserId, reaction: &Reaction) -> FileResult<Option<Micros>> {
        self.seen.since(user, reaction)
    }
}

/// The revision of a partition's posts without state.
pub(super) fn floor(
    meta: &impl ReadableTable<&'static str, u64>,
    partition: Partition,
) -> FileResult<Revision> {
    let number = |name: &str| Ok::<_, redb::StorageError>(meta.get(name)?.map(|n| n.value()));
    Ok(Revision(number(keys::META_FLOOR)?.max(number(&keys::floor(partition))?).unwrap_or(0)))
}

/// The generation of the first set of a post without state: the post may have sets that are
/// forgotten and not freed.
fn first_generation(
    posts: &impl ReadableTable<&'static [u8], &'static [u8]>,
    post: PostId,
) -> FileResult<u64> {
    let (from, end) = keys::forgotten_sets(post);
    let last = posts.range::<&[u8]>(&from[..]..&end[..])?.next_back().transpose()?;
    let last = last.map(|(key, _)| Set::of_forgotten(key.value())).transpose()?;
    Ok(last.map_or(0, |set| set.generation + 1))
}

impl<P: ReadableTable<&'static [u8], &'static [u8]>> Look for SeenByUser<'_, P> {
    type Error = FileError;

    fn revision(&self) -> FileResult<Revision> {
        Ok(self.0.head.revision)
    }

    fn rules(&self) -> FileResult<Rules> {
        Ok(self.0.head.rules.clone())
    }

    fn kinds(&self) -> FileResult<Vec<Reaction>> {
        self.0.kinds(usize::MAX)
    }

    fn count_kinds(&self, enough: usize) -> FileResult<usize> {
        self.0.kinds(enough).map(|kinds| kinds.len())
    }

    fn has(&self, reaction: &Reaction) -> FileResult<bool> {
        Ok(self.0.since(self.1, reaction)?.is_some())
    }

    fn members(&self, reaction: &Reaction) -> FileResult<u64> {
        self.0.size(reaction)
    }

    fn shown(&self, reaction: &Reaction) -> FileResult<u64> {
        self.0.shown(reaction)
    }
}
