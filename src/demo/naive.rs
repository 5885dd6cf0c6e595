//! The demo's counterexample over HTTP: how a forum without onetap handles a tap.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::table::{NaiveTable, ROUND_TRIP};
use crate::domain::{PostId, Reaction, UserId};
use crate::http::{Problem, Query, TapPath};

/// The result of a tap.
#[derive(Serialize)]
pub(super) struct NaiveTap {
    active: bool,
}

/// The counts by the forum's table.
#[derive(Serialize)]
pub(super) struct NaivePosts {
    posts: Vec<NaivePost>,
}

#[derive(Serialize)]
struct NaivePost {
    post_id: String,
    reactions: Vec<NaiveReaction>,
}

#[derive(Serialize)]
struct NaiveReaction {
    reaction: String,
    count: u64,
    mine: bool,
}

/// Reads, flips and saves, with one round trip to the database for each of reading and saving.
pub(super) async fn toggle(
    State(table): State<Arc<NaiveTable>>,
    TapPath { post, user, reaction, .. }: TapPath,
    query: Query,
) -> Result<Json<NaiveTap>, Problem> {
    query.only(&[])?;
    let active = flip(&table, post, &reaction, user).await;
    Ok(Json(NaiveTap { active }))
}

async fn flip(table: &NaiveTable, post: PostId, reaction: &Reaction, user: UserId) -> bool {
    let active = table.is_active(post, reaction, user);
    tokio::time::sleep(ROUND_TRIP).await;
    table.save(post, reaction, user, !active);
    tokio::time::sleep(ROUND_TRIP).await;
    !active
}

/// The counts of a page of posts.
pub(super) async fn posts(
    State(table): State<Arc<NaiveTable>>,
    query: Query,
) -> Result<Json<NaivePosts>, Problem> {
    let query = query.only(&["post_id", "user_id"])?;
    let (posts, viewer) = (query.posts()?, query.viewer()?);
    tokio::time::sleep(ROUND_TRIP).await;
    let posts = posts.into_iter().map(|post| {
        let counted = table.counts(post, viewer).into_iter();
        let reactions = counted.map(|(reaction, count, mine)| NaiveReaction {
            reaction: reaction.to_string(),
            count,
            mine,
        });
        NaivePost { post_id: post.to_string(), reactions: reactions.collect() }
    });
    Ok(Json(NaivePosts { posts: posts.collect() }))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_tap_is_lost_that_comes_between_reading_and_saving() {
        let table = NaiveTable::default();
        let post = PostId::try_from(Uuid::from_u128(1)).unwrap();
        let (like, user) = ("like".parse().unwrap(), UserId::try_from(1).unwrap());
        // In one task: the second flip starts while the first one waits, so both read before either
        // saves.
        let twice = tokio::join!(flip(&table, post, &like, user), flip(&table, post, &like, user));
        assert_eq!(twice, (true, true));
        assert_eq!(table.counts(post, Some(user)), [(like, 1, true)], "on and off is off");
    }
}
