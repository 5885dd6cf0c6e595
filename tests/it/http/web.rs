//! What browsers load, and the demo's counterexample.

use std::collections::HashSet;

use serde_json::json;

use crate::support::http::Response;
use crate::support::post;
use crate::support::service::Service;

/// Every file, its type, and a word that is in it.
const FILES: &[(&str, &str, &str)] = &[
    ("/onetap.js", "text/javascript; charset=utf-8", "as Onetap"),
    ("/onetap-palettes.js", "text/javascript; charset=utf-8", "judge"),
    ("/onetap.d.ts", "text/plain; charset=utf-8", "class Onetap"),
    ("/onetap-bar.js", "text/javascript; charset=utf-8", "\"onetap-bar\""),
    ("/onetap-card.js", "text/javascript; charset=utf-8", "attach"),
    ("/onetap-dialog.js", "text/javascript; charset=utf-8", "showModal"),
    ("/onetap-images.js", "text/javascript; charset=utf-8", "resolveReaction"),
    ("/onetap-picker.js", "text/javascript; charset=utf-8", "search"),
    ("/onetap-bar.d.ts", "text/plain; charset=utf-8", "class OnetapBar"),
    ("/onetap-bar.css", "text/css; charset=utf-8", "onetap-bar"),
    ("/docs/", "text/html; charset=utf-8", "docs.js"),
    ("/docs/docs.js", "text/javascript; charset=utf-8", "openapi.json"),
    ("/docs/docs.css", "text/css; charset=utf-8", ".method"),
    ("/demo", "text/html; charset=utf-8", "demo/demo.js"),
    ("/demo/demo.js", "text/javascript; charset=utf-8", "../onetap.js"),
    ("/demo/phones.js", "text/javascript; charset=utf-8", "NaiveClient"),
    ("/demo/demo.css", "text/css; charset=utf-8", ".phone"),
];

async fn get(service: &Service, path: &str, headers: &[(&str, &str)]) -> Response {
    service.connect().await.send("GET", path, headers, "").await
}

/// The number in a header.
fn length(response: &Response) -> usize {
    response.header("content-length").unwrap().parse().unwrap()
}

