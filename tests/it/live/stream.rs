//! Live counts: the stream of server-sent events, with every kind of store.

use std::time::{Duration, Instant};

use onetap::domain::PostId;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;

use crate::support::events::{Events, path};
use crate::support::http::Connection;
use crate::support::program::Program;
use crate::support::service::Service;
use crate::support::{forms, post, posts, prefix};

/// A service with each kind of store, and what must outlive it.
async fn services() -> Vec<(&'static str, Service, Option<TempDir>)> {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("file:{}", folder.path().join("store.redb").display());
    let (sentinels, cluster) = (forms::sentinel_url().await, forms::cluster_url().await);
    let over = |url: &str| Service::with(&["--store", url, "--key-prefix", &prefix()]);
    vec![
        ("memory", Service::memory(), None),
        ("file", Service::with(&["--store", &file]), Some(folder)),
        ("redis", Service::redis(), None),
        ("sentinel", over(&sentinels), None),
        ("cluster", over(&cluster), None),
    ]
}

fn like(post: PostId, user: u64) -> String {
    format!("/v1/posts/{post}/reactions/like/users/{user}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_begins_with_every_post_and_goes_on_with_what_changes() {
    for (store, service, _folder) in services().await {
        let posts = posts(3);
        service.send("PUT", &like(posts[1], 7)).await.ok(201);
        let mut events = Events::open(service.address, &path(&posts)).await;
        for header in [
            "content-type: text/event-stream\r\n",
            "cache-control: no-store, no-transform\r\n",
            "x-accel-buffering: no\r\n",
        ] {
            assert!(events.head.contains(header), "{store}: {}", events.head);
        }
        for (i, post) in posts.iter().enumerate() {
            let event = events.next().await.unwrap();
            assert_eq!((event.name.as_str(), event.post()), ("summary", &*post.to_string()));
            assert_eq!(event.total(), u64::from(i == 1), "{store}");
        }
        let told = service.send("PUT", &like(posts[2], 8)).await.ok(201);
        let event = events.next().await.unwrap();
        assert_eq!(told["revision"], event.id, "{store}");
        // The event is byte for byte what GET answers.
        let got = service.send("GET", &format!("/v1/posts/{}/reactions", posts[2])).await.ok(200);
        assert_eq!(event.data, got, "{store}");
        for (post, user, total) in [(posts[0], 9, 1), (posts[1], 10, 2)] {
            service.send("PUT", &like(post, user)).await.ok(201);
            let event = events.next().await.unwrap();
            assert_eq!((event.post(), event.total()), (&*post.to_string(), total), "{store}");
        }
        service.send("DELETE", &like(posts[1], 7)).await.ok(200);
        let event = events.next().await.unwrap();
        assert_eq!((event.post(), event.total()), (&*posts[1].to_string(), 1), "{store}");
        // A tap that changes nothing sends no event, and neither does a post that nobody watches.
        service.send("PUT", &like(posts[1], 10)).await.ok(200);
        service.send("PUT", &like(post(), 10)).await.ok(201);
        assert!(events.next_within(Duration::from_millis(400)).await.is_none(), "{store}");
    }
}

#[tokio::test]
async fn recent_adds_the_newest_users_and_nothing_else_is_taken() {
    let service = Service::memory();
    let post = post();
    for user in 1..=3 {
        service.send("PUT", &like(post, user)).await.ok(201);
    }
    let mut events = Events::open(service.address, &(path(&[post]) + "&recent=2")).await;
    let mut plain = Events::open(service.address, &path(&[post])).await;
    for (user, total) in [(3, 3), (4, 4)] {
        service.send("PUT", &like(post, user)).await;
        let event = events.until(|event| event.total() == total).await.pop().unwrap();
        let got = format!("/v1/posts/{post}/reactions?recent=2");
        assert_eq!(event.data, service.send("GET", &got).await.ok(200));
        assert_eq!(event.data["reactions"][0]["recent"][0]["user_id"], user.to_string());
        let event = plain.until(|event| event.total() == total).await.pop().unwrap();
        assert!(event.data["reactions"][0].get("recent").is_none());
        assert!(event.data["reactions"][0].get("mine").is_none());
    }
    for (query, code) in [
        ("", "invalid_query"),
        ("?recent=1", "invalid_query"),
        (&format!("?post_id={post}&recent=21"), "invalid_query"),
        (&format!("?post_id={post}&recent=x"), "invalid_query"),
        (&format!("?post_id={post}&user_id=1"), "invalid_query"),
        (&format!("?post_id={post}&post_id=7"), "invalid_post_id"),
        ("?post_id=00000000-0000-0000-0000-000000000000", "invalid_post_id"),
    ] {
        let path = format!("/v1/posts/reactions/stream{query}");
        service.send("GET", &path).await.assert_problem(400, code);
    }
    service.send("GET", &path(&posts(101))).await.assert_problem(400, "invalid_query");
    let post = path(&[post]);
    service.send("POST", &post).await.assert_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn a_hundred_posts_and_a_doubled_one_are_a_hundred_snapshots() {
    let service = Service::memory();
    let mut asked = posts(100);
    asked.push(asked[3]);
    let mut events = Events::open(service.address, &path(&asked)).await;
    for post in &asked[..100] {
        assert_eq!(events.next().await.unwrap().post(), post.to_string());
    }
    service.send("PUT", &like(asked[3], 1)).await.ok(201);
    assert_eq!(events.next().await.unwrap().post(), asked[3].to_string());
    assert!(events.next_within(Duration::from_millis(300)).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_taps_are_few_events_and_the_last_has_the_final_count() {
    for (store, service, _folder) in services().await {
        let post = post();
        let mut events = Events::open(service.address, &path(&[post])).await;
        assert_eq!(events.next().await.unwrap().total(), 0);
        let begun = Instant::now();
        let reading = tokio::spawn(async move {
            let heard = events.until(|event| event.total() == 1000).await;
            assert!(events.next_within(Duration::from_millis(300)).await.is_none());
            heard
        });
        let tapping = (0..20).map(|connection| {
            let address = service.address;
            tokio::spawn(async move {
                let mut client = Connection::open(address).await;
                for user in 1..=50 {
                    client.send("PUT", like(post, connection * 50 + user), &[], "").await.ok(201);
                }
            })
        });
        for task in tapping.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        let took = begun.elapsed();
        let heard = reading.await.unwrap();
        // At most one event at the beginning, one for each tenth of a second begun, one at the end.
        let most = took.as_millis() / 100 + 3;
        assert!((heard.len() as u128) <= most, "{store}: {} events in {took:?}", heard.len());
        for pair in heard.windows(2) {
            assert!(pair[0].id < pair[1].id, "{store}: {pair:?}");
        }
        // This holds for a slow reader too: the first event was sent after the beginning.
        let spread = heard.last().unwrap().at - begun;
        let least = Duration::from_millis(100) * u32::try_from(heard.len() - 1).unwrap();
        assert!(spread >= least, "{store}: {heard:?} in {spread:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_leave_room_for_taps() {
    let program = Program::start(&["--store", "memory:", "--max-connections", "8"]);
    let post = post();
    let path = path(&[post]);
    let mut streams = Vec::new();
    for _ in 0..6 {
        streams.push(Events::open(program.address(), &path).await);
    }
    // A refused client keeps no place, not even if it leaves its connection open.
    let mut refused = Vec::new();
    for _ in 0..6 {
        let mut connection = Connection::open(program.address()).await;
        let response = connection.send("GET", &path, &[], "").await;
        response.assert_problem(503, "overloaded");
        assert!(response.body.contains("--max-connections"), "{}", response.body);
        refused.push(connection);
    }
    program.send("PUT", &like(post, 1)).await.ok(201);
    program.send("GET", "/healthz").await.ok(200);
    for stream in &mut streams {
        stream.until(|event| event.total() == 1).await;
    }
    assert_eq!(program.figure("onetap_live_streams_refused_total").await, 6);
    // When one stream ends, another gets its place.
    streams.pop();
    program.until_figure("onetap_live_streams", 5).await;
    streams.push(Events::open(program.address(), &path).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_away_leaves_nothing_behind() {
    let program = Program::start(&["--store", "memory:"]);
    let posts = posts(10);
    let idle = program.open_files();
    for abruptly in [false, true] {
        let mut streams = Vec::new();
        for _ in 0..100 {
            streams.push(Events::open(program.address(), &path(&posts)).await);
        }
        assert_eq!(program.figure("onetap_live_streams").await, 100);
        assert!(program.open_files() >= idle + 100);
        if abruptly {
            streams.iter().for_each(Events::reset_when_dropped);
        }
        drop(streams);
        // These posts do not change meanwhile, so onetap sends nothing on the streams.
        program.until_figure("onetap_live_streams", 0).await;
        program.until("closed files", || async { program.open_files() <= idle }).await;
    }
}

/// To the kernel this client looks like one that has vanished: it reads nothing. The stream sends
/// too little for our own write timeout to notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_nothing_more_is_given_up_though_little_is_sent() {
    let program = Program::start(&["--store", "memory:", "--write-timeout-ms", "1000"]);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    let mut client = socket.connect(program.address()).await.unwrap();
    let request = format!("GET {} HTTP/1.1\r\nhost: localhost\r\n\r\n", path(&posts(100)));
    client.write_all(request.as_bytes()).await.unwrap();
    program.until_figure("onetap_live_streams", 1).await;
    program.until_figure("onetap_live_streams", 0).await;
    assert_eq!(program.figure("onetap_live_streams_cut_slow_total").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_streams_before_it_waits_for_anything() {
    let mut program = Program::start(&["--store", "memory:", "--shutdown-grace-ms", "60000"]);
    let posts = posts(3);
    let mut streams = Vec::new();
    for _ in 0..100 {
        let mut stream = Events::open(program.address(), &path(&posts)).await;
        for _ in 0..3 {
            stream.next().await.unwrap();
        }
        streams.push(stream);
    }
    let begun = Instant::now();
    program.terminate();
    for stream in &mut streams {
        assert!(stream.ends_within(Duration::from_secs(5)).await, "a stream was cut");
    }
    assert_eq!(program.exit_code().await, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_quiet_stream_says_that_it_is_there() {
    // onetap would close a connection without a request much earlier.
    let service = Service::with(&["--idle-timeout-ms", "1000", "--head-timeout-ms", "1000"]);
    let mut events = Events::open(service.address, &path(&[post()])).await;
    events.next().await.unwrap();
    let begun = Instant::now();
    assert_eq!(events.block().await.unwrap(), ": still here");
    assert!((14..17).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}
