//! A user's whole set of reactions on a post.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse as _, Response};

use super::super::dto::{
    ActorParams, KeyParams, ReadProblems, SetAnswer, SetBody, SetParams, UserSetAnswer,
    WriteProblems,
};
use super::super::extract::{ActorHeader, IdempotencyHeader, JsonBody, NoBody, Query, SetPath};
use super::super::problem::{Code, Problem};
use super::super::state::Reactions;
use super::summaries::OWN;
use super::taps::mark_replay;
use crate::domain::{Act, Form, MOST_NAMED, Reaction, Tap};
use crate::rate_limit::Deed;

/// The reactions that a user has on a post.
#[utoipa::path(
    get,
    path = "/v1/posts/{post_id}/users/{user_id}/reactions",
    params(SetParams),
    responses((status = 200, description = "The set", body = UserSetAnswer), ReadProblems),
)]
pub(in crate::http) async fn held(
    State(reactions): State<Arc<Reactions>>,
    SetPath { post, user, .. }: SetPath,
    query: Query,
) -> Result<Response, Problem> {
    query.only(&[])?;
    let summary = reactions.summary(post, Some(user), 0).await?;
    let mine = summary.reactions.into_iter().filter(|reaction| reaction.mine == Some(true));
    let held = mine.map(|reaction| reaction.reaction).collect();
    let answer = Json(UserSetAnswer::new(post, user, held, summary.revision));
    Ok(([(CACHE_CONTROL, OWN)], answer).into_response())
}

/// Give a user exactly these reactions on a post.
///
/// One atomic step adds what is missing and removes all others. If the post's rules or its palette
/// refuse one of them, nothing is written. Two reactions that exclude each other are 422
/// `too_many_reactions`. Repeating is never an error.
#[utoipa::path(
    put,
    path = "/v1/posts/{post_id}/users/{user_id}/reactions",
    params(SetParams, KeyParams, ActorParams),
    request_body(content = SetBody, content_type = "application/json"),
    responses(
        (status = 200, description = "The set now", body = SetAnswer,
            headers(("Idempotency-Replayed" = String, description = "`true` where an earlier request had the key"))),
        WriteProblems,
    ),
)]
pub(in crate::http) async fn replace(
    State(reactions): State<Arc<Reactions>>,
    path: SetPath,
    key: IdempotencyHeader,
    actor: ActorHeader,
    query: Query,
    JsonBody(body): JsonBody<SetBody>,
) -> Result<Response, Problem> {
    query.only(&[])?;
    let Some(texts) = body.reactions else {
        let detail = "`reactions` is missing; send a list, an empty one to remove all";
        return Err(Problem::new(Code::InvalidBody, detail));
    };
    write(&reactions, path, &key, actor, wanted(&texts)?).await
}

/// Remove all reactions of a user from a post.
///
/// The same as PUT with an empty list.
#[utoipa::path(
    delete,
    path = "/v1/posts/{post_id}/users/{user_id}/reactions",
    params(SetParams, KeyParams, ActorParams),
    responses(
        (status = 200, description = "The set is empty", body = SetAnswer,
            headers(("Idempotency-Replayed" = String, description = "`true` where an earlier request had the key"))),
        WriteProblems,
    ),
)]
pub(in crate::http) async fn clear(
    State(reactions): State<Arc<Reactions>>,
    path: SetPath,
    key: IdempotencyHeader,
    actor: ActorHeader,
    query: Query,
    _: JsonBody<NoBody>,
) -> Result<Response, Problem> {
    query.only(&[])?;
    write(&reactions, path, &key, actor, Vec::new()).await
}

/// The reactions of a body, each once, in their order.
fn wanted(texts: &[String]) -> Result<Vec<Reaction>, Problem> {
    let mut wanted: Vec<Reaction> = Vec::new();
    for text in texts {
        let reaction = text.parse()?;
        if wanted.contains(&reaction) {
            continue;
        }
        if wanted.len() == MOST_NAMED {
            let detail = format!("`reactions` names more than {MOST_NAMED} reactions; send fewer");
            return Err(Problem::new(Code::InvalidBody, detail));
        }
        wanted.push(reaction);
    }
    Ok(wanted)
}

async fn write(
    reactions: &Reactions,
    SetPath { post, user, add }: SetPath,
    key: &IdempotencyHeader,
    actor: ActorHeader,
    wanted: Vec<Reaction>,
) -> Result<Response, Problem> {
    let keyed = key.keyed(post, user, Form::Exactly)?;
    let palettes = reactions.palettes();
    let actor = actor.besides(user);
    let deed = if wanted.is_empty() { Deed::Removing } else { Deed::Adding };
    let act = Act::Exactly(wanted);
    reactions.spend(actor.unwrap_or(user), deed, act.reactions())?;
    let tap = Tap { post, user, act, keyed, palettes, actor, add };
    let outcome = reactions.tap(tap).await?;
    let done = (outcome.changed, outcome.revision);
    let mut response = Json(SetAnswer::new(post, user, outcome.counted(), done)).into_response();
    mark_replay(&mut response, &outcome);
    Ok(response)
}
