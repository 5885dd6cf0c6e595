//! Who the callers are.
//!
//! This release takes no tokens: it believes every user id, and nobody is `me`. Extractors ask here
//! about each user that a request names. So tokens and permissions will have one place, and which
//! ids users have has one place.

use axum::http::request::Parts;

use super::dto::UserIdJson;
use super::problem::{Code, Problem};
use crate::domain::{UserId, UserIds};

/// How the service knows its callers, and which ids users have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Access(UserIds);

/// The caller of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller(UserIds);

impl Access {
    /// Users have ids of this kind.
    pub fn new(ids: UserIds) -> Self {
        Self(ids)
    }

    /// Who sent a request.
    pub(super) fn caller(self, _: &Parts) -> Caller {
        Caller(self.0)
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
        Ok(self.0.parse(text)?)
    }

    /// The same in JSON, where an integer id may be a number.
    pub(super) fn user_in_json(self, id: UserIdJson) -> Result<UserId, Problem> {
        match (id, self.0) {
            (UserIdJson::Number(number), UserIds::Text) => {
                let detail = format!(
                    "user ids are texts here, and this one is a number: send it as a string, \
                     \"{number}\""
                );
                Err(Problem::new(Code::InvalidUserId, detail))
            }
            (id, _) => self.user(&id.into_text()),
        }
    }
}
