//! Reads: who reacted.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{LINK, VARY};
use axum::http::{HeaderValue, Uri};
use axum::response::Response;
use serde::Serialize;

use super::super::dto::{
    PageParams, PostParams, PostUserAnswer, PostUsersAnswer, ReactionParams, ReadProblems,
    UserAnswer, UsersAnswer,
};
use super::super::extract::{PostPath, Query, ReactionPath, decode_cursor, encode_cursor};
use super::super::problem::Problem;
use super::super::server::LargeAnswers;
use super::super::state::{JSON, Reactions};
use crate::domain::{PostId, Reaction, ReactorsPage};
use crate::store::{ReactorsQuery, Store as _};

/// Who has a reaction on a post, newest first.
#[utoipa::path(
    get,
    path = "/v1/posts/{post_id}/reactions/{reaction}/users",
    params(
        ReactionParams,
        PageParams,
    ),
    responses(
        (status = 200, description = "A page", body = UsersAnswer,
            headers(("Link" = String, description = "The next page, rel=\"next\""))),
        ReadProblems,
    ),
)]
pub(in crate::http) async fn of_reaction(
    State(reactions): State<Arc<Reactions>>,
    uri: Uri,
    ReactionPath { post, reaction }: ReactionPath,
    query: Query,
) -> Result<Response, Problem> {
    let (page, limit) = read(&reactions, post, Some(reaction.clone()), query).await?;
    let next_cursor = page.next().map(|place| encode_cursor(post, Some(&reaction), place));
    let link = next_link(&uri, limit, next_cursor.as_deref());
    let users = page.reactors.iter().map(UserAnswer::new).collect();
    linked(&reactions.answers, &UsersAnswer { users, next_cursor }, link).await
}

/// Who has any reaction on a post, newest first.
#[utoipa::path(
    get,
    path = "/v1/posts/{post_id}/users",
    params(
        PostParams,
        PageParams,
    ),
    responses(
        (status = 200, description = "A page", body = PostUsersAnswer,
            headers(("Link" = String, description = "The next page, rel=\"next\""))),
        ReadProblems,
    ),
)]
pub(in crate::http) async fn of_post(
    State(reactions): State<Arc<Reactions>>,
    uri: Uri,
    PostPath { post }: PostPath,
    query: Query,
) -> Result<Response, Problem> {
    let (page, limit) = read(&reactions, post, None, query).await?;
    let next_cursor = page.next().map(|place| encode_cursor(post, None, place));
    let link = next_link(&uri, limit, next_cursor.as_deref());
    let users = page.reactors.iter().map(PostUserAnswer::new).collect();
    linked(&reactions.answers, &PostUsersAnswer { users, next_cursor }, link).await
}

async fn read(
    reactions: &Reactions,
    post: PostId,
    reaction: Option<Reaction>,
    query: Query,
) -> Result<(ReactorsPage, usize), Problem> {
    let query = query.only(&["limit", "cursor"])?;
    let limit = query.limit()?;
    let place = |cursor| decode_cursor(post, reaction.as_ref(), cursor);
    let after = query.cursor()?.map(place).transpose()?;
    let question = ReactorsQuery { post, reaction, after, limit };
    Ok((reactions.store.reactors(question, reactions.deadline()).await?, limit))
}

/// The address of the next page, relative to the host.
fn next_link(uri: &Uri, limit: usize, cursor: Option<&str>) -> Option<HeaderValue> {
    let target = format!("{}?limit={limit}&cursor={}", uri.path(), cursor?);
    HeaderValue::try_from(format!("<{target}>; rel=\"next\"")).ok()
}

async fn linked<T: Serialize>(
    answers: &Arc<LargeAnswers>,
    answer: &T,
    link: Option<HeaderValue>,
) -> Result<Response, Problem> {
    let text = serde_json::to_vec(answer).expect("a page is plain data");
    let mut response = answers.answer(JSON, text).await?;
    response.headers_mut().insert(VARY, HeaderValue::from_static("Authorization"));
    if let Some(link) = link {
        response.headers_mut().insert(LINK, link);
    }
    Ok(response)
}
