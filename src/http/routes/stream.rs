//! Live counts, as server-sent events.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use futures_util::Stream;
use tokio::time::{Instant, Sleep, sleep};

use super::super::connection::Endless;
use super::super::dto::SummaryAnswer;
use super::super::extract::Query;
use super::super::openapi::ReadProblems;
use super::super::problem::Problem;
use super::super::state::SharedState;
use crate::domain::Summary;
use crate::live::Watching;

/// After so long without an event something is sent all the same, so that nobody on the way takes
/// the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Told to nginx and its like, which would otherwise hold events back.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Nothing else is asked on the connection.
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// The counts of some posts, now and whenever they change.
///
/// Server-sent events. It begins with one event for each post, in the order asked; then a post has
/// one when it has changed, at most every 100 ms. `event` is `summary`, `id` the revision, `data`
/// the summary as `GET /v1/posts/{post_id}/reactions` answers it, never with `mine`. A stream that
/// cannot go on truly is closed; open another, which begins with what is true then. What has
/// changed without a tap (in a Redis that was emptied or written to by hand) is told too, within
/// thirty seconds.
/// `Last-Event-ID` means nothing. When too many are open, another is 503 `overloaded`.
#[utoipa::path(
    get,
    path = "/v1/posts/reactions/stream",
    tag = "reads",
    params(
        ("post_id" = Vec<uuid::Uuid>, Query, description = "1 to 100 posts, each `post_id=…`"),
        ("recent" = Option<u32>, Query, maximum = 20,
            description = "How many of the newest users of each reaction to add"),
    ),
    responses(
        (status = 200, description = "The events", body = String, content_type = "text/event-stream"),
        ReadProblems,
    ),
)]
pub(in crate::http) async fn of_posts(
    State(state): State<SharedState>,
    query: Query,
) -> Result<Response, Problem> {
    let query = query.only(&["post_id", "recent"])?;
    let watching = match state.live.watch(query.posts()?, query.recent()?) {
        Ok(watching) => watching,
        Err(refused) => {
            // Left open, its connection would take the very place that is kept for others.
            let mut response = Problem::from(refused).into_response();
            response.headers_mut().insert(CONNECTION, CLOSE);
            return Ok(response);
        }
    };
    watching.ready(state.deadline()).await?;
    let mut response = Response::new(Body::from_stream(Events::of(watching)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    headers.insert(CONNECTION, CLOSE);
    response.extensions_mut().insert(Endless);
    Ok(response)
}

/// A summary as an event.
pub fn event(summary: Summary, recent: usize) -> Bytes {
    let revision = summary.revision;
    let data = serde_json::to_string(&SummaryAnswer::new(summary, recent));
    let data = data.expect("a summary is plain data");
    format!("event: summary\nid: {revision}\ndata: {data}\n\n").into()
}

/// A stream's events, and something now and then where there are none.
struct Events {
    watching: Watching,
    sent: Instant,
    quiet: Pin<Box<Sleep>>,
}

impl Events {
    fn of(watching: Watching) -> Self {
        Self { watching, sent: Instant::now(), quiet: Box::pin(sleep(KEEP_ALIVE)) }
    }
}

impl Stream for Events {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(event) = self.watching.poll_next(cx) {
            self.sent = Instant::now();
            return Poll::Ready(event.map(Ok));
        }
        // An event does not touch the timer: it runs out, and begins anew from the last one.
        while self.quiet.as_mut().poll(cx).is_ready() {
            let (now, due) = (Instant::now(), self.sent + KEEP_ALIVE);
            if due > now {
                self.quiet.as_mut().reset(due);
                continue;
            }
            self.sent = now;
            self.quiet.as_mut().reset(now + KEEP_ALIVE);
            return Poll::Ready(Some(Ok(Bytes::from_static(b": still here\n\n"))));
        }
        Poll::Pending
    }
}
