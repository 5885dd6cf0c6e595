//! Parameters and problems of calls for the OpenAPI document. The extractors, not these types, read
//! the parameters; see [`extract`](super::super::extract).

use utoipa::{IntoParams, IntoResponses};

use super::super::problem::ProblemBody;

/// What can go wrong with a write.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "read by the derive alone")]
pub(in crate::http) enum WriteProblems {
    /// Nothing was applied: the request is at fault, or with 429 its user has sent too many.
    #[response(status = "4XX", content_type = "application/problem+json")]
    Refused(ProblemBody<'static>),
    /// Nothing was applied: try again.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemBody<'static>),
    /// It may have been applied; it will not be applied later.
    #[response(status = 504, content_type = "application/problem+json")]
    Unknown(ProblemBody<'static>),
}

/// What can go wrong with a read.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "read by the derive alone")]
pub(in crate::http) enum ReadProblems {
    /// The request is at fault, or with 429 its user or its address has sent too many.
    #[response(status = "4XX", content_type = "application/problem+json")]
    Refused(ProblemBody<'static>),
    /// The store is not available.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemBody<'static>),
}

/// What can go wrong with a call that needs no store.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "read by the derive alone")]
pub(in crate::http) enum RequestProblems {
    /// The request is at fault.
    #[response(status = "4XX", content_type = "application/problem+json")]
    Refused(ProblemBody<'static>),
}

/// Why taps cannot be counted.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "read by the derive alone")]
pub(in crate::http) enum ReadyProblems {
    /// onetap can count no taps: the store is not available.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemBody<'static>),
    /// onetap can count no taps: the store does not answer.
    #[response(status = 504, content_type = "application/problem+json")]
    Unknown(ProblemBody<'static>),
}

/// The ids of a tap.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "read by the derive alone")]
pub(in crate::http) struct TapParams {
    /// The post.
    #[param(example = "0192f0c1-2345-7890-abcd-ef0123456789")]
    post_id: uuid::Uuid,
    /// A name of 1 to 32 characters a-z 0-9 + - _, or one emoji, percent-encoded.
    #[param(example = "like")]
    reaction: String,
    /// The user: an integer from 1 to 2^63 − 1. With `--user-ids text` instead a text of 1 to 64
    /// characters A-Z a-z 0-9 . _ @ | : ~ = + -, that is not `me`, `.` or `..`, and does not begin
    /// with _.
    #[param(
        example = "42",
        max_length = 64,
        pattern = r"^(?!\.\.?$)[A-Za-z0-9.@|:~=+-][A-Za-z0-9._@|:~=+-]*$"
    )]
    user_id: String,
}

/// What makes a tap safe to repeat.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read by the derive alone")]
pub(in crate::http) struct KeyParams {
    /// 1 to 255 visible ASCII characters, bare or as a quoted string. onetap counts the first
    /// request of a user on a post with this key. Every later one gets the same answer. A new tap
    /// needs a new key.
    #[param(
        rename = "Idempotency-Key",
        example = "\"8e03978e-40d5-43e8-bc93-6894a57f9324\"",
        nullable = false
    )]
    idempotency_key: Option<String>,
}

/// The ids of a user's set on a post.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "read by the derive alone")]
pub(in crate::http) struct SetParams {
    /// The post.
    #[param(example = "0192f0c1-2345-7890-abcd-ef0123456789")]
    post_id: uuid::Uuid,
    /// The user: an integer from 1 to 2^63 − 1.
    #[param(
        example = "42",
        max_length = 64,
        pattern = r"^(?!\.\.?$)[A-Za-z0-9.@|:~=+-][A-Za-z0-9._@|:~=+-]*$"
    )]
    user_id: String,
}

/// Who acts.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read by the derive alone")]
pub(in crate::http) struct ActorParams {
    /// The user id of the moderator that acts, if it is not the user. The change log then has this
    /// id. With authentication only a service key may send it; without, onetap believes everyone.
    #[param(
        rename = "Onetap-Actor",
        example = "9",
        nullable = false,
        max_length = 64,
        pattern = r"^(?!(me|\.\.?)$)[A-Za-z0-9.@|:~=+-][A-Za-z0-9._@|:~=+-]*$"
    )]
    onetap_actor: Option<String>,
}

/// The ids of a reaction on a post.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "read by the derive alone")]
pub(in crate::http) struct ReactionParams {
    /// The post.
    #[param(example = "0192f0c1-2345-7890-abcd-ef0123456789")]
    post_id: uuid::Uuid,
    /// A name of 1 to 32 characters a-z 0-9 + - _, or one emoji, percent-encoded.
    #[param(example = "like")]
    reaction: String,
}

/// The id of a post.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "read by the derive alone")]
pub(in crate::http) struct PostParams {
    /// The post.
    #[param(example = "0192f0c1-2345-7890-abcd-ef0123456789")]
    post_id: uuid::Uuid,
}

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read by the derive alone")]
pub(in crate::http) struct PageParams {
    /// The length of the page.
    #[param(minimum = 1, maximum = 100, default = 25)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Users to leave out, each `hide=…`, at most 500. A page may then be shorter than `limit`,
    /// although the list goes on.
    hide: Option<Vec<String>>,
}

/// The id of a user.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "read by the derive alone")]
pub(in crate::http) struct UserParams {
    /// The user: an integer from 1 to 2^63 − 1, or with `--user-ids text` a text.
    #[param(
        example = "42",
        max_length = 64,
        pattern = r"^(?!\.\.?$)[A-Za-z0-9.@|:~=+-][A-Za-z0-9._@|:~=+-]*$"
    )]
    user_id: String,
}

/// Which page of a list without `hide`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read by the derive alone")]
pub(in crate::http) struct PlainPageParams {
    /// The length of the page.
    #[param(minimum = 1, maximum = 100, default = 25)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What to add to a summary.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read by the derive alone")]
pub(in crate::http) struct SummaryParams {
    /// The viewer: `mine` says which reactions this user has.
    user_id: Option<String>,
    /// How many of the newest users of each reaction to add.
    #[param(maximum = 20, default = 0)]
    recent: Option<u32>,
    /// Users to leave out of `recent`, each `hide=…`, at most 500. Counts stay as they are.
    hide: Option<Vec<String>>,
}
