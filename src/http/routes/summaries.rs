//! Reads: the counts of a post and of a page of posts.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::super::dto::{
    PostIdJson, PostParams, ReadProblems, SummariesAnswer, SummariesQuestion, SummaryAnswer,
    SummaryParams,
};
use super::super::extract::{self, Hidden, JsonBody, PostPath, Query};
use super::super::problem::{Code, Problem, TRY_AGAIN};
use super::super::state::{JSON, Reactions};
use crate::domain::{PostId, Summary, UserId};
use crate::store::{Store as _, SummaryQuery};

/// After this many bytes of a page the handler yields. So no tap waits until a whole page is
/// written out.
const WRITTEN_AT_ONCE: usize = 32 * 1024;

/// The counts of a post.
///
/// A post that nobody has reacted to is empty, not an error.
#[utoipa::path(
    get,
    path = "/v1/posts/{post_id}/reactions",
    params(
        PostParams,
        SummaryParams,
    ),
    responses(
        (status = 200, body = SummaryAnswer,
            description = "The counts, at most 165,000 bytes; 255,000 with text user ids",
            headers(("ETag" = String, description = "A hash of the answer"))),
        (status = 304, description = "Unchanged since the ETag"),
        ReadProblems,
    ),
)]
pub(in crate::http) async fn of_post(
    State(reactions): State<Arc<Reactions>>,
    PostPath { post }: PostPath,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = query.only(&["user_id", "recent", "hide"])?;
    let (viewer, recent, hidden) = (query.viewer()?, query.recent()?, Hidden::of_query(&query)?);
    let mut summary = reactions.summary(post, viewer, hidden.reach(recent)).await?;
    hidden.strip(&mut summary, recent);
    let answer = SummaryAnswer::new(summary, recent);
    let body = serde_json::to_vec(&answer).expect("a summary is plain data");
    let tag = Uuid::new_v5(&Uuid::NAMESPACE_OID, &body);
    tagged(&reactions, viewer, &headers, tag, body).await
}

impl Reactions {
    /// The summary of one post.
    pub(super) async fn summary(
        &self,
        post: PostId,
        viewer: Option<UserId>,
        recent: usize,
    ) -> Result<Summary, Problem> {
        let question = SummaryQuery { posts: vec![post], viewer, recent };
        let mut summaries = self.store.summaries(question, self.deadline()).await?;
        summaries.pop().ok_or_else(|| Problem::new(Code::StoreUnavailable, TRY_AGAIN))
    }
}

/// The counts of a page of posts.
#[utoipa::path(
    get,
    path = "/v1/posts/reactions",
    params(
        ("post_id" = Vec<uuid::Uuid>, Query, description = "1 to 100 posts, each `post_id=…`"),
        SummaryParams,
    ),
    responses(
        (status = 200, body = SummariesAnswer,
            description = "The counts, in the order asked, at most 16,500,000 bytes; 25,500,000 \
                           with text user ids",
            headers(("ETag" = String, description = "A hash of the answer"))),
        (status = 304, description = "Unchanged since the ETag"),
        ReadProblems,
    ),
)]
pub(in crate::http) async fn of_page(
    State(reactions): State<Arc<Reactions>>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = query.only(&["post_id", "user_id", "recent", "hide"])?;
    let (viewer, recent, hidden) = (query.viewer()?, query.recent()?, Hidden::of_query(&query)?);
    let question = SummaryQuery { posts: query.posts()?, viewer, recent: hidden.reach(recent) };
    let deadline = reactions.deadline();
    let _turn = reactions.pages.enter(question.posts.len(), deadline).await?;
    let summaries = reactions.store.summaries(question, deadline).await?;
    let mut tag = Uuid::NAMESPACE_OID;
    let body = page(summaries, recent, &hidden, |part| tag = Uuid::new_v5(&tag, part)).await;
    tagged(&reactions, viewer, &headers, tag, body).await
}

/// The counts of a page of posts, asked in a body.
#[utoipa::path(
    post,
    path = "/v1/posts/reactions/query",
    request_body(content = SummariesQuestion, content_type = "application/json"),
    responses(
        (status = 200, body = SummariesAnswer,
            description = "The counts, in the order asked, at most 16,500,000 bytes; 25,500,000 \
                           with text user ids"),
        ReadProblems,
    ),
)]
pub(in crate::http) async fn query(
    State(reactions): State<Arc<Reactions>>,
    query: Query,
    JsonBody(body): JsonBody<SummariesQuestion>,
) -> Result<Response, Problem> {
    let query = query.only(&[])?;
    let texts = body.post_ids.into_iter().map(PostIdJson::into_text);
    let posts = query.granted(extract::posts(texts, Code::InvalidBody, "post_ids")?)?;
    let viewer = query.viewer_in_json(body.user_id)?;
    let recent = query.recent_in_json(body.recent)?;
    let hidden = Hidden::of_body(body.hide, &query)?;
    let question = SummaryQuery { posts, viewer, recent: hidden.reach(recent) };
    let deadline = reactions.deadline();
    let _turn = reactions.pages.enter(question.posts.len(), deadline).await?;
    let summaries = reactions.store.summaries(question, deadline).await?;
    reactions.answers.answer(JSON, page(summaries, recent, &hidden, |_| ()).await).await
}

/// A [`SummariesAnswer`] as JSON, written post by post. `note` gets each part in turn.
async fn page(
    summaries: Vec<Summary>,
    recent: usize,
    hidden: &Hidden,
    mut note: impl FnMut(&[u8]),
) -> Vec<u8> {
    let (mut text, mut paused) = (br#"{"posts":["#.to_vec(), 0);
    for (i, mut summary) in summaries.into_iter().enumerate() {
        if i > 0 {
            text.push(b',');
        }
        hidden.strip(&mut summary, recent);
        let answer = SummaryAnswer::new(summary, recent);
        serde_json::to_writer(&mut text, &answer).expect("a summary is plain data");
        if text.len() - paused > WRITTEN_AT_ONCE {
            note(&text[paused..]);
            paused = text.len();
            tokio::task::yield_now().await;
        }
    }
    text.extend_from_slice(b"]}");
    note(&text[paused..]);
    text
}

/// What a viewer gets is for this viewer alone.
pub(super) const OWN: HeaderValue = HeaderValue::from_static("private, no-cache");

/// Adds the ETag, and omits the body if the caller has it already. The ETag is a hash of the body.
/// A revision is not enough: a store that lost its newest changes may give it to another state.
async fn tagged(
    reactions: &Reactions,
    viewer: Option<UserId>,
    headers: &HeaderMap,
    tag: Uuid,
    body: Vec<u8>,
) -> Result<Response, Problem> {
    let tag = format!("\"{}\"", tag.simple());
    let mut response = if is_held(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        reactions.answers.answer(JSON, body).await?
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, tag);
    }
    headers.insert(VARY, HeaderValue::from_static("Authorization"));
    headers.insert(
        CACHE_CONTROL,
        match viewer {
            Some(_) => OWN,
            None => reactions.cache_counts.clone(),
        },
    );
    Ok(response)
}

/// Whether If-None-Match contains the tag. RFC 9110 demands a weak comparison for this header.
pub(super) fn is_held(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|held| held == "*" || held.strip_prefix("W/").unwrap_or(held) == tag)
}
