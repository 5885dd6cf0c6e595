//! Large responses: a bound on the bytes that wait for their clients.
//!
//! A client that asks for much and reads slowly must neither fill the memory nor keep large
//! responses from others. So all large responses share one budget. When it is used up, onetap
//! closes the connections whose responses have been on their way for longest.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use parking_lot::Mutex;
use tokio::time::sleep;

use super::super::limits::ByteBudget;
use super::super::problem::{Code, Problem};
use super::watch::Watch;

/// A response up to this size is not counted: a connection has only one at a time.
const FREE_BYTES: usize = 16 * 1024;

/// A younger response is never given up for another.
const READ_AT_LEAST: Duration = Duration::from_secs(2);

/// How long to wait for the closed connections to return their bytes, and how often to check.
const ENDING: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_millis(5);

/// The budget of large responses.
#[derive(Debug)]
pub struct LargeAnswers {
    budget: ByteBudget,
    /// The oldest first. Some of them may be finished already.
    on_their_way: Mutex<VecDeque<Weak<OnItsWay>>>,
}

/// A large response on its way. It travels in the response's extensions, so that the connection can
/// register itself.
#[derive(Debug)]
pub(super) struct OnItsWay {
    since: Instant,
    bytes: usize,
    connection: OnceLock<Weak<Watch>>,
}

impl OnItsWay {
    /// Registers the connection that sends it.
    pub(super) fn over(&self, connection: &Arc<Watch>) {
        let _ = self.connection.set(Arc::downgrade(connection));
    }
}

impl LargeAnswers {
    /// A budget of this many bytes.
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { budget: ByteBudget::new(bytes), on_their_way: Mutex::default() })
    }

    /// A response with this content type. A large one is counted until the kernel has its last
    /// byte.
    ///
    /// # Errors
    ///
    /// `overloaded`, if the budget has no room for it.
    pub(in crate::http) async fn answer(
        self: &Arc<Self>,
        kind: HeaderValue,
        text: Vec<u8>,
    ) -> Result<Response, Problem> {
        // The whole allocation counts, not only the part with text.
        let bytes = text.capacity();
        let mut response = if bytes <= FREE_BYTES {
            Response::new(Body::from(text))
        } else {
            self.large(text, bytes).await?
        };
        response.headers_mut().insert(CONTENT_TYPE, kind);
        Ok(response)
    }

    async fn large(self: &Arc<Self>, text: Vec<u8>, bytes: usize) -> Result<Response, Problem> {
        let room =
            self.budget.try_take(bytes) || self.give_up(bytes) && self.take_soon(bytes).await;
        if !room {
            let detail = "answers that are being read fill --max-answer-bytes-in-flight; \
                          ask for fewer posts or users, or try again";
            return Err(Problem::new(Code::Overloaded, detail));
        }
        let since = Instant::now();
        let here = Arc::new(OnItsWay { since, bytes, connection: OnceLock::new() });
        let held = Held { text, on_its_way: Arc::clone(&here), answers: Arc::clone(self) };
        {
            let mut all = self.on_their_way.lock();
            if all.len() == all.capacity() {
                all.retain(|answer| answer.strong_count() > 0);
                let length = all.len();
                all.reserve(length.max(16));
            }
            all.push_back(Arc::downgrade(&here));
        }
        // Freed with the last part of the bytes: hyper keeps parts for longer than the body.
        let mut response = Response::new(Body::from(Bytes::from_owner(held)));
        response.extensions_mut().insert(here);
        Ok(response)
    }

    /// Closes the connections whose responses have been on their way for longest, until they hold
    /// at least `bytes`. False if all that may be closed hold less.
    fn give_up(&self, mut bytes: usize) -> bool {
        let all = self.on_their_way.lock();
        for answer in all.iter().filter_map(Weak::upgrade) {
            if bytes == 0 || answer.since.elapsed() < READ_AT_LEAST {
                break;
            }
            if let Some(connection) = answer.connection.get().and_then(Weak::upgrade) {
                connection.give_answer_up();
                bytes = bytes.saturating_sub(answer.bytes);
            }
        }
        bytes == 0
    }

    async fn take_soon(&self, bytes: usize) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < ENDING {
            sleep(LOOK).await;
            if self.budget.try_take(bytes) {
                return true;
            }
        }
        false
    }
}

/// The bytes of a response, counted for as long as this lives.
struct Held {
    text: Vec<u8>,
    on_its_way: Arc<OnItsWay>,
    answers: Arc<LargeAnswers>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.answers.budget.give_back(self.on_its_way.bytes);
    }
}

#[cfg(test)]
mod tests {
    use axum::body::HttpBody as _;

    use super::*;

    const KIND: HeaderValue = HeaderValue::from_static("text/plain");

    #[tokio::test]
    async fn a_large_answer_is_counted_until_its_last_part_is_gone() {
        let answers = LargeAnswers::new(100_000);
        let large = async || answers.answer(KIND, vec![b'x'; 30_000]).await;
        let first = answers.answer(KIND, vec![b'x'; 80_000]).await.expect("there is room");
        assert!(large().await.is_err());
        assert!(answers.answer(KIND, vec![b'x'; FREE_BYTES]).await.is_ok(), "small ones are free");
        let mut body = first.into_body();
        assert_eq!(body.size_hint().exact(), Some(80_000));
        let polled = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await;
        let frame = polled.expect("a frame").expect("a frame").into_data().expect("data");
        drop(body);
        let end = frame.slice(79_000..);
        drop(frame);
        assert!(large().await.is_err(), "a part of it is still here");
        drop(end);
        assert!(large().await.is_ok());
    }
}
