//! Reads: who reacted.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{LINK, VARY};
use axum::http::{HeaderValue, Uri};
use axum::response::Response;
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::super::dto::{
    AnyUsersAnswer, PageParams, PostParams, PostUserAnswer, PostUsersAnswer, ReactionParams,
    ReadProblems, UserAnswer, UsersAnswer, UsersQuestion,
};
use super::super::extract::{
    self, Hidden, JsonBody, PostPath, Query, ReactionPath, decode_cursor, encode_cursor,
};
use super::super::problem::Problem;
use super::super::server::LargeAnswers;
use super::super::state::{JSON, Reactions};
use crate::domain::{Position, PostId, Reaction, Reactor};
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
    let page = Asked::in_query(post, Some(reaction), &query)?.read(&reactions).await?;
    let link = next_link(&uri, &page);
    linked(&reactions.answers, &page.of_one_reaction(), link).await
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
    let page = Asked::in_query(post, None, &query)?.read(&reactions).await?;
    let link = next_link(&uri, &page);
    linked(&reactions.answers, &page.of_all_reactions(), link).await
}

/// Either list of who reacted, without hidden users, asked in a body.
///
/// With `reaction` its users, else the users of all reactions. A page may be shorter than `limit`,
/// even empty, although the list goes on: `next_cursor` says so.
#[utoipa::path(
    post,
    path = "/v1/posts/{post_id}/users/query",
    params(
        PostParams,
    ),
    request_body(content = Option<UsersQuestion>, content_type = "application/json"),
    responses(
        (status = 200, description = "A page", body = AnyUsersAnswer),
        ReadProblems,
    ),
)]
pub(in crate::http) async fn query(
    State(reactions): State<Arc<Reactions>>,
    PostPath { post }: PostPath,
    query: Query,
    JsonBody(body): JsonBody<UsersQuestion>,
) -> Result<Response, Problem> {
    let page = Asked::in_body(post, body, &query.only(&[])?)?.read(&reactions).await?;
    let answer = match page.reaction {
        Some(_) => AnyUsersAnswer::OfOne(page.of_one_reaction()),
        None => AnyUsersAnswer::OfAll(page.of_all_reactions()),
    };
    linked(&reactions.answers, &answer, None).await
}

/// The parsed parameters of a page.
struct Asked {
    post: PostId,
    reaction: Option<Reaction>,
    after: Option<Position>,
    limit: usize,
    hidden: Hidden,
}

/// A page of visible reactors.
struct Page {
    reaction: Option<Reaction>,
    reactors: Vec<Reactor>,
    next_cursor: Option<String>,
    limit: usize,
}

impl Asked {
    fn in_query(post: PostId, reaction: Option<Reaction>, query: &Query) -> Result<Self, Problem> {
        query.has_only(&["limit", "cursor", "hide"])?;
        query.caller().sees_reactors()?;
        let (limit, hidden) = (query.limit()?, Hidden::of_query(query)?);
        let place = |cursor| decode_cursor(post, reaction.as_ref(), cursor);
        let after = query.cursor()?.map(place).transpose()?;
        Ok(Self { post, reaction, after, limit, hidden })
    }

    fn in_body(post: PostId, body: UsersQuestion, query: &Query) -> Result<Self, Problem> {
        query.caller().sees_reactors()?;
        let reaction: Option<Reaction> = body.reaction.map(|text| text.parse()).transpose()?;
        let place = |cursor: String| decode_cursor(post, reaction.as_ref(), &cursor);
        Ok(Self {
            after: body.cursor.map(place).transpose()?,
            limit: extract::limit_in_body(body.limit)?,
            hidden: Hidden::of_body(body.hide, query)?,
            post,
            reaction,
        })
    }

    async fn read(self, reactions: &Reactions) -> Result<Page, Problem> {
        let Self { post, reaction, after, limit, hidden } = self;
        let reach = hidden.reach(limit);
        let question = ReactorsQuery { post, reaction: reaction.clone(), after, limit: reach };
        let found = reactions.store.reactors(question, reactions.deadline()).await?;
        let (reactors, next) = hidden.page(found, limit);
        let next_cursor = next.map(|place| encode_cursor(post, reaction.as_ref(), &place));
        Ok(Page { reaction, reactors, next_cursor, limit })
    }
}

impl Page {
    fn of_one_reaction(self) -> UsersAnswer {
        let users = self.reactors.iter().map(UserAnswer::new).collect();
        UsersAnswer { users, next_cursor: self.next_cursor }
    }

    fn of_all_reactions(self) -> PostUsersAnswer {
        let users = self.reactors.iter().map(PostUserAnswer::new).collect();
        PostUsersAnswer { users, next_cursor: self.next_cursor }
    }
}

/// The URI of the next page, relative to the host. It keeps `hide`.
fn next_link(uri: &Uri, page: &Page) -> Option<HeaderValue> {
    let cursor = page.next_cursor.as_deref()?;
    let mut target = format!("{}?limit={}&cursor={cursor}", uri.path(), page.limit);
    let is_hide = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        percent_decode_str(name).eq(*b"hide")
    };
    for pair in uri.query().unwrap_or_default().split('&').filter(is_hide) {
        target.push('&');
        target.push_str(pair);
    }
    HeaderValue::try_from(format!("<{target}>; rel=\"next\"")).ok()
}

pub(super) async fn linked<T: Serialize>(
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
