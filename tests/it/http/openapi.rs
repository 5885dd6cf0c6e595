//! The OpenAPI document agrees with the API.

use onetap::http::{Code, openapi_document};
use serde_json::Value;

use crate::support::service::Service;

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let committed = include_str!("../../../openapi.json");
    assert!(
        committed == openapi_document(),
        "openapi.json has drifted: run `cargo run -- openapi > openapi.json`"
    );
}

/// Each handler states its path and method once. So the service serves each documented call, by a
/// route with the same path in the metrics.
#[tokio::test]
async fn what_the_document_describes_is_served() {
    let document: Value = serde_json::from_str(&openapi_document()).unwrap();
    let service = Service::memory();
    let mut calls = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let asked = path
                .replace("{post_id}", "0192f0c1-2345-7890-abcd-ef0123456789")
                .replace("{reaction}", "like")
                .replace("{user_id}", "42");
            let method = method.to_uppercase();
            let status = service.send(&method, &format!("{asked}?no=such")).await.status;
            assert!(![404, 405, 500].contains(&status), "{method} {path} is {status}");
            let figures = service.send("GET", "/metrics").await.body;
            let series = format!(r#"{{route="{path}",method="{method}",status="{status}"}} "#);
            assert!(figures.contains(&series), "{series} {figures}");
            calls += 1;
        }
    }
    assert!(calls >= 12, "{calls}");
}

#[test]
fn every_problem_code_has_its_row() {
    let page = include_str!("../../../docs/problems.md");
    for code in Code::ALL {
        let row = format!("\n| {} | `{}` |", code.status().as_u16(), code.as_str());
        assert!(page.contains(&row), "{} is missing", code.as_str());
    }
}

#[tokio::test]
async fn the_document_and_its_page_are_served() {
    let service = Service::memory();
    let document = service.send("GET", "/openapi.json").await.ok(200);
    assert_eq!(document["info"]["title"], "onetap");
    let moved = service.send("GET", "/docs").await;
    assert_eq!((moved.status, moved.header("location")), (308, Some("docs/")));
    let page = service.send("GET", "/docs/").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("docs.js"), "{}", page.body);
    for (file, kind) in [("docs.js", "text/javascript"), ("docs.css", "text/css")] {
        let file = service.send("GET", &format!("/docs/{file}")).await;
        assert_eq!(file.status, 200);
        assert!(file.header("content-type").is_some_and(|of| of.starts_with(kind)));
    }
    // All of it is in the binary, and the page's policy lets it ask nobody else.
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(policy.contains("connect-src 'self'"), "{policy}");
}

/// The document is large, and a browser that has it need not load it again.
#[tokio::test]
async fn the_document_is_packed_and_not_sent_twice() {
    let service = Service::memory();
    let mut connection = service.connect().await;
    let packed = connection.send("GET", "/openapi.json", &[("accept-encoding", "gzip")], "").await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let tag = service.send("GET", "/openapi.json").await.header("etag").unwrap().to_owned();
    let held = connection.send("GET", "/openapi.json", &[("if-none-match", &tag)], "").await;
    assert_eq!((held.status, held.body.as_str()), (304, ""));
}
