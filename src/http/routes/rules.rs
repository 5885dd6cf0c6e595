//! Moderators: what may be added to a post.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::super::dto::{
    ActorParams, LockAnswer, PostParams, ReadProblems, RulesAnswer, RulesBody, WriteProblems,
};
use super::super::extract::{ActorHeader, JsonBody, NoBody, PostPath, Query};
use super::super::problem::{Code, Problem};
use super::super::state::Reactions;
use crate::domain::{Add, Edit, PaletteName, Palettes, PostId, Ruled, RulesEdit};
use crate::store::Store as _;

/// The rules of a post.
///
/// A post that no moderator has touched has the default ones: `default` and `all`.
#[utoipa::path(
    get,
    path = "/v1/posts/{post_id}/rules",
    params(PostParams),
    responses((status = 200, description = "The rules", body = RulesAnswer), ReadProblems),
)]
pub(in crate::http) async fn rules(
    State(reactions): State<Arc<Reactions>>,
    PostPath { post }: PostPath,
    query: Query,
) -> Result<Json<RulesAnswer>, Problem> {
    query.only(&[])?;
    let summary = reactions.summary(post, None, 0).await?;
    Ok(Json(RulesAnswer::new(post, &summary.rules, summary.revision)))
}

/// Set the rules of a post.
///
/// They say what users may add. What users have already stays, and they may always remove it. The
/// rules survive forgetting. The lock is a flag of its own, which this call leaves alone. A palette
/// that the configuration does not have is 400 `invalid_body`.
#[utoipa::path(
    put,
    path = "/v1/posts/{post_id}/rules",
    params(PostParams, ActorParams),
    request_body(content = Option<RulesBody>, content_type = "application/json"),
    responses((status = 200, description = "The rules now", body = RulesAnswer), WriteProblems),
)]
pub(in crate::http) async fn set_rules(
    State(reactions): State<Arc<Reactions>>,
    PostPath { post }: PostPath,
    actor: ActorHeader,
    query: Query,
    JsonBody(body): JsonBody<RulesBody>,
) -> Result<Json<RulesAnswer>, Problem> {
    query.only(&[])?;
    let palette = body.palette.map(|name| known(&reactions.palettes(), &name)).transpose()?;
    let add = body.add.map_or(Ok(Add::All), |word| add_of(&word))?;
    let ruled = reactions.rule(post, Edit::Rules(palette, add), actor).await?;
    Ok(Json(RulesAnswer::new(post, &ruled.rules, ruled.revision)))
}

/// Set the rules of a post back to the default ones.
///
/// The lock stays as it is.
#[utoipa::path(
    delete,
    path = "/v1/posts/{post_id}/rules",
    params(PostParams, ActorParams),
    responses((status = 200, description = "The default rules", body = RulesAnswer), WriteProblems),
)]
pub(in crate::http) async fn reset_rules(
    State(reactions): State<Arc<Reactions>>,
    PostPath { post }: PostPath,
    actor: ActorHeader,
    query: Query,
    _: JsonBody<NoBody>,
) -> Result<Json<RulesAnswer>, Problem> {
    query.only(&[])?;
    let ruled = reactions.rule(post, Edit::Rules(None, Add::All), actor).await?;
    Ok(Json(RulesAnswer::new(post, &ruled.rules, ruled.revision)))
}

/// Lock a post.
///
/// Nothing may be added: a tap that would is 403 `reactions_locked`. Removing goes on. Repeating is
/// never an error.
#[utoipa::path(
    put,
    path = "/v1/posts/{post_id}/lock",
    params(PostParams, ActorParams),
    responses((status = 200, description = "It is locked", body = LockAnswer), WriteProblems),
)]
pub(in crate::http) async fn lock(
    State(reactions): State<Arc<Reactions>>,
    PostPath { post }: PostPath,
    actor: ActorHeader,
    query: Query,
    _: JsonBody<NoBody>,
) -> Result<Json<LockAnswer>, Problem> {
    query.only(&[])?;
    let ruled = reactions.rule(post, Edit::Lock(true), actor).await?;
    Ok(Json(LockAnswer::new(post, &ruled)))
}

/// Unlock a post.
///
/// What `add` says holds again.
#[utoipa::path(
    delete,
    path = "/v1/posts/{post_id}/lock",
    params(PostParams, ActorParams),
    responses((status = 200, description = "It is not locked", body = LockAnswer), WriteProblems),
)]
pub(in crate::http) async fn unlock(
    State(reactions): State<Arc<Reactions>>,
    PostPath { post }: PostPath,
    actor: ActorHeader,
    query: Query,
    _: JsonBody<NoBody>,
) -> Result<Json<LockAnswer>, Problem> {
    query.only(&[])?;
    let ruled = reactions.rule(post, Edit::Lock(false), actor).await?;
    Ok(Json(LockAnswer::new(post, &ruled)))
}

impl Reactions {
    async fn rule(&self, post: PostId, edit: Edit, actor: ActorHeader) -> Result<Ruled, Problem> {
        let edit = RulesEdit { post, edit, actor: actor.moderator() };
        Ok(self.store.rule(edit, self.deadline()).await?)
    }
}

/// The name of a palette that the configuration has.
fn known(palettes: &Palettes, name: &str) -> Result<PaletteName, Problem> {
    let known = |name| palettes.named(&name).map(|palette| palette.name().clone());
    name.parse().ok().and_then(known).ok_or_else(|| {
        let names: Vec<_> = palettes.iter().map(|palette| palette.name().as_str()).collect();
        let detail = format!(
            "the configuration has no palette of this name; send one of: {}",
            names.join(", ")
        );
        Problem::new(Code::InvalidBody, detail)
    })
}

fn add_of(word: &str) -> Result<Add, Problem> {
    Add::from_word(word).ok_or_else(|| {
        let words = Add::EACH.map(Add::word).join(", ");
        Problem::new(Code::InvalidBody, format!("`add` has no such value; send one of: {words}"))
    })
}
