//! Writes: toggle, set, unset.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

use super::super::dto::{ActorParams, KeyParams, TapAnswer, TapParams, ToggleBody, WriteProblems};
use super::super::extract::{ActorHeader, IdempotencyHeader, JsonBody, NoBody, Query, TapPath};
use super::super::problem::Problem;
use super::super::state::{JSON, Reactions};
use crate::domain::{Add, Form, Outcome, Refusal, Tap, UserId};
use crate::rate_limit::{Client, Deed};
use crate::store::{Store as _, StoreError};

/// Marks a response that repeats the response to an earlier tap with the same key.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The usual length of a response. A buffer that has to grow is copied.
const ANSWER_BYTES: usize = 256;

/// Flip a reaction.
///
/// Not idempotent: a request that is sent twice cancels itself. Send `from` or an idempotency key,
/// or use PUT and DELETE, where that can happen.
#[utoipa::path(
    post,
    path = "/v1/posts/{post_id}/reactions/{reaction}/users/{user_id}/toggle",
    params(TapParams, KeyParams, ActorParams),
    request_body(content = Option<ToggleBody>, content_type = "application/json"),
    responses(
        (status = 200, description = "Counted once", body = TapAnswer,
            headers(("Idempotency-Replayed" = String, description = "`true` where an earlier request had the key"))),
        WriteProblems,
    ),
)]
pub(in crate::http) async fn toggle(
    State(reactions): State<Arc<Reactions>>,
    path: TapPath,
    (key, actor): (IdempotencyHeader, ActorHeader),
    query: Query,
    body: JsonBody<ToggleBody>,
) -> Result<Response, Problem> {
    let form = body.0.from.map_or(Form::Toggle, Form::ToggleFrom);
    count(&reactions, path, (&key, actor), form, query).await
}

/// Turn a reaction on.
///
/// Repeating it is never an error. 201 if it was off before.
#[utoipa::path(
    put,
    path = "/v1/posts/{post_id}/reactions/{reaction}/users/{user_id}",
    params(TapParams, KeyParams, ActorParams),
    responses(
        (status = 200, description = "It was on already", body = TapAnswer,
            headers(("Idempotency-Replayed" = String, description = "`true` where an earlier request had the key"))),
        (status = 201, description = "It is on now", body = TapAnswer,
            headers(("Idempotency-Replayed" = String, description = "`true` where an earlier request had the key"))),
        WriteProblems,
    ),
)]
pub(in crate::http) async fn set(
    State(reactions): State<Arc<Reactions>>,
    path: TapPath,
    (key, actor): (IdempotencyHeader, ActorHeader),
    query: Query,
    _: JsonBody<NoBody>,
) -> Result<Response, Problem> {
    count(&reactions, path, (&key, actor), Form::Set, query).await
}

/// Turn a reaction off.
///
/// Repeating it is never an error.
#[utoipa::path(
    delete,
    path = "/v1/posts/{post_id}/reactions/{reaction}/users/{user_id}",
    params(TapParams, KeyParams, ActorParams),
    responses(
        (status = 200, description = "It is off", body = TapAnswer,
            headers(("Idempotency-Replayed" = String, description = "`true` where an earlier request had the key"))),
        WriteProblems,
    ),
)]
pub(in crate::http) async fn unset(
    State(reactions): State<Arc<Reactions>>,
    path: TapPath,
    (key, actor): (IdempotencyHeader, ActorHeader),
    query: Query,
    _: JsonBody<NoBody>,
) -> Result<Response, Problem> {
    count(&reactions, path, (&key, actor), Form::Unset, query).await
}

/// Counts a tap and builds the response.
async fn count(
    reactions: &Reactions,
    TapPath { post, user, reaction, add }: TapPath,
    (key, actor): (&IdempotencyHeader, ActorHeader),
    form: Form,
    query: Query,
) -> Result<Response, Problem> {
    query.only(&[])?;
    let (keyed, actor) = (key.keyed(post, user, form)?, actor.besides(user));
    let act = form.act(reaction.clone());
    reactions.spend(actor.unwrap_or(user), deed(form), act.reactions())?;
    let tap = Tap { post, user, act, keyed, palettes: reactions.palettes(), actor, add };
    let outcome = reactions.tap(tap).await?;
    let answer = TapAnswer::new(post, user, &reaction, &outcome);
    let created = form == Form::Set && outcome.changed;
    let mut text = Vec::with_capacity(ANSWER_BYTES);
    serde_json::to_writer(&mut text, &answer).expect("it is plain data");
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    if created {
        *response.status_mut() = StatusCode::CREATED;
    }
    mark_replay(&mut response, &outcome);
    Ok(response)
}

/// A toggle may add, unless its caller has seen that it removes.
fn deed(form: Form) -> Deed {
    match form {
        Form::Unset | Form::ToggleFrom(true) => Deed::Removing,
        Form::Set | Form::Toggle | Form::ToggleFrom(false) | Form::Exactly => Deed::Adding,
    }
}

impl Reactions {
    /// Counts taps for the rate limits: for the user, or for the moderator who acts.
    pub(super) fn spend(&self, who: UserId, deed: Deed, taps: NonZeroU32) -> Result<(), Problem> {
        let Some(rates) = &self.rates else { return Ok(()) };
        Ok(rates.take(deed, Client::User(who), taps)?)
    }

    /// Counts a tap in the store. A user who has sent too many first reactions may add only what
    /// somebody has on the post. The step itself judges that, so a flood that is refused writes
    /// nothing.
    pub(super) async fn tap(&self, mut tap: Tap) -> Result<Outcome, Problem> {
        let bound = tap.actor.is_none() && tap.add == Add::All && !tap.act.only_removes();
        let Some(rates) = self.rates.as_ref().filter(|_| bound) else {
            return Ok(self.store.tap(tap, self.deadline()).await?);
        };
        match rates.take_first(Client::User(tap.user), tap.act.reactions()) {
            Ok(taken) => {
                let outcome = self.store.tap(tap, self.deadline()).await;
                if !may_be_first(&outcome) {
                    taken.give_back();
                }
                Ok(outcome?)
            }
            Err(exceeded) => {
                tap.add = Add::Existing;
                let outcome = self.store.tap(tap, self.deadline()).await;
                if let Err(StoreError::Refused(Refusal::NobodyHas(_))) = outcome {
                    rates.stats().first.add(1);
                    return Err(exceeded.into());
                }
                Ok(outcome?)
            }
        }
    }
}

/// Whether a tap may have been the first of its reaction on the post. Of a whole set the outcome
/// does not say it.
fn may_be_first(outcome: &Result<Outcome, StoreError>) -> bool {
    match outcome {
        Ok(outcome) => outcome.changed && outcome.active && !outcome.replayed && outcome.count <= 1,
        Err(error) => matches!(error, StoreError::OutcomeUnknown),
    }
}

/// Adds the header of a response that repeats an earlier one.
pub(super) fn mark_replay(response: &mut Response, outcome: &Outcome) {
    if outcome.replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
}
