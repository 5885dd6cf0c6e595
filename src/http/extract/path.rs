//! Ids in the path. They are percent-decoded exactly once.

use axum::extract::{FromRef, FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use super::super::access::Access;
use super::super::problem::{Code, Problem};
use crate::domain::{Add, PostId, Reaction, UserId};
use crate::jobs::JobId;

/// `…/posts/{post_id}/…`
pub(in crate::http) struct PostPath {
    pub(in crate::http) post: PostId,
}

/// `…/posts/{post_id}/reactions/{reaction}/…`
pub(in crate::http) struct ReactionPath {
    pub(in crate::http) post: PostId,
    pub(in crate::http) reaction: Reaction,
}

/// `…/posts/{post_id}/users/{user_id}/reactions`
pub(in crate::http) struct SetPath {
    pub(in crate::http) post: PostId,
    pub(in crate::http) user: UserId,
    /// What the caller may add.
    pub(in crate::http) add: Add,
}

/// `…/users/{user_id}/reactions`
pub(in crate::http) struct UserPath {
    pub(in crate::http) user: UserId,
}

/// `…/posts/{post_id}/reactions/{reaction}/users/{user_id}…`
pub(crate) struct TapPath {
    pub(crate) post: PostId,
    pub(crate) reaction: Reaction,
    pub(crate) user: UserId,
    /// What the caller may add.
    pub(crate) add: Add,
}

impl<S: Send + Sync> FromRequestParts<S> for PostPath
where
    Access: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::read(parts, state).await?;
        let caller = Access::from_ref(state).caller(parts);
        Ok(Self { post: caller.post(params.get("post_id").parse()?)? })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ReactionPath
where
    Access: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::read(parts, state).await?;
        let caller = Access::from_ref(state).caller(parts);
        let post = params.get("post_id").parse()?;
        let reaction = params.get("reaction").parse()?;
        Ok(Self { post: caller.post(post)?, reaction })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SetPath
where
    Access: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::read(parts, state).await?;
        let caller = Access::from_ref(state).caller(parts);
        let post = params.get("post_id").parse()?;
        let user = caller.user(params.get("user_id"))?;
        Ok(Self { post: caller.post(post)?, user, add: caller.add(post) })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for UserPath
where
    Access: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::read(parts, state).await?;
        let caller = Access::from_ref(state).caller(parts);
        let user = caller.user(params.get("user_id"))?;
        caller.all_posts()?;
        Ok(Self { user })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TapPath
where
    Access: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::read(parts, state).await?;
        let caller = Access::from_ref(state).caller(parts);
        let post = params.get("post_id").parse()?;
        let reaction = params.get("reaction").parse()?;
        let user = caller.user(params.get("user_id"))?;
        Ok(Self { post: caller.post(post)?, reaction, user, add: caller.add(post) })
    }
}

/// `…/jobs/{job_id}…`; None for a text that no job has for its name.
pub(in crate::http) struct JobPath {
    pub(in crate::http) job: Option<JobId>,
}

impl<S: Send + Sync> FromRequestParts<S> for JobPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state).await.ok().map(Params);
        Ok(Self { job: params.and_then(|params| params.get("job_id").parse().ok()) })
    }
}

struct Params(RawPathParams);

impl Params {
    async fn read<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match RawPathParams::from_request_parts(parts, state).await {
            Ok(params) => Ok(Self(params)),
            // A route with parameters fails here only for bytes that are not UTF-8.
            Err(_) => Err(not_utf8(parts.uri.path())),
        }
    }

    /// A parameter of the route. An absent one is the empty text, which no parser accepts.
    fn get(&self, name: &str) -> &str {
        self.0.iter().find_map(|(key, value)| (key == name).then_some(value)).unwrap_or_default()
    }
}

/// A problem that names the first segment that is not UTF-8 once decoded.
fn not_utf8(path: &str) -> Problem {
    let mut kind = "";
    for segment in path.split('/') {
        if percent_encoding::percent_decode_str(segment).decode_utf8().is_err() {
            break;
        }
        kind = segment;
    }
    let code = match kind {
        "posts" => Code::InvalidPostId,
        "users" => Code::InvalidUserId,
        _ => Code::InvalidReaction,
    };
    Problem::new(
        code,
        "the percent-encoded bytes of the path are not UTF-8; encode the UTF-8 bytes, as in %F0%9F%91%8D",
    )
}
