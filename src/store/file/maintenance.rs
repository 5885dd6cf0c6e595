//! The trait `Maintenance` of the file store.

use redb::ReadTransaction;

use super::audit::Asked;
use super::writer::{Answer, Write};
use super::{FileStore, audit, listings};
use crate::domain::{Amended, Amendment, PostId, Reaction, UserId};
use crate::store::{
    Audited, Deadline, Document, DocumentWrite, Given, GivenPage, Maintenance, StoreError,
    WalkCursor, WalkPage, WalkedPost, now,
};

impl FileStore {
    /// Compares in a read, so that a large post stops no tap. Only if something does not agree, the
    /// writer compares again and repairs.
    async fn compare(
        &self,
        asked: Asked,
        repair: bool,
        deadline: Deadline,
    ) -> Result<Audited, StoreError> {
        let read = asked.clone();
        let look = move |txn: &ReadTransaction| audit::audit(txn, &read);
        let audited = self.0.shared.read_much(deadline, look).await?;
        if audited.drift.is_empty() || !repair {
            return Ok(audited);
        }
        match self.write(Write::Repair(asked), deadline).await? {
            Answer::Audited(audited) => Ok(audited),
            _ => Err(StoreError::OutcomeUnknown),
        }
    }
}

impl Maintenance for FileStore {
    /// All amendments of a call share one commit, so the caller decides for how long taps wait.
    async fn amend(
        &self,
        amendments: Vec<Amendment>,
        deadline: Deadline,
    ) -> Vec<Result<Amended, StoreError>> {
        let number = amendments.len();
        if number == 0 {
            return Vec::new();
        }
        match self.write(Write::Amend(amendments), deadline).await {
            Ok(Answer::Amended(answers)) => answers,
            Ok(_) => vec![Err(StoreError::OutcomeUnknown); number],
            Err(error) => vec![Err(error); number],
        }
    }

    async fn walk(
        &self,
        after: Option<WalkCursor>,
        limit: usize,
        deadline: Deadline,
    ) -> Result<WalkPage, StoreError> {
        let after = after.map(|cursor| cursor.0.parse()).transpose();
        let after = after.map_err(|_| WalkCursor::odd())?;
        let look = move |txn: &ReadTransaction| listings::walk(txn, after, limit);
        self.0.shared.read_much(deadline, look).await
    }

    async fn given(
        &self,
        user: UserId,
        after: Option<Given>,
        limit: usize,
        deadline: Deadline,
    ) -> Result<GivenPage, StoreError> {
        let look =
            move |txn: &ReadTransaction| listings::given(txn, user, after.as_ref(), limit + 1);
        let found = self.0.shared.read_much(deadline, look).await?;
        Ok(GivenPage::cut(found, limit))
    }

    async fn audit(
        &self,
        post: WalkedPost,
        indexed: Vec<(Reaction, UserId)>,
        repair: bool,
        deadline: Deadline,
    ) -> Result<Audited, StoreError> {
        let asked = Asked { post: post.post, indexed, whole: true };
        self.compare(asked, repair, deadline).await
    }

    async fn audit_index(
        &self,
        post: PostId,
        indexed: Vec<(Reaction, UserId)>,
        repair: bool,
        deadline: Deadline,
    ) -> Result<Audited, StoreError> {
        self.compare(Asked { post, indexed, whole: false }, repair, deadline).await
    }

    async fn document(
        &self,
        name: &str,
        deadline: Deadline,
    ) -> Result<Option<Document>, StoreError> {
        let look = |txn: &ReadTransaction| listings::document(txn, name, now());
        self.0.shared.read_in_time(deadline, look).await
    }

    async fn write_document(
        &self,
        write: DocumentWrite,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        write.check()?;
        match self.write(Write::Document(write), deadline).await? {
            Answer::Document(written) => Ok(written),
            _ => Err(StoreError::OutcomeUnknown),
        }
    }
}
