//! The edge: the base path, what caches may keep, the headers of pages, and all methods.

use onetap::http::openapi_document;
use serde_json::Value;

use crate::support::http::Response;
use crate::support::post;
use crate::support::program::{onetap, outcome};
use crate::support::service::Service;

#[tokio::test]
async fn below_a_base_path_every_route_and_every_link_is_there() {
    let service = Service::with(&["--base-path", "/forum/reactions"]);
    let post = post();
    for user in 1..=3 {
        let path = format!("/v1/posts/{post}/reactions/like/users/{user}");
        assert_eq!(service.send("PUT", &format!("/forum/reactions{path}")).await.status, 201);
        for outside in ["", "/forum", "/reactions", "/forum/reactions/forum/reactions"] {
            let answer = service.send("PUT", &format!("{outside}{path}")).await;
            answer.assert_problem(404, "not_found");
        }
    }
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/docs/",
        "/docs/docs.js",
        "/docs/docs.css",
        "/onetap.js",
        "/onetap-bar.js",
        "/onetap-bar.css",
        "/demo",
        "/demo/demo.js",
        "/v1/palettes",
    ] {
        assert_eq!(
            service.send("GET", &format!("/forum/reactions{path}")).await.status,
            200,
            "{path}"
        );
        let answer = service.send("GET", path).await;
        answer.assert_problem(404, "not_found");
    }
    // Links: a page of a list, a job and its receipt, redirects, the OpenAPI document.
    let users = format!("/forum/reactions/v1/posts/{post}/users?limit=2");
    let link = service.send("GET", &users).await.header("link").unwrap().to_owned();
    let next = link.strip_prefix('<').unwrap().split('>').next().unwrap();
    assert!(next.starts_with("/forum/reactions/v1/posts/"), "{link}");
    assert_eq!(service.send("GET", next).await.ok(200)["users"].as_array().unwrap().len(), 1);
    let job = service.send_json("POST", "/forum/reactions/v1/jobs", r#"{"kind":"audit"}"#).await;
    let place = job.header("location").unwrap();
    assert!(place.starts_with("/forum/reactions/v1/jobs/"), "{place}");
    let ended = async || service.send("GET", place).await.ok(200)["receipt"].clone();
    while ended().await.is_null() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let receipt = ended().await;
    assert_eq!(receipt, format!("{place}/receipt"));
    assert_eq!(service.send("GET", receipt.as_str().unwrap()).await.status, 200);
    for (path, to) in [
        ("", "/forum/reactions/docs/"),
        ("/", "/forum/reactions/docs/"),
        ("/docs", "docs/"),
        ("/demo/", "../demo"),
    ] {
        let moved = service.send("GET", &format!("/forum/reactions{path}")).await;
        assert_eq!(moved.header("location"), Some(to), "{path}: {moved:?}");
    }
    let document = service.send("GET", "/forum/reactions/openapi.json").await.ok(200);
    assert_eq!(document["servers"][0]["url"], "/forum/reactions");
    let mut connection = service.connect().await;
    connection.write(b"GET /forum/reactions/healthz HTTP/1.1\r\nhost: evil.example\r\n\r\n").await;
    assert_eq!(connection.read().await.unwrap().status, 200, "any name is good for health");
    connection.write(b"GET /forum/reactions/docs/ HTTP/1.1\r\nhost: evil.example\r\n\r\n").await;
    connection.read().await.unwrap().assert_problem(403, "foreign_host");
    // Metrics name the routes of the API.
    let metrics = service.send("GET", "/forum/reactions/metrics").await.body;
    assert!(metrics.contains("route=\"/v1/palettes\",method=\"GET\",status=\"200\""), "{metrics}");
    assert!(!metrics.contains("route=\"/forum"), "{metrics}");
}

#[tokio::test]
async fn health_asks_below_the_base_path() {
    let service = Service::with(&["--base-path", "/forum/reactions"]);
    let listen = service.address.to_string();
    let health = |base: &'static str| {
        let listen = listen.clone();
        move || outcome(&mut onetap(&["health", "--listen", &listen, "--base-path", base]))
    };
    let asked = tokio::task::spawn_blocking(health("/forum/reactions")).await.unwrap();
    assert_eq!(asked.status.code(), Some(0), "{asked:?}");
    let asked = tokio::task::spawn_blocking(health("/other")).await.unwrap();
    assert_eq!(asked.status.code(), Some(1), "{asked:?}");
}

