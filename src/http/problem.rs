//! Every error that a caller can get, in one shape: problem details (RFC 9457) with a stable code.

use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{InvalidPostId, InvalidReaction, InvalidUserId, Refusal};
use crate::live::Refused;
use crate::rate_limit::Exceeded;
use crate::store::{ReadOnly, StoreError};

macro_rules! codes {
    ($($name:ident $text:literal $status:ident $title:literal;)*) => {
        /// What went wrong, for machines. A code never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $(#[doc = $title] $name),* }

        impl Code {
            /// Every code there is.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as answers spell it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The status that goes with it.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status),* }
            }

            fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }
        }
    };
}

codes! {
    InvalidPostId "invalid_post_id" BAD_REQUEST "Not a post id";
    InvalidUserId "invalid_user_id" BAD_REQUEST "Not a user id";
    InvalidReaction "invalid_reaction" BAD_REQUEST "Not a reaction";
    InvalidBody "invalid_body" BAD_REQUEST "The body is not what this call takes";
    InvalidQuery "invalid_query" BAD_REQUEST "The query is not what this call takes";
    InvalidCursor "invalid_cursor" BAD_REQUEST "Not a cursor of this list";
    InvalidHost "invalid_host" BAD_REQUEST "Not a host";
    InvalidIdempotencyKey "invalid_idempotency_key" BAD_REQUEST "Not an idempotency key";
    Unauthenticated "unauthenticated" UNAUTHORIZED "Nobody is signed in";
    Forbidden "forbidden" FORBIDDEN "This is not allowed";
    ForeignHost "foreign_host" FORBIDDEN "The service does not answer to this name";
    ReactionsLocked "reactions_locked" FORBIDDEN "Nothing may be added to this post";
    NotFound "not_found" NOT_FOUND "There is nothing at this path";
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "This path does not take this method";
    RequestTimeout "request_timeout" REQUEST_TIMEOUT "The request took too long to arrive";
    BodyTooLarge "body_too_large" PAYLOAD_TOO_LARGE "The body is too large";
    CursorExpired "cursor_expired" GONE "The change log no longer goes back so far";
    UriTooLong "uri_too_long" URI_TOO_LONG "The address is too long";
    UnsupportedMediaType "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE "The Content-Type is not JSON";
    Internal "internal_error" INTERNAL_SERVER_ERROR "A bug of the service";
    IdempotencyKeyReused "idempotency_key_reused" UNPROCESSABLE_ENTITY "The idempotency key was used for another request";
    ReactionNotAllowed "reaction_not_allowed" UNPROCESSABLE_ENTITY "This reaction may not be added here";
    TooManyReactions "too_many_reactions" UNPROCESSABLE_ENTITY "Too many reactions";
    RateLimited "rate_limited" TOO_MANY_REQUESTS "Too many requests; nothing was applied";
    Overloaded "overloaded" SERVICE_UNAVAILABLE "Too much is waiting; nothing was applied";
    StoreUnavailable "store_unavailable" SERVICE_UNAVAILABLE "The store is not available; nothing was applied";
    ReadOnly "read_only" SERVICE_UNAVAILABLE "Writes are refused for now; nothing was applied";
    StoreDamaged "store_damaged" SERVICE_UNAVAILABLE "The store holds foreign data; nothing was applied";
    OutcomeUnknown "outcome_unknown" GATEWAY_TIMEOUT "The tap may have been applied; it will not be applied later";
}

/// Seconds after which a caller may retry when the store was not available.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// The same while writes are refused: that takes longer.
const RETRY_AFTER_A_WINDOW: HeaderValue = HeaderValue::from_static("5");

/// The policy that refused, and when to come back: draft-ietf-httpapi-ratelimit-headers.
pub(super) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(super) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The detail when the store is away: a caller needs to know no more.
pub(super) const TRY_AGAIN: &str =
    "onetap cannot use the store now, so nothing was applied; try again";

/// An error on its way to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    code: Code,
    detail: String,
    /// Only the log may contain this: it can name hosts.
    cause: Option<String>,
    /// The limit that it names in its headers.
    exceeded: Option<Exceeded>,
}

/// Problem details (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody<'a> {
    /// Always `about:blank`: `code` says what it is.
    #[schema(example = "about:blank")]
    r#type: &'static str,
    /// The kind of problem, for people.
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 400)]
    status: u16,
    /// The kind of problem, for machines.
    #[schema(example = "invalid_post_id")]
    code: &'static str,
    /// What is wrong with this request.
    detail: &'a str,
    /// The request's name in the log, also in the header `X-Request-Id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "5b1c77d09f3a6e21-0000002a")]
    request_id: Option<&'a str>,
}

impl Problem {
    /// A problem. The detail says what the caller can do about it.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), cause: None, exceeded: None }
    }

    /// The code.
    pub(super) fn code(&self) -> Code {
        self.code
    }

    /// What the log says about it.
    pub(super) fn cause(&self) -> &str {
        self.cause.as_deref().unwrap_or(&self.detail)
    }

    fn body(&self, request_id: Option<&str>) -> Vec<u8> {
        let body = ProblemBody {
            r#type: "about:blank",
            title: self.code.title(),
            status: self.code.status().as_u16(),
            code: self.code.as_str(),
            detail: &self.detail,
            request_id,
        };
        serde_json::to_vec(&body).expect("a problem is plain data")
    }

    /// Takes the problem out of a response that is one, and puts the request's id into its body.
    pub(super) fn named(response: &mut Response, request_id: &str) -> Option<Self> {
        let problem: Self = response.extensions_mut().remove()?;
        *response.body_mut() = problem.body(Some(request_id)).into();
        response.headers_mut().remove(CONTENT_LENGTH);
        Some(problem)
    }

    /// A problem with the id in the header `Onetap-Actor`.
    pub(super) fn of_actor(self) -> Self {
        Self { detail: format!("the header Onetap-Actor: {}", self.detail), ..self }
    }

    /// No route has this path.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "look the path up at /docs or in /openapi.json")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let mut response = (status, self.body(None)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match status {
            StatusCode::SERVICE_UNAVAILABLE if self.code == Code::ReadOnly => {
                headers.insert(RETRY_AFTER, RETRY_AFTER_A_WINDOW);
            }
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        if let Some(exceeded) = &self.exceeded {
            tell(exceeded, headers);
        }
        // The middleware reads it: to add the request's id to the body, and to log the cause.
        response.extensions_mut().insert(self);
        response
    }
}

