//! A client of a stream of server-sent events.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use onetap::domain::PostId;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An open stream.
pub(crate) struct Events {
    stream: TcpStream,
    /// The head of the response, in lower case.
    pub(crate) head: String,
    /// Bytes received, still with chunked encoding.
    raw: Vec<u8>,
    /// Text received, without chunked encoding.
    text: String,
    ended: bool,
}

/// An event, and when it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: u64,
    pub(crate) data: Value,
    pub(crate) at: Instant,
}

impl Event {
    pub(crate) fn post(&self) -> &str {
        self.data["post_id"].as_str().unwrap()
    }

    pub(crate) fn total(&self) -> u64 {
        self.data["total"].as_u64().unwrap()
    }
}

/// The path of the stream of these posts.
pub(crate) fn path(posts: &[PostId]) -> String {
    let query: Vec<_> = posts.iter().map(|post| format!("post_id={post}")).collect();
    format!("/v1/posts/reactions/stream?{}", query.join("&"))
}

impl Events {
    /// Requests a path, and expects a stream.
    pub(crate) async fn open(address: SocketAddr, path: &str) -> Self {
        let events = Self::try_open(address, path).await.expect("an answer");
        assert!(events.head.starts_with("http/1.1 200 "), "{}", events.head);
        events
    }

    /// Requests a path. None if no whole response head arrives.
    pub(crate) async fn try_open(address: SocketAddr, path: &str) -> Option<Self> {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let (head, raw) = (String::new(), Vec::new());
        let mut events = Self { stream, head, raw, text: String::new(), ended: false };
        let end = loop {
            if let Some(end) = events.raw.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if !events.more().await {
                return None;
            }
        };
        events.head = String::from_utf8(events.raw.drain(..end + 4).collect()).unwrap();
        events.head.make_ascii_lowercase();
        Some(events)
    }

    /// Makes a drop reset the connection, as when a machine fails.
    pub(crate) fn reset_when_dropped(&self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// The next event. None at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        let reading = async {
            loop {
                let block = self.block().await?;
                if !block.starts_with(':') && !block.starts_with("retry: ") {
                    return Some(event(&block));
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reading).await.expect("no event in 20 s")
    }

    /// The next event. None if none comes within `time`, or at the end of the stream.
    pub(crate) async fn next_within(&mut self, time: Duration) -> Option<Event> {
        tokio::time::timeout(time, self.next()).await.ok().flatten()
    }

    /// Reads until an event matches, and returns all that it read.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut read = Vec::new();
        let reading = async {
            while let Some(event) = self.next().await {
                read.push(event);
                if read.last().is_some_and(&wanted) {
                    return true;
                }
            }
            false
        };
        let found = tokio::time::timeout(Duration::from_secs(20), reading).await;
        assert!(matches!(found, Ok(true)), "the wanted event did not come: {read:#?}");
        read
    }

    /// Reads to the end of the stream, for at most `time`. True if the stream ended cleanly, with a
    /// last chunk. A cut stream has none.
    pub(crate) async fn ends_within(&mut self, time: Duration) -> bool {
        let reading = async { while self.block().await.is_some() {} };
        tokio::time::timeout(time, reading).await.is_ok() && self.ended
    }

    /// The next event or comment, as received.
    pub(crate) async fn block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                return Some(block.trim_end().to_owned());
            }
            if !self.unchunk() && (self.ended || !self.more().await) {
                return None;
            }
        }
    }

    /// Decodes one whole chunk, if it has arrived.
    fn unchunk(&mut self) -> bool {
        let Some(line) = self.raw.windows(2).position(|window| window == b"\r\n") else {
            return false;
        };
        let length = std::str::from_utf8(&self.raw[..line]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        let chunk = line + 2..line + 2 + length;
        if self.raw.len() < chunk.end + 2 {
            return false;
        }
        self.text.push_str(std::str::from_utf8(&self.raw[chunk.clone()]).unwrap());
        self.raw.drain(..chunk.end + 2);
        self.ended |= length == 0;
        true
    }

    async fn more(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer).await {
            Ok(0) | Err(_) => false,
            Ok(n) => {
                self.raw.extend(&buffer[..n]);
                true
            }
        }
    }
}

fn event(block: &str) -> Event {
    let field = |name: &str| {
        let lines = block.lines().filter_map(|line| line.split_once(": "));
        let mut values = lines.filter(|(field, _)| *field == name).map(|(_, value)| value);
        let value = values.next().unwrap_or_else(|| panic!("no {name} in {block}"));
        assert!(values.next().is_none(), "{block}");
        value.to_owned()
    };
    let data: Value = serde_json::from_str(&field("data")).unwrap();
    let event =
        Event { name: field("event"), id: field("id").parse().unwrap(), data, at: Instant::now() };
    assert_eq!(event.data["revision"], event.id);
    event
}
