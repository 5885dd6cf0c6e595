//! The JSON of requests and responses. Field names are a promise to callers.

mod given;
mod jobs;
mod moderation;
mod moving;
mod palettes;
mod params;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{AnyOfBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

pub(super) use given::{GivenAnswer, GivenReaction};
pub(super) use jobs::{JobAnswer, JobBody, JobsAnswer, ReceiptEnd};
pub(super) use moderation::{
    ForgetQuestion, ForgottenAnswer, ForgottenPost, ForgottenPosts, LockAnswer, ReadOnlyAnswer,
    RulesAnswer, RulesBody, SetAnswer, SetBody, UserSetAnswer,
};
pub(super) use moving::{
    ImportAnswer, ImportBody, ImportPost, ImportRow, ImportRules, ImportedPost,
};
pub(super) use palettes::{ExclusiveAnswer, OfferedAnswer, PaletteAnswer, PalettesAnswer};
pub(super) use params::{
    ActorParams, KeyParams, PageParams, PlainPageParams, PostParams, ReactionParams, ReadProblems,
    ReadyProblems, RequestProblems, SetParams, SummaryParams, TapParams, UserParams, WriteProblems,
};

use crate::domain::{
    DEFAULT_PALETTE, MOST_NAMED, Outcome, PostId, Reaction, ReactionSummary, Reactor, Rules,
    Summary, UserId,
};

/// Serializes a value as the string that it displays as.
fn as_text<T: std::fmt::Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

/// The name of the palette that rules name.
fn palette_of(rules: &Rules) -> String {
    rules.palette.as_ref().map_or_else(|| DEFAULT_PALETTE.to_owned(), ToString::to_string)
}

/// What a tap did.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct TapAnswer<'a> {
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = uuid::Uuid)]
    post_id: PostId,
    #[schema(example = "like")]
    reaction: &'a str,
    /// A string, because JavaScript rounds integers above 2^53.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String, example = "42")]
    user_id: UserId,
    /// Whether the user has the reaction now.
    active: bool,
    /// Whether this tap changed that.
    changed: bool,
    /// How many users have the reaction on the post now.
    count: u64,
    /// Orders the answers of a post: the greater is the newer. It counts for this reaction alone.
    revision: u64,
    /// Other reactions that this tap took from the user, because they exclude the one that it
    /// added, with their counts now.
    replaced: Vec<Replaced<'a>>,
}

/// A reaction that a tap replaced.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Replaced<'a> {
    reaction: &'a str,
    count: u64,
}

impl<'a> TapAnswer<'a> {
    /// The answer to a tap on `named`, the reaction by the name that the caller used.
    pub(in crate::http) fn new(
        post: PostId,
        user: UserId,
        named: &'a Reaction,
        outcome: &'a Outcome,
    ) -> Self {
        let replaced = outcome.replaced().iter();
        Self {
            post_id: post,
            reaction: outcome.counted().first().unwrap_or(named).as_str(),
            user_id: user,
            active: outcome.active,
            changed: outcome.changed,
            count: outcome.count,
            revision: outcome.revision.0,
            replaced: replaced
                .map(|(reaction, count)| Replaced { reaction: reaction.as_str(), count: *count })
                .collect(),
        }
    }
}

/// The body of a toggle.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ToggleBody {
    /// What the user saw before the tap. With it the toggle is the absolute form: from `false` on,
    /// from `true` off, and repeating it is harmless.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(value_type = bool, required = false, example = false)]
    pub(in crate::http) from: Option<bool>,
}

/// A caller that sends `null` has lost a value. It must not flip what the user did not see, nor
/// reset what a moderator has set.
fn never_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// The counts of one post.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct SummaryAnswer {
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = uuid::Uuid)]
    post_id: PostId,
    /// Orders the summaries of a post: the greater is the newer. It counts for all of the post.
    revision: u64,
    /// The palette that taps on the post are judged by.
    #[schema(example = "default")]
    palette: String,
    /// What users may add: `all` of the palette, only reactions that somebody has (`existing`), or
    /// `none`. Removing always goes on.
    #[schema(example = "all")]
    add: &'static str,
    /// Whether a moderator has locked the post. Then nothing may be added, whatever `add` says.
    locked: bool,
    /// The sum of the counts of all reactions.
    total: u64,
    /// The 100 largest reactions: count descending, then by name. Reactions that nobody has are
    /// left out.
    #[schema(max_items = 100)]
    reactions: Vec<ReactionAnswer>,
    /// How many further reactions the post has. Only there if it has more than 100.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false, minimum = 1)]
    more: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// One reaction of a summary.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ReactionAnswer {
    #[schema(example = "like")]
    reaction: String,
    count: u64,
    /// Whether the viewer has it. Only there if the request named a viewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    mine: Option<bool>,
    /// The newest users, newest first. Only there if the request asked for some.
    #[serde(skip_serializing_if = "Option::is_none")]
    recent: Option<Vec<UserAnswer>>,
}

