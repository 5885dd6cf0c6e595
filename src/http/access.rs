//! Who the callers are.
//!
//! This release takes no tokens: it believes every user id, and nobody is `me`. Extractors ask here
//! about each user that a request names. So tokens and permissions will have one place.

use axum::http::request::Parts;

use super::problem::{Code, Problem};
use crate::domain::UserId;

/// How the service knows its callers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Access(());

/// The caller of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller(());

impl Access {
    /// Who sent a request.
    pub(super) fn caller(self, _: &Parts) -> Caller {
        Caller(())
    }
}

impl Caller {
    /// The user that a path, a query or a body names: an id, or `me`.
    pub(super) fn user(self, text: &str) -> Result<UserId, Problem> {
        if text == "me" {
            let detail =
                "`me` is the user of a token, and this service takes none yet; send the user id";
            return Err(Problem::new(Code::Unauthenticated, detail));
        }
        Ok(text.parse()?)
    }
}
