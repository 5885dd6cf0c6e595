//! The trait `Maintenance` of the memory store.

use super::{MemoryStore, Room};
use crate::domain::{Amended, Amendment, Partition, PostId, Reaction, UserId};
use crate::store::maintenance::check_edits;
use crate::store::{
    Audited, Deadline, Document, DocumentWrite, Given, GivenPage, Maintenance, StoreError,
    WalkCursor, WalkPage, WalkedPost, now,
};

/// After so many partitions a read yields, so that no tap waits for it.
const STRETCH: usize = 16;

impl Maintenance for MemoryStore {
    async fn amend(
        &self,
        amendments: Vec<Amendment>,
        deadline: Deadline,
    ) -> Vec<Result<Amended, StoreError>> {
        let mut answers = Vec::with_capacity(amendments.len());
        for amendment in amendments {
            let answer = check_edits(&amendment).and_then(|()| {
                self.step(amendment.post, deadline, |partition, room| {
                    let before = partition.log_end();
                    let amended = partition.amend(&amendment, now(), room)?;
                    Ok((amended, before != partition.log_end()))
                })
            });
            answers.push(answer.map(|(amended, changed)| {
                if changed {
                    self.written.tell(amendment.post.partition());
                }
                amended
            }));
            tokio::task::yield_now().await;
        }
        answers
    }

    async fn walk(
        &self,
        after: Option<WalkCursor>,
        limit: usize,
        _deadline: Deadline,
    ) -> Result<WalkPage, StoreError> {
        let (mut first, mut after) = match after {
            None => (0, None),
            Some(cursor) => read(&cursor).ok_or_else(WalkCursor::odd)?,
        };
        let limit = limit.max(1);
        let mut posts: Vec<WalkedPost> = Vec::new();
        for partition in Partition::all().skip(first) {
            let wanted = limit - posts.len();
            let found = self.on(partition, |state| state.walk(after, wanted));
            let full = found.len() == wanted;
            after = found.last().copied();
            let found = found.into_iter();
            posts.extend(found.map(|post| WalkedPost { post, own: true, seen: Vec::new() }));
            if full {
                let next = after.map(|last| cursor(partition.index(), last));
                return Ok(WalkPage { posts, damaged: Vec::new(), next });
            }
            (first, after) = (first + 1, None);
            if first.is_multiple_of(STRETCH) {
                tokio::task::yield_now().await;
            }
        }
        Ok(WalkPage { posts, damaged: Vec::new(), next: None })
    }

    async fn given(
        &self,
        user: UserId,
        after: Option<Given>,
        limit: usize,
        _deadline: Deadline,
    ) -> Result<GivenPage, StoreError> {
        let mut found: Vec<Given> = Vec::new();
        for partition in Partition::all() {
            found.extend(self.on(partition, |state| state.given(user, after.as_ref())));
            if (partition.index() + 1).is_multiple_of(STRETCH) {
                found.sort_unstable_by(|a, b| b.cmp(a));
                found.truncate(limit + 1);
                tokio::task::yield_now().await;
            }
        }
        Ok(GivenPage::cut(found, limit))
    }

    async fn audit(
        &self,
        post: WalkedPost,
        indexed: Vec<(Reaction, UserId)>,
        repair: bool,
        deadline: Deadline,
    ) -> Result<Audited, StoreError> {
        self.step(post.post, deadline, |partition, _| {
            Ok(partition.audit(post.post, &indexed, repair, now()))
        })
    }

    /// In memory, nothing but the index can disagree.
    async fn audit_index(
        &self,
        post: PostId,
        indexed: Vec<(Reaction, UserId)>,
        repair: bool,
        deadline: Deadline,
    ) -> Result<Audited, StoreError> {
        let walked = WalkedPost { post, own: false, seen: Vec::new() };
        self.audit(walked, indexed, repair, deadline).await
    }

    async fn document(
        &self,
        name: &str,
        _deadline: Deadline,
    ) -> Result<Option<Document>, StoreError> {
        Ok(self.documents.lock().read(name, now()))
    }

    async fn write_document(
        &self,
        write: DocumentWrite,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        write.check()?;
        let has_room = self.room() > Room::None;
        let mut documents = self.documents.lock();
        if deadline.has_passed() {
            return Err(StoreError::too_late());
        }
        let before = documents.bytes();
        let written = documents.write(write, now(), has_room);
        self.account(before, documents.bytes());
        written
    }
}

/// The place behind a post in the order of partitions and ids.
fn cursor(partition: usize, post: PostId) -> WalkCursor {
    WalkCursor(format!("{partition}:{post}"))
}

fn read(cursor: &WalkCursor) -> Option<(usize, Option<PostId>)> {
    let (partition, post) = cursor.0.split_once(':')?;
    Some((partition.parse().ok()?, Some(post.parse().ok()?)))
}