impl SummaryAnswer {
    pub(in crate::http) fn new(summary: Summary, recent: usize) -> Self {
        let (total, more) = (summary.total(), summary.unnamed());
        let reaction = |r: ReactionSummary| ReactionAnswer {
            reaction: r.reaction.to_string(),
            count: r.count,
            mine: r.mine,
            recent: (recent > 0).then(|| r.recent.iter().map(UserAnswer::new).collect()),
        };
        Self {
            post_id: summary.post,
            revision: summary.revision.0,
            palette: palette_of(&summary.rules),
            add: summary.rules.add.word(),
            locked: summary.rules.locked,
            total,
            reactions: summary.reactions.into_iter().take(MOST_NAMED).map(reaction).collect(),
            more,
        }
    }
}

/// The counts of a page of posts.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct SummariesAnswer {
    /// In the order asked, every post present, a doubled one once.
    pub(in crate::http) posts: Vec<SummaryAnswer>,
}

/// Which posts to read.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct SummariesQuestion {
    /// 1 to 100 post ids.
    #[serde(default)]
    #[schema(required = true, value_type = Vec<uuid::Uuid>, min_items = 1, max_items = 100)]
    pub(in crate::http) post_ids: Vec<PostIdJson>,
    /// The viewer: `mine` says which reactions this user has.
    #[serde(default)]
    pub(in crate::http) user_id: Option<UserIdJson>,
    /// How many of the newest users of each reaction to add, at most 20.
    #[serde(default)]
    pub(in crate::http) recent: Option<u64>,
    /// Users to leave out of `recent`, at most 500. Counts stay as they are.
    #[serde(default)]
    #[schema(max_items = 500)]
    pub(in crate::http) hide: Vec<UserIdJson>,
}

/// Which page of the users that reacted to a post.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct UsersQuestion {
    /// Only users of this reaction.
    #[serde(default)]
    #[schema(example = "like")]
    pub(in crate::http) reaction: Option<String>,
    /// The length of the page, 1 to 100; 25 if there is none.
    #[serde(default)]
    pub(in crate::http) limit: Option<u64>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    pub(in crate::http) cursor: Option<String>,
    /// Users to leave out, at most 500.
    #[serde(default)]
    #[schema(max_items = 500)]
    pub(in crate::http) hide: Vec<UserIdJson>,
}

/// A post id in a request. An integer is invalid, and gets an error that explains how to map it.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a post id is a string: a UUID of 36 characters with hyphens")]
pub(in crate::http) enum PostIdJson {
    Text(String),
    Number(serde_json::Number),
}

impl PostIdJson {
    pub(in crate::http) fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

/// A user id in a request: a string, or an integer. With `--user-ids text` only a string.
#[derive(Deserialize, ToSchema)]
#[serde(untagged, expecting = "a user id is a string or an integer")]
pub(in crate::http) enum UserIdJson {
    /// Exact in every language.
    Text(String),
    /// Exact in those that have 64-bit integers.
    #[schema(value_type = u64)]
    Number(serde_json::Number),
}

impl UserIdJson {
    pub(in crate::http) fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

/// A user that has a reaction.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct UserAnswer {
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String, example = "42")]
    user_id: UserId,
    /// RFC 3339 with microseconds, by the store's clock.
    #[schema(example = "2026-11-25T08:30:00.000001Z", format = DateTime)]
    reacted_at: String,
}

impl UserAnswer {
    pub(in crate::http) fn new(reactor: &Reactor) -> Self {
        Self { user_id: reactor.user, reacted_at: reactor.reacted_at.to_string() }
    }
}

/// A page of the users that have one reaction.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct UsersAnswer {
    /// Newest first.
    pub(in crate::http) users: Vec<UserAnswer>,
    /// Where the next page begins; null at the end.
    pub(in crate::http) next_cursor: Option<String>,
}

/// A user that has a reaction, and which.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct PostUserAnswer {
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String, example = "42")]
    user_id: UserId,
    #[schema(example = "like")]
    reaction: String,
    /// RFC 3339 with microseconds, by the store's clock.
    #[schema(example = "2026-11-25T08:30:00.000001Z", format = DateTime)]
    reacted_at: String,
}

impl PostUserAnswer {
    pub(in crate::http) fn new(reactor: &Reactor) -> Self {
        Self {
            user_id: reactor.user,
            reaction: reactor.reaction.to_string(),
            reacted_at: reactor.reacted_at.to_string(),
        }
    }
}

/// A page of the users that have any reaction on a post.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct PostUsersAnswer {
    /// Newest first; a user once for each of its reactions.
    pub(in crate::http) users: Vec<PostUserAnswer>,
    /// Where the next page begins; null at the end.
    pub(in crate::http) next_cursor: Option<String>,
}

/// The service is well.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct HealthAnswer {
    #[schema(example = "ok")]
    pub(in crate::http) status: &'static str,
}

/// A page of the users of one reaction, or of all.
#[derive(Serialize)]
#[serde(untagged)]
pub(in crate::http) enum AnyUsersAnswer {
    /// Of the reaction that the question names.
    OfOne(UsersAnswer),
    /// Of all reactions.
    OfAll(PostUsersAnswer),
}

/// The derive would write `oneOf`, and a page without users is both.
impl PartialSchema for AnyUsersAnswer {
    fn schema() -> RefOr<Schema> {
        let description = "A page of the users of the reaction that the question names, or of all.";
        AnyOfBuilder::new()
            .item(Ref::from_schema_name("UsersAnswer"))
            .item(Ref::from_schema_name("PostUsersAnswer"))
            .description(Some(description))
            .into()
    }
}

impl ToSchema for AnyUsersAnswer {}
