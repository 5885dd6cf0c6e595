//! Large answers: how much of them is held for their readers at a time.
//!
//! Whoever asks for much and reads it slowly must neither fill the memory nor keep others from
//! large answers. So they have one bound, and when that is reached, the connections are closed
//! whose answers have been on their way for longest.

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

/// An answer of at most so many bytes is not counted: each connection has one at a time.
const FREE_BYTES: usize = 16 * 1024;

/// An answer that has been on its way for less is not given up for another.
const READ_AT_LEAST: Duration = Duration::from_secs(2);

/// How long those that are given up may take to end, and how often that is looked at.
const ENDING: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_millis(5);

/// The bound on large answers.
#[derive(Debug)]
pub struct LargeAnswers {
    budget: ByteBudget,
    /// The oldest first; also some whose last byte is gone.
    on_their_way: Mutex<VecDeque<Weak<OnItsWay>>>,
}

/// A large answer on its way. It comes with the response, so that its connection can be found.
#[derive(Debug)]
pub(super) struct OnItsWay {
    since: Instant,
    bytes: usize,
    connection: OnceLock<Weak<Watch>>,
}

impl OnItsWay {
    /// Says which connection it goes over.
    pub(super) fn over(&self, connection: &Arc<Watch>) {
        let _ = self.connection.set(Arc::downgrade(connection));
    }
}

impl LargeAnswers {
    /// Room for so many bytes.
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { budget: ByteBudget::new(bytes), on_their_way: Mutex::default() })
    }

    /// An answer of this kind. A large one is counted until its last byte is with the system.
    ///
    /// # Errors
    ///
    /// `overloaded`, if there is no room for it.
    pub(in crate::http) async fn answer(
        self: &Arc<Self>,
        kind: HeaderValue,
        text: Vec<u8>,
    ) -> Result<Response, Problem> {
        // What was set aside counts, not only what was used of it.
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
        // The owner lives as long as any part of the bytes: hyper keeps them longer than the body.
        let mut response = Response::new(Body::from(Bytes::from_owner(held)));
        response.extensions_mut().insert(here);
        Ok(response)
    }

    /// Closes the connections whose answers have been on their way for longest, for so many bytes.
    /// Says whether there are so many.
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

/// The bytes of an answer, counted for as long as this lives.
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
