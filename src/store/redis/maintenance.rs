//! PLACEHOLDER

use crate::domain::{Amended, Amendment, Reaction, UserId};
use crate::store::{
    Audited, Deadline, Document, DocumentWrite, Given, GivenPage, Maintenance, StoreError,
    WalkCursor, WalkPage, WalkedPost,
};

use super::RedisStore;

fn not_built() -> StoreError {
    StoreError::Unavailable("not built yet".into())
}

impl Maintenance for RedisStore {
    async fn amend(
        &self,
        amendments: Vec<Amendment>,
        _deadline: Deadline,
    ) -> Vec<Result<Amended, StoreError>> {
        amendments.iter().map(|_| Err(not_built())).collect()
    }

    async fn walk(
        &self,
        _after: Option<WalkCursor>,
        _limit: usize,
        _deadline: Deadline,
    ) -> Result<WalkPage, StoreError> {
        Err(not_built())
    }

    async fn given(
        &self,
        _user: UserId,
        _after: Option<Given>,
        _limit: usize,
        _deadline: Deadline,
    ) -> Result<GivenPage, StoreError> {
        Err(not_built())
    }

    async fn audit(
        &self,
        _post: WalkedPost,
        _indexed: Vec<(Reaction, UserId)>,
        _repair: bool,
        _deadline: Deadline,
    ) -> Result<Audited, StoreError> {
        Err(not_built())
    }

    async fn document(
        &self,
        _name: &str,
        _deadline: Deadline,
    ) -> Result<Option<Document>, StoreError> {
        Err(not_built())
    }

    async fn write_document(
        &self,
        _write: DocumentWrite,
        _deadline: Deadline,
    ) -> Result<bool, StoreError> {
        Err(not_built())
    }
}