/// Says which limit refused, and when to come back.
fn tell(exceeded: &Exceeded, headers: &mut HeaderMap) {
    let Exceeded { policy, quota, window, wait } = exceeded;
    for (name, value) in [
        (RETRY_AFTER, wait.to_string()),
        (RATE_LIMIT, format!("\"{policy}\";r=0;t={wait}")),
        (RATE_LIMIT_POLICY, format!("\"{policy}\";q={quota};w={window}")),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
}

impl From<Exceeded> for Problem {
    fn from(exceeded: Exceeded) -> Self {
        let Exceeded { policy, quota, window, wait } = exceeded;
        let what = match policy {
            "adding" => "taps that add",
            "first-reactions" => "taps that are the first of their reaction on a post",
            "removing" => "taps that remove",
            _ => "reads",
        };
        let detail =
            format!("at most {quota} {what} are allowed within {window} s; try again in {wait} s");
        Self { exceeded: Some(exceeded), ..Self::new(Code::RateLimited, detail) }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Unavailable(_) => Code::StoreUnavailable,
            StoreError::Overloaded => Code::Overloaded,
            StoreError::Damaged(_) => Code::StoreDamaged,
            StoreError::KeyReused => Code::IdempotencyKeyReused,
            StoreError::Refused(refusal) => return refusal.into(),
            StoreError::ReadOnly(_) => Code::ReadOnly,
            StoreError::OutcomeUnknown => Code::OutcomeUnknown,
        };
        let detail = match &error {
            // The store's own message may name hosts, so only the log gets it.
            StoreError::Unavailable(_) => TRY_AGAIN.to_owned(),
            StoreError::Overloaded => {
                "more is waiting than the store can take, so nothing was applied; try again"
                    .to_owned()
            }
            StoreError::ReadOnly(ReadOnly::Window) => {
                "a moderator has opened a read-only window, so nothing was applied; reads go on; \
                 try again when it has ended (DELETE /v1/read-only)"
                    .to_owned()
            }
            StoreError::ReadOnly(ReadOnly::Process) => {
                "this process serves with --read-only, so nothing was applied; send writes to \
                 another one"
                    .to_owned()
            }
            StoreError::OutcomeUnknown => {
                "the store did not answer in time, so the tap may have been applied; repeat it with \
                 the same idempotency key, or send PUT or DELETE for the state you want"
                    .to_owned()
            }
            other => other.to_string(),
        };
        let cause = match error {
            StoreError::Unavailable(why) => Some(why),
            _ => None,
        };
        Self { cause, ..Self::new(code, detail) }
    }
}

impl From<&Refusal> for Problem {
    fn from(refusal: &Refusal) -> Self {
        let (code, detail) = match refusal {
            Refusal::Locked => (
                Code::ReactionsLocked,
                "a moderator has closed this post, or the token lets its user add nothing; users can still \
                 remove their reactions"
                    .to_owned(),
            ),
            Refusal::NotInPalette(reaction) => (
                Code::ReactionNotAllowed,
                format!(
                    "the palette of this post does not have {reaction}; GET /v1/palettes lists \
                     what it has"
                ),
            ),
            Refusal::NobodyHas(reaction) => (
                Code::ReactionNotAllowed,
                format!(
                    "users may add only reactions that somebody has on this post already, and \
                     nobody has {reaction}; choose one of those"
                ),
            ),
            Refusal::TooManyKinds(most) => (
                Code::TooManyReactions,
                format!(
                    "a post has at most {most} different reactions; add one that somebody has \
                     already"
                ),
            ),
            Refusal::TooManyOfUser(most) => (
                Code::TooManyReactions,
                format!("a user has at most {most} reactions on a post; remove one first"),
            ),
            Refusal::Exclusive(one, other) => (
                Code::TooManyReactions,
                format!(
                    "a user can have only one of {one} and {other} on this post; send one of them"
                ),
            ),
        };
        Self::new(code, detail)
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full => {
                let detail = "as many streams are open as --max-connections has room for; try again, \
                              or read the counts without a stream";
                Self::new(Code::Overloaded, detail)
            }
            Refused::Away | Refused::Stopping => Self::new(Code::StoreUnavailable, TRY_AGAIN),
        }
    }
}

impl From<InvalidPostId> for Problem {
    fn from(error: InvalidPostId) -> Self {
        Self::new(Code::InvalidPostId, error.to_string())
    }
}

impl From<InvalidUserId> for Problem {
    fn from(error: InvalidUserId) -> Self {
        Self::new(Code::InvalidUserId, error.to_string())
    }
}

impl From<InvalidReaction> for Problem {
    fn from(error: InvalidReaction) -> Self {
        Self::new(Code::InvalidReaction, error.to_string())
    }
}
