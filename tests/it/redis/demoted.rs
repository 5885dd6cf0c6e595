//! A server becomes a replica while nobody writes. It goes on answering reads, and onetap must stop
//! using them.

use std::time::{Duration, Instant};

use crate::support::events::{Events, path};
use crate::support::post;
use crate::support::program::Program;
use crate::support::redis_server::{Kind, RedisServer};

/// How long onetap may still use reads of a demoted server.
const BOUND: Duration = Duration::from_secs(2);

async fn replicate(server: &RedisServer, of: Option<&RedisServer>) {
    let mut client = server.client().await;
    let mut order = redis::cmd("REPLICAOF");
    match of.map(RedisServer::address) {
        Some(address) => order.arg(address.ip().to_string()).arg(address.port()),
        None => order.arg("NO").arg("ONE"),
    };
    let _: () = order.query_async(&mut client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_no_longer_primary_is_not_read() {
    let [server, other] = [1, 2].map(|_| RedisServer::start(Kind::Redis, &[]));
    let program = Program::start(&["--store", &server.url()]);
    program.until_ready().await;
    let post = post();
    program.send("PUT", &format!("/v1/posts/{post}/reactions/like/users/1")).await.ok(201);
    let read = format!("/v1/posts/{post}/reactions");
    let mut stream = Events::open(program.address(), &path(&[post])).await;
    assert_eq!(stream.next().await.unwrap().total(), 1);
    program.send("GET", &read).await.ok(200);

    // From now on there are only reads, on each lane in turn.
    replicate(&server, Some(&other)).await;
    let demoted = Instant::now();
    let mut last = demoted;
    while demoted.elapsed() < 2 * BOUND {
        let answer = program.send("GET", &read).await;
        if answer.status == 200 {
            last = Instant::now();
        } else {
            answer.assert_problem(503, "store_unavailable");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("read for {:?}", last - demoted);
    assert!(last - demoted < BOUND, "read for {:?}", last - demoted);
    assert!(program.log().contains("it has become a replica"), "{}", program.log());
    // The stream has ended by then, or ends soon. It has sent nothing of the other server's data.
    let mut left = Duration::from_secs(6).saturating_sub(demoted.elapsed());
    while let Ok(event) = tokio::time::timeout(left, stream.next()).await {
        let Some(event) = event else { break };
        assert_eq!(event.total(), 1, "{event:?}");
        left = Duration::from_secs(6).saturating_sub(demoted.elapsed());
    }
    assert!(demoted.elapsed() < Duration::from_secs(6), "the stream goes on");

    replicate(&server, None).await;
    program.until("read again", async || program.send("GET", &read).await.status == 200).await;
    program.until_ready().await;
    let streamed = async || {
        let stream = Events::try_open(program.address(), &path(&[post])).await;
        let Some(mut stream) = stream else { return false };
        // Any content will do: the server has copied the other one.
        stream.next().await.is_some()
    };
    program.until("streamed again", streamed).await;
}
