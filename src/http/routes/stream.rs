//! Live counts, as server-sent events.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use futures_util::Stream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::super::dto::{ReadProblems, SummaryAnswer};
use super::super::extract::Query;
use super::super::limits::Turn;
use super::super::middleware::since_1970;
use super::super::problem::Problem;
use super::super::server::Endless;
use super::super::state::Streams;
use crate::auth::Standing;
use crate::domain::Summary;
use crate::live::Watching;

/// After this time without an event we send a comment. Otherwise a proxy may take the connection
/// for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The end of a stream whose token is valid for even longer. A client opens another one.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// How many bytes of events one write collects before it stops. Newer events replace those that are
/// not sent yet.
const SENT_TOGETHER: usize = 8 * 1024;

/// Tells nginx and other proxies not to buffer the events.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A stream is the last response on its connection.
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// The counts of some posts, now and whenever they change.
///
/// Server-sent events. The stream begins with `retry`: the milliseconds to wait before a reconnect.
/// Then it has one event for each post, in the order asked, as onetap reads them. After that, a
/// post has an event when it or its rules have changed, at most every 100 ms. `event` is
/// `summary`, `id` the revision, and `data` the summary as `GET /v1/posts/{post_id}/reactions`
/// answers it, never with `mine`.
///
/// onetap closes a stream when it has not been able to read current counts for three to five
/// seconds. Open another one; it begins with the current summaries. A change that was no tap (a
/// Redis that somebody emptied or wrote to by hand) shows within thirty seconds. onetap ignores
/// `Last-Event-ID`. It refuses a stream with 503 `overloaded` when too many are open, and with 503
/// `store_unavailable` while the store is away. A stream ends when the token of its caller expires,
/// and at most 15 seconds after new keys do not verify it.
#[utoipa::path(
    get,
    path = "/v1/posts/reactions/stream",
    params(
        ("post_id" = Vec<uuid::Uuid>, Query, description = "1 to 100 posts, each `post_id=…`"),
        ("recent" = Option<u32>, Query, maximum = 20,
            description = "How many of the newest users of each reaction to add"),
    ),
    responses(
        (status = 200, body = String, content_type = "text/event-stream",
            description = "The events, each at most 164,000 bytes; 254,000 with text user ids"),
        ReadProblems,
    ),
)]
pub(in crate::http) async fn of_posts(
    State(streams): State<Arc<Streams>>,
    standing: Option<Extension<Standing>>,
    query: Query,
) -> Result<Response, Problem> {
    let query = query.only(&["post_id", "recent"])?;
    let mut turn = streams.turns.place();
    // Joining the hub is work too, so it needs a turn.
    poll_fn(|cx| turn.poll_take(cx)).await;
    let watching = match streams.hub.watch(query.posts()?, query.recent()?).await {
        Ok(watching) => watching,
        Err(refused) => {
            // An open connection would take one of the very places that are kept free for others.
            let mut response = Problem::from(refused).into_response();
            response.headers_mut().insert(CONNECTION, CLOSE);
            return Ok(response);
        }
    };
    let mut events = Events::of(watching, turn, query.caller().expires().map(time_until));
    events.standing = standing.map(|Extension(standing)| standing);
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    headers.insert(CONNECTION, CLOSE);
    response.extensions_mut().insert(Endless);
    Ok(response)
}

/// How long until a second since 1970. No stream lasts for longer than a month.
fn time_until(second: u64) -> Duration {
    Duration::from_secs(second).saturating_sub(since_1970()).min(LONGEST)
}

/// A summary as an event.
pub fn event(summary: Summary, recent: usize) -> Bytes {
    let revision = summary.revision;
    let data = serde_json::to_string(&SummaryAnswer::new(summary, recent));
    let data = data.expect("a summary is plain data");
    format!("event: summary\nid: {revision}\ndata: {data}\n\n").into()
}

/// A stream's events, and a comment when there are none for a while.
struct Events {
    watching: Watching,
    turn: Turn,
    /// The `retry` field has been sent.
    begun: bool,
    sent: Instant,
    /// Runs until the next comment is due, or until the stream may have waited too long to begin.
    quiet: Pin<Box<Sleep>>,
    /// Runs until the caller's token expires.
    end: Option<Pin<Box<Sleep>>>,
    /// The caller's token. None for callers without one.
    standing: Option<Standing>,
}

impl Events {
    fn of(mut watching: Watching, turn: Turn, end: Option<Duration>) -> Self {
        let now = Instant::now();
        let first = watching.look(now.into_std()).map_or(now + KEEP_ALIVE, Instant::from_std);
        let end = end.map(|end| Box::pin(sleep_until(now + end)));
        let quiet = Box::pin(sleep_until(first));
        Self { watching, turn, begun: false, sent: now, quiet, end, standing: None }
    }

    /// Whether the token is not valid any more: it has expired, or the keys are others.
    fn has_ended(&mut self, cx: &mut Context<'_>) -> bool {
        self.end.as_mut().is_some_and(|end| end.as_mut().poll(cx).is_ready())
            || (self.standing.as_mut()).is_some_and(|it| it.has_ended(since_1970().as_secs()))
    }
}

impl Events {
    /// The event, and others that are ready now. A hundred snapshots need not be a hundred writes.
    fn with_more(&self, first: Bytes, cx: &Context<'_>) -> Bytes {
        let Poll::Ready(Some(second)) = self.watching.poll_next(cx) else { return first };
        let mut together = Vec::with_capacity(SENT_TOGETHER);
        together.extend_from_slice(&first);
        together.extend_from_slice(&second);
        while together.len() < SENT_TOGETHER
            && let Poll::Ready(Some(next)) = self.watching.poll_next(cx)
        {
            together.extend_from_slice(&next);
        }
        together.into()
    }
}

impl Stream for Events {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended(cx) {
            return Poll::Ready(None);
        }
        if !std::mem::replace(&mut self.begun, true) {
            let retry = self.watching.retry().as_millis();
            return Poll::Ready(Some(Ok(format!("retry: {retry}\n\n").into())));
        }
        if self.watching.poll_ready(cx).is_ready() {
            ready!(self.turn.poll_take(cx));
            let first = ready!(self.watching.poll_next(cx));
            self.sent = Instant::now();
            return Poll::Ready(first.map(|first| Ok(self.with_more(first, cx))));
        }
        // An event leaves the timer alone. When it expires, it starts again from the last event.
        while self.quiet.as_mut().poll(cx).is_ready() {
            let (now, keep_alive) = (Instant::now(), self.sent + KEEP_ALIVE);
            let look = self.watching.look(now.into_std()).map(Instant::from_std);
            if keep_alive > now {
                let next = look.into_iter().fold(keep_alive, Instant::min);
                self.quiet.as_mut().reset(next);
                continue;
            }
            self.sent = now;
            self.quiet.as_mut().reset(now + KEEP_ALIVE);
            return Poll::Ready(Some(Ok(Bytes::from_static(b": still here\n\n"))));
        }
        Poll::Pending
    }
}
