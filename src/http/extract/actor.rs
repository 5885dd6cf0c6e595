//! The `Onetap-Actor` header: the moderator in whose name a request acts.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderName;
use axum::http::request::Parts;

use super::super::access::Access;
use super::super::problem::{Code, Problem};
use crate::domain::UserId;

/// The name of the header.
pub(in crate::http) const ONETAP_ACTOR: HeaderName = HeaderName::from_static("onetap-actor");

/// The moderator that the caller names. A service that authenticates callers believes service keys
/// alone, an open one everybody.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct ActorHeader(Option<UserId>);

impl ActorHeader {
    /// The moderator, if the request names one.
    pub(in crate::http) fn moderator(self) -> Option<UserId> {
        self.0
    }

    /// The moderator that acts on a user's reactions. Users who name themselves just tap.
    pub(in crate::http) fn besides(self, user: UserId) -> Option<UserId> {
        self.moderator().filter(|actor| *actor != user)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ActorHeader
where
    Access: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(ONETAP_ACTOR).iter();
        let Some(value) = values.next() else { return Ok(Self(None)) };
        if values.next().is_some() {
            let detail = "the header Onetap-Actor is there twice; name one moderator";
            return Err(Problem::new(Code::InvalidUserId, detail));
        }
        // Bytes that are not ASCII are no user id either.
        let text = value.to_str().unwrap_or_default();
        let caller = Access::from_ref(state).caller(parts);
        Ok(Self(Some(caller.actor(text).map_err(Problem::of_actor)?)))
    }
}
