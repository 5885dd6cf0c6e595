//! Rate limits: what each user, and each address without a token, may send.

use super::{Keys, key, send, token};
use crate::support::http::{Connection, Response};
use crate::support::service::Service;
use crate::support::{post, posts};

/// So slow that no test sees anything come back.
const SLOW: [&str; 2] = ["--rate-limit-window", "1d"];

fn path(user: &str) -> String {
    format!("/v1/posts/{}/reactions/like/users/{user}", post())
}

fn bearer(token: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {token}"))
}

/// Sends the same request `times` times, and says how many were not refused.
async fn passed(
    connection: &mut Connection,
    times: usize,
    (method, path, body): (&str, &str, &str),
    headers: &[(&str, &str)],
) -> usize {
    let mut passed = 0;
    for _ in 0..times {
        let answer = connection.send(method, path, headers, body).await;
        match answer.status {
            200 | 201 => passed += 1,
            _ => answer.assert_problem(429, "rate_limited"),
        }
    }
    passed
}

async fn tapped(service: &Service, token: &str, times: usize, method: &str, path: &str) -> usize {
    let (name, bearer) = bearer(token);
    let mut connection = service.connect().await;
    passed(&mut connection, times, (method, path, ""), &[(name, &bearer)]).await
}

/// `most` seconds less what has passed since the first of them.
#[track_caller]
fn assert_limited(answer: &Response, policy: &str, quota: u32, most: u32) {
    answer.assert_problem(429, "rate_limited");
    let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((most.saturating_sub(60).max(1)..=most).contains(&wait), "{answer:?}");
    let state = format!("\"{policy}\";r=0;t={wait}");
    assert_eq!(answer.header("ratelimit"), Some(&*state), "{answer:?}");
    let policy = format!("\"{policy}\";q={quota};w=86400");
    assert_eq!(answer.header("ratelimit-policy"), Some(&*policy), "{answer:?}");
}

#[tokio::test]
async fn a_burst_is_counted_and_what_follows_waits() {
    let keys = Keys::new();
    let service = keys.service(&SLOW);
    let path = path("me");
    assert_eq!(tapped(&service, &token(42), 125, "PUT", &path).await, 120);
    let answer = send(&service, "PUT", &path, &token(42), "").await;
    assert_limited(&answer, "adding", 120, 720);
    assert!(answer.body.contains("nothing was applied"), "{answer:?}");
    assert_eq!(tapped(&service, &token(43), 10, "PUT", &path).await, 10, "another user");
    // A second token of the same user is the same user.
    let again = super::token_for(42, 90, None);
    assert_eq!(tapped(&service, &again, 1, "PUT", &path).await, 0);
    let metrics = send(&service, "GET", "/metrics", &key("admin"), "").await.body;
    assert!(metrics.contains("\nonetap_rate_limited_adding_total 7\n"), "{metrics}");
    assert!(metrics.contains("\nonetap_rate_limited_removing_total 0\n"), "{metrics}");
}

#[tokio::test]
async fn undoing_goes_on_while_adding_is_refused() {
    let keys = Keys::new();
    let service = keys.service(&SLOW);
    let token = token(42);
    let posts = posts(120);
    let paths: Vec<_> =
        posts.iter().map(|post| format!("/v1/posts/{post}/reactions/like/users/me")).collect();
    for path in &paths {
        assert_eq!(send(&service, "PUT", path, &token, "").await.status, 201);
    }
    assert_eq!(tapped(&service, &token, 1, "PUT", &path("me")).await, 0);
    for path in &paths {
        let answer = send(&service, "DELETE", path, &token, "").await.ok(200);
        assert_eq!(answer["changed"], true);
    }
    // Nine times as many again.
    assert_eq!(tapped(&service, &token, 1085, "DELETE", &paths[0]).await, 1080);
    let answer = send(&service, "DELETE", &paths[0], &token, "").await;
    assert_limited(&answer, "removing", 1200, 72);
}

