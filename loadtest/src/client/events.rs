//! The events of an open stream.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;

use super::{ClientError, SummaryAnswer, shown};

/// The longest event accepted. An event of onetap for one post has some hundred bytes.
const MAX_EVENT: usize = 64 * 1024;

/// An open stream.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    /// The received part of the next event.
    text: Vec<u8>,
    /// Keeps the connection open.
    _sender: SendRequest<Empty<Bytes>>,
}

impl Events {
    pub(super) fn new(body: Incoming, sender: SendRequest<Empty<Bytes>>) -> Self {
        Self { body, text: Vec::new(), _sender: sender }
    }

    /// The next summary; None at the end of the stream. It is cancel-safe.
    ///
    /// # Errors
    ///
    /// If the connection breaks, or if the event is not one of onetap's.
    pub async fn next(&mut self) -> Result<Option<SummaryAnswer>, ClientError> {
        loop {
            while let Some(end) = self.text.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.text.drain(..end + 2).collect();
                let mut lines = block.split(|byte| *byte == b'\n');
                if let Some(data) = lines.find_map(|line| line.strip_prefix(b"data: ")) {
                    let summary = serde_json::from_slice(data);
                    return summary
                        .map(Some)
                        .map_err(|error| ClientError::Unreadable(shown(data), error));
                }
            }
            if self.text.len() > MAX_EVENT {
                return Err(ClientError::TooLong(MAX_EVENT));
            }
            match self.body.frame().await {
                Some(frame) => {
                    self.text.extend_from_slice(&frame?.into_data().unwrap_or_default());
                }
                None => return Ok(None),
            }
        }
    }

    /// The next summary, within a timeout.
    ///
    /// # Errors
    ///
    /// Also at the timeout.
    pub async fn next_within(
        &mut self,
        time: Duration,
    ) -> Result<Option<SummaryAnswer>, ClientError> {
        tokio::time::timeout(time, self.next()).await.map_err(|_| ClientError::Silent)?
    }
}