#[tokio::test]
async fn without_a_base_path_the_document_names_no_server() {
    let service = Service::memory();
    let document = service.send("GET", "/openapi.json").await.ok(200);
    assert!(document.get("servers").is_none(), "{}", document["servers"]);
    let moved = service.send("GET", "/").await;
    assert_eq!(moved.header("location"), Some("/docs/"));
}

async fn cached(service: &Service, path: &str) -> String {
    let answer = service.send("GET", path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = answer.header("cache-control").unwrap_or("none").to_owned();
    if let Some(tag) = answer.header("etag") {
        let held = [("if-none-match", tag)];
        let again = service.connect().await.send("GET", path, &held, "").await;
        let same = (again.status, again.header("cache-control"));
        assert_eq!(same, (304, Some(&*told)), "{again:?}");
    }
    told
}

/// What names a viewer is for the viewer alone; what does not, caches may keep for as long as the
/// operator says.
#[tokio::test]
async fn shared_caches_keep_only_counts_that_name_no_viewer() {
    let post = post();
    let (counts, page) =
        (format!("/v1/posts/{post}/reactions?"), format!("/v1/posts/reactions?post_id={post}&"));
    let own = format!("/v1/posts/{post}/users/7/reactions");
    let public = "public, max-age=0, s-maxage=1";
    for (args, of_all) in [(&[][..], "no-cache"), (&["--cache-counts", "1s"], public)] {
        let service = Service::with(args);
        for path in [&counts, &page] {
            assert_eq!(cached(&service, &format!("{path}recent=1")).await, of_all, "{path}");
            assert_eq!(cached(&service, &format!("{path}user_id=7")).await, "private, no-cache");
        }
        assert_eq!(cached(&service, &own).await, "private, no-cache");
    }
}

fn policy_of(page: &Response) -> String {
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"), "{page:?}");
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"), "{page:?}");
    assert_eq!(page.header("x-frame-options"), Some("DENY"), "{page:?}");
    page.header("content-security-policy").unwrap().to_owned()
}

#[tokio::test]
async fn pages_have_the_headers_that_keep_others_out() {
    let service = Service::memory();
    for path in ["/docs/", "/demo"] {
        let policy = policy_of(&service.send("GET", path).await);
        for words in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(words), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
    }
    for path in ["/onetap.js", "/onetap-bar.css", "/docs/docs.js", "/demo/demo.js"] {
        let file = service.send("GET", path).await;
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
}

/// Every method on every route: an answer that the API knows, and never a bug.
#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_405_with_the_ones_that_it_takes() {
    let document: Value = serde_json::from_str(&openapi_document()).unwrap();
    let service = Service::memory();
    let mut paths: Vec<(String, Vec<String>)> = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let methods = item.as_object().unwrap().keys().map(|name| name.to_uppercase());
        paths.push((path.clone(), methods.filter(|name| name != "PARAMETERS").collect()));
    }
    for page in ["/", "/docs", "/docs/", "/openapi.json", "/onetap.js", "/demo", "/demo/demo.js"] {
        paths.push((page.into(), vec!["GET".into()]));
    }
    let mut refused = 0;
    for (path, takes) in paths {
        let real = path
            .replace("{post_id}", &post().to_string())
            .replace("{reaction}", "like")
            .replace("{user_id}", "7")
            .replace("{job_id}", "01a0f3b2c4d5e6f7");
        for method in
            ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW", "get"]
        {
            let taken = takes.iter().any(|known| known == method)
                || (method == "HEAD" && takes.iter().any(|known| known == "GET"));
            let answer = service.connect().await.send(method, &real, &[], "").await;
            assert!(answer.status < 500, "{method} {path}: {answer:?}");
            assert_eq!(answer.status != 405, taken, "{method} {path}: {answer:?}");
            if !taken {
                let allow = answer.header("allow").unwrap_or_default().to_owned();
                for known in &takes {
                    assert!(allow.contains(known.as_str()), "{method} {path}: {allow}");
                }
                if method != "HEAD" {
                    answer.assert_problem(405, "method_not_allowed");
                }
                refused += 1;
            }
        }
    }
    assert!(refused > 200, "{refused}");
}
