//! Reads: what a user gave.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, Uri};
use axum::response::Response;

use super::super::dto::{GivenAnswer, GivenReaction, PlainPageParams, ReadProblems, UserParams};
use super::super::extract::{Query, UserPath, decode_given, encode_given};
use super::super::limits::GivenGate;
use super::super::problem::{Code, Problem};
use super::super::state::Reactions;
use super::reactors::linked;
use crate::store::{Maintenance as _, USER_INDEX};

/// What a user gave, newest first, on all posts.
///
/// A page is as of the time of its read. A reaction that the user gives meanwhile stands before the
/// first page. In a store that an earlier release began, this is 503 `store_unavailable` until
/// onetap has gone through all posts once.
#[utoipa::path(
    get,
    path = "/v1/users/{user_id}/reactions",
    params(UserParams, PlainPageParams),
    responses(
        (status = 200, description = "A page", body = GivenAnswer,
            headers(("Link" = String, description = "The next page, rel=\"next\""))),
        ReadProblems,
    ),
)]
pub(in crate::http) async fn of_user(
    State(reactions): State<Arc<Reactions>>,
    State(gate): State<Arc<GivenGate>>,
    uri: Uri,
    UserPath { user }: UserPath,
    query: Query,
) -> Result<Response, Problem> {
    query.has_only(&["limit", "cursor"])?;
    let limit = query.limit()?;
    let after = query.cursor()?.map(|cursor| decode_given(user, cursor)).transpose()?;
    let (store, deadline) = (&reactions.store, reactions.deadline());
    let place = gate.enter(deadline).await?;
    if store.document(USER_INDEX, deadline).await?.is_none() {
        return Err(Problem::new(Code::StoreUnavailable, INCOMPLETE));
    }
    let page = store.given(user, after, limit, deadline).await?;
    drop(place);
    let last = page.given.last().filter(|_| page.more);
    let next_cursor = last.map(|last| encode_given(user, last));
    let link = next_cursor.as_deref().and_then(|cursor| {
        let target = format!("{}?limit={limit}&cursor={cursor}", uri.path());
        HeaderValue::try_from(format!("<{target}>; rel=\"next\"")).ok()
    });
    let answer =
        GivenAnswer { reactions: page.given.iter().map(GivenReaction::new).collect(), next_cursor };
    linked(&reactions.answers, &answer, link).await
}

/// The detail while the index is not complete.
const INCOMPLETE: &str = "an earlier release began this store, and onetap is still collecting what \
                          users gave in it; try again later";
