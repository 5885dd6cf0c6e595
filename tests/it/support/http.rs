//! An HTTP client that sends exactly the given bytes: tests also send what a library would correct.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One keep-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, received: Vec::new() }
    }

    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: impl AsRef<[u8]>,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut request = format!("{method} ").into_bytes();
        request.extend(path.as_ref());
        request.extend(b" HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            request.extend(format!("{name}: {value}\r\n").bytes());
        }
        if !body.is_empty() {
            request.extend(format!("content-length: {}\r\n", body.len()).bytes());
        }
        request.extend(b"\r\n");
        request.extend(body.bytes());
        self.write(&request).await;
        self.read_for(method).await.expect("an answer")
    }

    /// Writes raw bytes. The server may have closed the connection already.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Closes the sending half.
    pub(crate) async fn close_half(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// The next response. None if the server closed the connection.
    pub(crate) async fn read(&mut self) -> Option<Response> {
        self.read_for("GET").await
    }

    async fn read_for(&mut self, method: &str) -> Option<Response> {
        let read = async {
            let end = loop {
                if let Some(end) = find(&self.received, b"\r\n\r\n") {
                    break end;
                }
                self.more().await?;
            };
            let head = String::from_utf8(self.received[..end].to_vec()).unwrap();
            let mut lines = head.split("\r\n");
            let status: u16 = lines.next()?.split(' ').nth(1)?.parse().unwrap();
            let headers: Vec<(String, String)> = lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
                .collect();
            let length = headers.iter().find(|(name, _)| name == "content-length");
            let bodiless = method == "HEAD" || status == 304;
            let chunked =
                headers.iter().any(|(name, how)| name == "transfer-encoding" && how == "chunked");
            // A stream does not end.
            let stream = headers.iter().any(|(_, kind)| kind == "text/event-stream");
            if chunked && !bodiless && !stream {
                self.received.drain(..end + 4);
                let body = String::from_utf8(self.chunks().await?).unwrap();
                return Some(Response { status, headers, body });
            }
            let length = match length {
                Some((_, length)) if !bodiless => length.parse().unwrap(),
                _ => 0,
            };
            while self.received.len() < end + 4 + length {
                self.more().await?;
            }
            let body = String::from_utf8(self.received[end + 4..end + 4 + length].to_vec());
            self.received.drain(..end + 4 + length);
            Some(Response { status, headers, body: body.unwrap_or_default() })
        };
        tokio::time::timeout(Duration::from_secs(30), read).await.expect("no answer in 30 s")
    }

    /// A body in chunks, whole. None if the server closed the connection within it.
    async fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                if let Some(end) = find(&self.received, b"\r\n") {
                    break end;
                }
                self.more().await?;
            };
            let size = std::str::from_utf8(&self.received[..end]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            while self.received.len() < end + 2 + size + 2 {
                self.more().await?;
            }
            body.extend_from_slice(&self.received[end + 2..end + 2 + size]);
            self.received.drain(..end + 2 + size + 2);
            if size == 0 {
                return Some(body);
            }
        }
    }

    /// Reads more bytes. None at the end.
    async fn more(&mut self) -> Option<()> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer).await {
            Ok(0) | Err(_) => None,
            Ok(n) => {
                self.received.extend(&buffer[..n]);
                Some(())
            }
        }
    }

    /// Whether the server closes the connection within `time` without sending a byte.
    pub(crate) async fn is_closed_within(&mut self, time: Duration) -> bool {
        matches!(tokio::time::timeout(time, self.more()).await, Ok(None))
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Asserts that the response is a whole problem with this status and code.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let body = self.json();
        assert_eq!(body["code"], code, "{self:?}");
        assert_eq!(body["status"], status, "{self:?}");
        assert_eq!(body["type"], "about:blank", "{self:?}");
        assert!(body["title"].is_string() && body["detail"].is_string(), "{self:?}");
        // The same name in the header, in the body and in the log.
        assert!(body["request_id"].is_string(), "{self:?}");
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"), "{self:?}");
        let retry = matches!(status, 429 | 503 | 504);
        assert_eq!(self.header("retry-after").is_some(), retry, "{self:?}");
    }

    /// Asserts that the response has this status and JSON, and returns the JSON.
    #[track_caller]
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        self.json()
    }
}
