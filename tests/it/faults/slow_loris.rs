//! Clients that hold connections open and send next to nothing. Others are answered meanwhile, and each
//! such connection is gone by its deadline.
//!
//! `make bystander` has figures of the same load.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::bystander::{Sends, alone, assert_all_answered, stand_by};
use crate::support::post;
use crate::support::program::Program;

const HEAD_TIMEOUT: Duration = Duration::from_secs(2);
const BODY_TIMEOUT: Duration = Duration::from_secs(3);
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// What the machine may be late by, while all these connections and other tests are there.
const SLACK: Duration = Duration::from_secs(3);

/// How a connection wastes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slow {
    /// A request line, and then a header without end.
    Head,
    /// Nothing at all.
    Silent,
    /// A head that promises a body, and then a byte now and then.
    Body,
}

/// Holds a connection open until the service closes it. Returns what it answered and after what time.
async fn hold(service: std::net::SocketAddr, slow: Slow) -> (Slow, String, Duration) {
    let mut stream = TcpStream::connect(service).await.unwrap();
    let begun = Instant::now();
    let first = match slow {
        Slow::Head => "GET /v1/palettes HTTP/1.1\r\nhost: localhost\r\nx-slow: ".to_owned(),
        Slow::Silent => String::new(),
        Slow::Body => {
            let path = format!("/v1/posts/{}/users/1/reactions", post());
            let json = "content-type: application/json\r\ncontent-length: 1000";
            format!("PUT {path} HTTP/1.1\r\nhost: localhost\r\n{json}\r\n\r\n")
        }
    };
    stream.write_all(first.as_bytes()).await.unwrap();
    let (mut answers, mut requests) = stream.into_split();
    let drip = async {
        // Each byte shows that the client is there. That must not put off the deadline.
        while slow != Slow::Silent && requests.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = drip => {}
        // A reset is an end, too.
        _ = answers.read_to_end(&mut answer) => {}
    }
    (slow, String::from_utf8_lossy(&answer).into_owned(), begun.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_gone_by_their_deadline_and_delay_nobody() {
    let _alone = alone().await;
    let ms = |time: Duration| format!("{}ms", time.as_millis());
    let (head, body, idle) = (ms(HEAD_TIMEOUT), ms(BODY_TIMEOUT), ms(IDLE_TIMEOUT));
    let service = Program::start(&[
        "--store",
        "memory:",
        "--head-timeout",
        &head,
        "--body-timeout",
        &body,
        "--idle-timeout",
        &idle,
    ]);
    let address = service.address;
    let mut held = JoinSet::new();
    for (slow, connections) in [(Slow::Head, 500), (Slow::Silent, 500), (Slow::Body, 100)] {
        for _ in 0..connections {
            held.spawn(hold(address, slow));
        }
    }
    // The scrape's own connection is not one of them.
    let all_held = || async { service.figure("onetap_http_connections").await > 1_100 };
    service.until("1,100 connections are open", all_held).await;
    let codes = stand_by(address, Sends::NewConnections, IDLE_TIMEOUT).await;
    assert_all_answered(&codes);
    while let Some(ended) = held.join_next().await {
        let (slow, answer, after) = ended.unwrap();
        let (deadline, status) = match slow {
            Slow::Head => (HEAD_TIMEOUT, ""),
            Slow::Silent => (IDLE_TIMEOUT, ""),
            Slow::Body => (BODY_TIMEOUT, "HTTP/1.1 408 "),
        };
        assert!(after >= deadline / 2, "{slow:?} was closed after {after:?}: {answer}");
        assert!(after <= deadline + SLACK, "{slow:?} was closed after {after:?}");
        assert!(answer.starts_with(status), "{slow:?}: {answer}");
    }
    service.until_figure("onetap_http_connections", 1).await;
}