#[tokio::test]
async fn every_file_is_there_plain_and_packed() {
    let service = Service::memory();
    for (path, kind, word) in FILES {
        let plain = get(&service, path, &[]).await;
        assert_eq!((plain.status, plain.header("content-type")), (200, Some(*kind)), "{path}");
        assert!(plain.body.contains(word), "{path}");
        let packed = get(&service, path, &[("accept-encoding", "br, gzip;q=0.9")]).await;
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{path}");
        assert!(length(&packed) < length(&plain), "{path}");
        for response in [&plain, &packed] {
            assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{path}");
            assert_eq!(response.header("cache-control"), Some("no-cache"), "{path}");
            assert_eq!(response.header("vary"), Some("Accept-Encoding"), "{path}");
        }
        assert_eq!(plain.header("content-encoding"), None, "{path}");
        let head = service.send("HEAD", path).await;
        assert_eq!((head.status, length(&head)), (200, length(&plain)), "{path}");
        service.send("POST", path).await.assert_problem(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn who_does_not_take_gzip_gets_none() {
    let service = Service::memory();
    for refused in ["identity", "gzip;q=0", "gzip; q=0.0, br", "x-gzip2"] {
        let plain = get(&service, "/onetap.js", &[("accept-encoding", refused)]).await;
        assert_eq!(plain.header("content-encoding"), None, "{refused}");
    }
}

#[tokio::test]
async fn what_is_held_already_is_not_sent_again() {
    let service = Service::memory();
    let mut tags = HashSet::new();
    for (path, ..) in FILES {
        for encoding in ["gzip", "identity"] {
            let encoding = ("accept-encoding", encoding);
            let first = get(&service, path, &[encoding]).await;
            let tag = first.header("etag").unwrap();
            let again = get(&service, path, &[encoding, ("if-none-match", tag)]).await;
            assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
            assert_eq!(again.header("etag"), Some(tag), "{path}");
            let other = get(&service, path, &[encoding, ("if-none-match", "\"other\"")]).await;
            assert_eq!(other.status, 200, "{path}");
            tags.insert(tag.to_owned());
        }
    }
    assert_eq!(tags.len(), 2 * FILES.len(), "other bytes, another tag");
}

/// `web/tests/dist.test.js` shows that these are what the sources give.
#[tokio::test]
async fn scripts_and_styles_are_small_and_served_as_they_were_built() {
    let service = Service::memory();
    for (path, built) in [
        ("/onetap.js", include_str!("../../../web/dist/onetap.js")),
        ("/onetap-palettes.js", include_str!("../../../web/dist/onetap-palettes.js")),
        ("/onetap-bar.js", include_str!("../../../web/dist/onetap-bar.js")),
        ("/onetap-card.js", include_str!("../../../web/dist/onetap-card.js")),
        ("/onetap-dialog.js", include_str!("../../../web/dist/onetap-dialog.js")),
        ("/onetap-images.js", include_str!("../../../web/dist/onetap-images.js")),
        ("/onetap-picker.js", include_str!("../../../web/dist/onetap-picker.js")),
        ("/onetap-bar.css", include_str!("../../../web/dist/onetap-bar.css")),
        ("/demo/demo.js", include_str!("../../../web/dist/demo/demo.js")),
        ("/demo/phones.js", include_str!("../../../web/dist/demo/phones.js")),
        ("/demo/demo.css", include_str!("../../../web/dist/demo/demo.css")),
        ("/docs/docs.js", include_str!("../../../web/dist/docs/docs.js")),
        ("/docs/docs.css", include_str!("../../../web/dist/docs/docs.css")),
    ] {
        let packed = get(&service, path, &[("accept-encoding", "gzip")]).await;
        assert!(length(&packed) <= 8192, "{path} has {} bytes", length(&packed));
        assert_eq!(get(&service, path, &[]).await.body, built, "{path}");
        assert!(built.lines().count() < 10, "{path} is not minified");
    }
}

#[tokio::test]
async fn the_demo_may_load_and_send_nothing_elsewhere() {
    let service = Service::with(&["--demo"]);
    let page = service.send("GET", "/demo").await;
    let policy = page.header("content-security-policy").unwrap();
    for rule in
        ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"]
    {
        assert!(policy.split("; ").any(|said| said == rule), "{policy}");
    }
    // The page keeps to its policy: no inline script, no inline style, nothing from elsewhere.
    for forbidden in ["<style", " style=", " onclick=", "https://"] {
        assert!(!page.body.contains(forbidden), "{forbidden}");
    }
    let inline = page.body.matches("<script").count()
        - page.body.matches("<script type=\"module\" src=").count();
    assert_eq!(inline, 0);
}

/// The client and the element stay.
#[tokio::test]
async fn the_demo_can_be_left_out() {
    let service = Service::with(&["--demo=false"]);
    let naive = format!("/demo/naive/posts?post_id={}", post());
    for path in ["/demo", "/demo/", "/demo/demo.js", &naive] {
        service.send("GET", path).await.assert_problem(404, "not_found");
    }
    assert_eq!(service.send("GET", "/onetap-bar.js").await.status, 200);
    let figures = service.send("GET", "/metrics").await.body;
    assert!(!figures.contains("route=\"/demo"), "{figures}");
}

#[tokio::test]
async fn the_demo_is_found_with_a_slash_too() {
    let service = Service::memory();
    let response = service.send("GET", "/demo/").await;
    // Relative, for a proxy that serves it elsewhere.
    assert_eq!((response.status, response.header("location")), (308, Some("../demo")));
}

// `demo::naive` shows that it loses taps, since there the test can order the steps.
#[tokio::test]
async fn the_naive_table_flips() {
    let service = Service::memory();
    let post = post();
    let toggle = format!("/demo/naive/posts/{post}/reactions/like/users/1/toggle");
    let counts = format!("/demo/naive/posts?post_id={post}&user_id=1");
    let posts =
        |reactions| json!({ "posts": [{ "post_id": post.to_string(), "reactions": reactions }] });
    assert_eq!(service.send("GET", &counts).await.ok(200), posts(json!([])));
    assert_eq!(service.send("POST", &toggle).await.ok(200), json!({ "active": true }));
    let one = json!([{ "reaction": "like", "count": 1, "mine": true }]);
    assert_eq!(service.send("GET", &counts).await.ok(200), posts(one));
    assert_eq!(service.send("POST", &toggle).await.ok(200), json!({ "active": false }));

    // onetap itself has none of it.
    let own = service.send("GET", &format!("/v1/posts/{post}/reactions")).await.ok(200);
    assert_eq!(own["total"], 0);
}

#[tokio::test]
async fn the_naive_table_is_asked_as_the_api_is() {
    let service = Service::memory();
    let bad = "/demo/naive/posts/not-a-post/reactions/like/users/1/toggle";
    service.send("POST", bad).await.assert_problem(400, "invalid_post_id");
    let post = post();
    let bad = format!("/demo/naive/posts/{post}/reactions/Like/users/1/toggle");
    service.send("POST", &bad).await.assert_problem(400, "invalid_reaction");
    let bad = format!("/demo/naive/posts/{post}/reactions/like/users/1/toggle?x=1");
    service.send("POST", &bad).await.assert_problem(400, "invalid_query");
    service.send("GET", "/demo/naive/posts").await.assert_problem(400, "invalid_query");
    service.send("GET", "/demo/naive").await.assert_problem(404, "not_found");
    service.send("GET", "/demo/other.js").await.assert_problem(404, "not_found");
}