/// What may add is adding: a toggle, unless its caller has seen that it removes, and each reaction
/// of a whole set.
#[tokio::test]
async fn each_form_of_a_tap_counts_as_what_it_may_do() {
    let keys = Keys::new();
    let service = keys.service(&SLOW);
    let (post, json) = (post(), ("content-type", "application/json"));
    let toggle = format!("/v1/posts/{post}/reactions/like/users/me/toggle");
    let set = format!("/v1/posts/{post}/users/me/reactions");
    let mut user = 100;
    for (method, path, body, units) in [
        ("POST", &toggle, "", 1),
        ("POST", &toggle, r#"{"from":false}"#, 1),
        ("PUT", &set, r#"{"reactions":["like"]}"#, 1),
        ("PUT", &set, r#"{"reactions":["like","love","wow","sad"]}"#, 4),
    ] {
        user += 1;
        let token = token(user);
        let (name, bearer) = bearer(&token);
        let mut connection = service.connect().await;
        let headers = [(name, &*bearer), json];
        let adding = passed(&mut connection, 125, (method, path, body), &headers).await;
        assert_eq!(adding, 120 / units, "{method} {body}");
        for (method, path, body) in [
            ("POST", &toggle, r#"{"from":true}"#),
            ("PUT", &set, r#"{"reactions":[]}"#),
            ("DELETE", &set, ""),
        ] {
            let removing = passed(&mut connection, 10, (method, path, body), &headers).await;
            assert_eq!(removing, 10, "{method} {body}");
        }
    }
}

/// The back end taps for many users, each with a bucket. A moderator who removes for others spends
/// of a bucket of one's own, which a user cannot empty.
#[tokio::test]
async fn a_service_key_spends_for_the_user_or_the_moderator_whom_it_names() {
    let keys = Keys::new();
    let service = keys.service(&SLOW);
    let act_as = key("act-as");
    assert_eq!(tapped(&service, &act_as, 125, "PUT", &path("42")).await, 120);
    assert_eq!(tapped(&service, &token(42), 1, "PUT", &path("me")).await, 0, "the same bucket");
    assert_eq!(tapped(&service, &act_as, 10, "PUT", &path("43")).await, 10);
    assert_eq!(tapped(&service, &token(42), 1201, "DELETE", &path("me")).await, 1200);
    let (name, bearer) = bearer(&act_as);
    let headers = [(name, &*bearer), ("onetap-actor", "7")];
    let mut connection = service.connect().await;
    let request = ("DELETE", &*path("42"), "");
    assert_eq!(passed(&mut connection, 10, request, &headers).await, 10);
}

#[tokio::test]
async fn people_read_as_themselves_and_service_keys_for_many() {
    let keys = Keys::new();
    let service = keys.service(&[&SLOW[..], &["--rate-limit-reading", "130"]].concat());
    let post = post();
    let [counts, users, page] = [
        format!("/v1/posts/{post}/reactions"),
        format!("/v1/posts/{post}/users"),
        format!("/v1/posts/reactions?post_id={post}"),
    ];
    assert_eq!(tapped(&service, &token(42), 60, "GET", &counts).await, 60);
    assert_eq!(tapped(&service, &token(42), 60, "GET", &users).await, 60);
    assert_eq!(tapped(&service, &token(42), 20, "GET", &page).await, 10);
    let stream = format!("/v1/posts/reactions/stream?post_id={post}");
    let answer = send(&service, "GET", &stream, &token(42), "").await;
    assert_limited(&answer, "reading", 130, 665);
    assert_eq!(tapped(&service, &token(43), 10, "GET", &counts).await, 10);
    assert_eq!(tapped(&service, &token(42), 10, "PUT", &path("me")).await, 10, "taps go on");
    assert_eq!(tapped(&service, &key("read"), 300, "GET", &counts).await, 300);
    // What is the same for all, or for operators, has no limit.
    for (bearer, path) in
        [(token(42), "/v1/palettes"), (key("admin"), "/metrics"), (String::new(), "/healthz")]
    {
        assert_eq!(send(&service, "GET", path, &bearer, "").await.status, 200, "{path}");
    }
}

/// Reads without a token, with this header.
async fn read(service: &Service, times: usize, forwarded: Option<&str>) -> usize {
    let headers: Vec<_> = forwarded.map(|value| ("x-forwarded-for", value)).into_iter().collect();
    let mut connection = service.connect().await;
    let path = format!("/v1/posts/{}/reactions", post());
    passed(&mut connection, times, ("GET", &path, ""), &headers).await
}

#[tokio::test]
async fn callers_without_a_token_count_by_their_address() {
    let keys = Keys::new();
    let public = ["--public-reads", "--rate-limit-reading", "120"];
    let service = keys.service(&[&SLOW[..], &public].concat());
    assert_eq!(read(&service, 125, None).await, 120);
    // Nobody may name another address, where no proxy is trusted.
    for forged in ["198.51.100.1", "198.51.100.1, 127.0.0.1", "127.0.0.1, 198.51.100.1", "x"] {
        assert_eq!(read(&service, 1, Some(forged)).await, 0, "{forged}");
    }
    let counts = format!("/v1/posts/{}/reactions", post());
    assert_eq!(
        tapped(&service, &token(42), 10, "GET", &counts).await,
        10,
        "a user, not the address"
    );
}

#[tokio::test]
async fn behind_a_proxy_the_rightmost_address_counts_that_is_not_trusted() {
    let keys = Keys::new();
    let public = ["--public-reads", "--rate-limit-reading", "120"];
    let proxies = ["--trusted-proxies", "127.0.0.1,10.0.0.0/8", "--trusted-proxies", "fd00::/8"];
    let service = keys.service(&[&SLOW[..], &public, &proxies].concat());
    assert_eq!(read(&service, 125, Some("198.51.100.1")).await, 120);
    // The same client, whatever it claims, and through how many proxies it comes.
    for forged in [
        "203.0.113.1, 198.51.100.1",
        "203.0.113.1,203.0.113.2 ,198.51.100.1",
        "203.0.113.1, 198.51.100.1, 10.1.2.3",
        "10.0.0.7, 198.51.100.1, 10.1.2.3, fd00::1",
        "unknown, 198.51.100.1",
        "198.51.100.1:4711",
        "::ffff:198.51.100.1",
        "é, 198.51.100.1",
    ] {
        assert_eq!(read(&service, 1, Some(forged)).await, 0, "{forged}");
    }
    // Each of these is another client, also the one that the forged headers named.
    for other in ["203.0.113.1", "198.51.100.1, 203.0.113.2", "unknown", "10.7.7.7"] {
        assert_eq!(read(&service, 2, Some(other)).await, 2, "{other}");
    }
    // A network of IPv6 is one client.
    assert_eq!(read(&service, 120, Some("2001:db8:1:2::1")).await, 120);
    assert_eq!(read(&service, 5, Some("2001:db8:1:2:ffff:ffff:ffff:ffff")).await, 0);
    assert_eq!(read(&service, 5, Some("[2001:db8:1:2::77]:443")).await, 0);
    assert_eq!(read(&service, 5, Some("2001:db8:1:3::1")).await, 5);
}

#[tokio::test]
async fn where_all_buckets_are_taken_newcomers_share_one() {
    let keys = Keys::new();
    let service = keys.service(&[&SLOW[..], &["--rate-limit-callers", "2"]].concat());
    for known in [1, 2] {
        assert_eq!(tapped(&service, &token(known), 10, "PUT", &path("me")).await, 10);
    }
    let mut shared = 0;
    for newcomer in 3..8 {
        shared += tapped(&service, &token(newcomer), 50, "PUT", &path("me")).await;
    }
    assert_eq!(shared, 120);
    for known in [1, 2] {
        let more = tapped(&service, &token(known), 115, "PUT", &path("me")).await;
        assert_eq!(more, 110, "not evicted, and not robbed");
    }
    let metrics = send(&service, "GET", "/metrics", &key("admin"), "").await.body;
    let wanted = "\nonetap_rate_limit_shared_bucket_requests_total 250\n";
    assert!(metrics.contains(wanted), "{metrics}");
}

/// After the time in `Retry-After` the same request passes.
#[tokio::test]
async fn who_waits_as_long_as_told_gets_on() {
    let keys = Keys::new();
    let service = keys.service(&["--rate-limit-window", "60s"]);
    let path = path("me");
    let mut answer = send(&service, "PUT", &path, &token(42), "").await;
    while answer.status != 429 {
        answer = send(&service, "PUT", &path, &token(42), "").await;
    }
    assert_eq!(answer.header("ratelimit"), Some("\"adding\";r=0;t=1"), "{answer:?}");
    let wait = answer.header("retry-after").unwrap().parse().unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(wait)).await;
    assert_eq!(tapped(&service, &token(42), 1, "PUT", &path).await, 1);
}

#[tokio::test]
async fn limits_are_on_with_keys_and_off_without_unless_set() {
    let keys = Keys::new();
    let off = keys.service(&["--rate-limits=false"]);
    assert_eq!(tapped(&off, &token(42), 300, "PUT", &path("me")).await, 300);
    let open = Service::memory();
    assert_eq!(tapped(&open, "", 300, "PUT", &path("42")).await, 300);
    let on = Service::with(&["--rate-limits=true", SLOW[0], SLOW[1]]);
    assert_eq!(tapped(&on, "", 125, "PUT", &path("42")).await, 120);
    assert_eq!(tapped(&on, "", 5, "PUT", &path("43")).await, 5);
    assert_eq!(read(&on, 1300, None).await, 1200);
}

/// Nobody fills the store with invented posts. Who has sent too many first reactions still adds
/// what others have on a post, and takes back all of it.
#[tokio::test]
async fn a_user_may_be_the_first_on_so_many_posts_an_hour() {
    let keys = Keys::new();
    let more = ["--rate-limit-adding", "5000", "--rate-limit-first-reactions", "120"];
    let service = keys.service(&[&SLOW[..], &more].concat());
    let (mine, others, began) = (token(42), token(43), std::time::Instant::now());
    let like = |post| format!("/v1/posts/{post}/reactions/like/users/me");
    let known = posts(30);
    for post in &known {
        assert_eq!(send(&service, "PUT", &like(*post), &others, "").await.status, 201);
    }
    // What is not the first uses up nothing, however often it comes and whatever it does.
    for path in known.iter().map(|post| like(*post)) {
        assert_eq!(tapped(&service, &mine, 5, "PUT", &path).await, 5);
        assert_eq!(tapped(&service, &mine, 4, "POST", &format!("{path}/toggle")).await, 4);
        assert_eq!(tapped(&service, &mine, 2, "DELETE", &path).await, 2);
    }
    let invented: Vec<_> = posts(200).into_iter().map(like).collect();
    let (mut passed, mut refused) = (Vec::new(), Vec::new());
    for path in &invented {
        let answer = send(&service, "PUT", path, &mine, "").await;
        if answer.status == 201 { &mut passed } else { &mut refused }.push((path, answer));
    }
    // One comes back every 30 seconds.
    let back = began.elapsed().as_secs() as usize / 30;
    assert!((120..=120 + back).contains(&passed.len()), "{} in {back} half minutes", passed.len());
    let (path, answer) = &refused[0];
    answer.assert_problem(429, "rate_limited");
    assert_eq!(answer.header("ratelimit-policy"), Some("\"first-reactions\";q=120;w=3600"));
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{answer:?}");
    assert!(answer.body.contains("the first of their reaction on a post"), "{answer:?}");
    let counts = path.split("/like").next().unwrap();
    let summary = send(&service, "GET", counts, &mine, "").await.ok(200);
    assert_eq!(summary["reactions"], serde_json::json!([]), "nothing was written");

    // A toggle, another reaction and a whole set are no way around it. The one that came back
    // meanwhile, if any, is used up before.
    let json = ("content-type", "application/json");
    let (name, bearer) = bearer(&mine);
    let mut connection = service.connect().await;
    let set = format!("/v1/posts/{}/users/me/reactions", known[0]);
    let love = like(known[0]).replace("/like/", "/love/");
    let mut around = 0;
    for (method, path, body) in [
        ("POST", &format!("{path}/toggle"), r#"{"from":false}"#),
        ("PUT", &love, ""),
        ("PUT", &set, r#"{"reactions":["like","love"]}"#),
    ] {
        for _ in 0..2 {
            let answer = connection.send(method, path, &[(name, &bearer), json], body).await;
            around += usize::from(answer.status != 429);
        }
    }
    assert!(around <= 1 + began.elapsed().as_secs() as usize / 30, "{around}");
    for post in &known {
        assert_eq!(tapped(&service, &mine, 2, "PUT", &like(*post)).await, 2, "{post} has it");
    }
    let whole =
        connection.send("PUT", &set, &[(name, &bearer), json], r#"{"reactions":["like"]}"#).await;
    assert_eq!(whole.status, 200, "{whole:?}");
    for (path, _) in &passed {
        assert_eq!(send(&service, "DELETE", path, &mine, "").await.ok(200)["changed"], true);
    }
    let another = send(&service, "PUT", path, &token(44), "").await;
    assert_eq!(another.status, 201, "another user");
    let metrics = send(&service, "GET", "/metrics", &key("admin"), "").await.body;
    let counted = refused.len() + 6 - around;
    let wanted = format!("\nonetap_rate_limited_first_total {counted}\n");
    assert!(metrics.contains(&wanted), "{wanted} {metrics}");
}
