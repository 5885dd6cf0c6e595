//! Moderators: forgetting the reactions of a post.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use futures_util::future::join_all;

use super::super::dto::{
    ActorParams, ForgetQuestion, ForgottenAnswer, ForgottenPost, ForgottenPosts, PostIdJson,
    PostParams, ReactionParams, WriteProblems,
};
use super::super::extract::{self, ActorHeader, JsonBody, NoBody, PostPath, Query, ReactionPath};
use super::super::problem::{Code, Problem};
use super::super::state::Reactions;
use crate::domain::{Forget, Forgotten, PostId};
use crate::store::{Store as _, StoreError};

/// Forget all reactions of a post.
///
/// For a post that the forum has deleted. All go in one step, however many there are. The rules of
/// the post stay. Repeating is never an error, and neither is a post that nobody has reacted to.
#[utoipa::path(
    delete,
    path = "/v1/posts/{post_id}/reactions",
    params(PostParams, ActorParams),
    responses((status = 200, description = "They are gone", body = ForgottenAnswer), WriteProblems),
)]
pub(in crate::http) async fn post(
    State(reactions): State<Arc<Reactions>>,
    PostPath { post }: PostPath,
    actor: ActorHeader,
    query: Query,
    _: JsonBody<NoBody>,
) -> Result<Json<ForgottenAnswer>, Problem> {
    query.only(&[])?;
    let forget = Forget { post, reaction: None, actor: actor.moderator() };
    Ok(Json(reactions.store.forget(forget, reactions.deadline()).await?.into()))
}

/// Forget one reaction of a post.
///
/// By the name under which it is counted, not by an alias.
#[utoipa::path(
    delete,
    path = "/v1/posts/{post_id}/reactions/{reaction}",
    params(ReactionParams, ActorParams),
    responses((status = 200, description = "It is gone", body = ForgottenAnswer), WriteProblems),
)]
pub(in crate::http) async fn reaction(
    State(reactions): State<Arc<Reactions>>,
    ReactionPath { post, reaction }: ReactionPath,
    actor: ActorHeader,
    query: Query,
    _: JsonBody<NoBody>,
) -> Result<Json<ForgottenAnswer>, Problem> {
    query.only(&[])?;
    let forget = Forget { post, reaction: Some(reaction), actor: actor.moderator() };
    Ok(Json(reactions.store.forget(forget, reactions.deadline()).await?.into()))
}

/// Forget all reactions of many posts.
///
/// Each post is a step of its own. If no post was forgotten, the answer is the problem of the first
/// one. If only some were, it is 504 `outcome_unknown`, and `detail` names the first post that
/// failed, and why. Repeating is always safe.
#[utoipa::path(
    post,
    path = "/v1/posts/reactions/forget",
    params(ActorParams),
    request_body(content = ForgetQuestion, content_type = "application/json"),
    responses((status = 200, description = "They are gone", body = ForgottenPosts), WriteProblems),
)]
pub(in crate::http) async fn posts(
    State(reactions): State<Arc<Reactions>>,
    actor: ActorHeader,
    query: Query,
    JsonBody(body): JsonBody<ForgetQuestion>,
) -> Result<Json<ForgottenPosts>, Problem> {
    query.only(&[])?;
    let texts = body.post_ids.into_iter().map(PostIdJson::into_text);
    let posts = extract::posts(texts, Code::InvalidBody, "post_ids")?;
    let deadline = reactions.deadline();
    let forget = |post| {
        reactions.store.forget(Forget { post, reaction: None, actor: actor.moderator() }, deadline)
    };
    let done = join_all(posts.iter().copied().map(forget)).await;
    let posts = all_of(&posts, done)?;
    Ok(Json(ForgottenPosts { posts }))
}

/// The answers, or the one problem of them all.
fn all_of(
    posts: &[PostId],
    done: Vec<Result<Forgotten, StoreError>>,
) -> Result<Vec<ForgottenPost>, Problem> {
    let failed = done.iter().filter(|result| result.is_err()).count();
    let unwritten = |result: &Result<_, StoreError>| {
        result.as_ref().is_err_and(|error| *error != StoreError::OutcomeUnknown)
    };
    let nothing_applied = done.iter().all(unwritten);
    let all = posts.iter().zip(done);
    let answers = all.map(|(post, result)| match result {
        Ok(forgotten) => Ok(ForgottenPost { post_id: *post, forgotten: forgotten.into() }),
        Err(error) => {
            let problem = Problem::from(error);
            Err(if nothing_applied { problem } else { partly(*post, failed, &problem) })
        }
    });
    answers.collect()
}

/// Some posts are forgotten, so an answer that nothing was applied would be a lie.
fn partly(post: PostId, failed: usize, problem: &Problem) -> Problem {
    let code = problem.code().as_str();
    let detail = format!(
        "{failed} of these posts failed, the first is {post} with {code}, and the others are \
         forgotten; send the request again, which is safe"
    );
    Problem::new(Code::OutcomeUnknown, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Revision;

    #[test]
    fn what_failed_in_part_does_not_say_that_nothing_was_applied() {
        let posts: [PostId; 2] = ["1", "2"].map(|last| {
            format!("0192f0c1-2345-7890-abcd-ef012345678{last}").parse().expect("a post id")
        });
        let done = || Ok(Forgotten { removed: 3, revision: Revision(7) });
        let away = || Err(StoreError::Unavailable("gone".to_owned()));
        let code = |first, second| {
            all_of(&posts, vec![first, second]).map(|_| ()).map_err(|problem| problem.code())
        };
        assert_eq!(code(done(), done()), Ok(()));
        assert_eq!(code(away(), away()), Err(Code::StoreUnavailable));
        assert_eq!(code(done(), away()), Err(Code::OutcomeUnknown));
        assert_eq!(code(away(), done()), Err(Code::OutcomeUnknown));
        assert_eq!(code(away(), Err(StoreError::OutcomeUnknown)), Err(Code::OutcomeUnknown));
    }
}
