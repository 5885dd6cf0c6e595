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
    assert_eq!((moved.status, moved.header("location")), (308, Some("/docs/")));
    let page = service.send("GET", "/docs/").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("swagger"), "{}", page.body);
    // All of it is in the binary: nothing is fetched from elsewhere.
    assert!(!page.body.contains("http://") && !page.body.contains("https://"), "{}", page.body);
    let script = service.send("GET", "/docs/swagger-initializer.js").await;
    assert!(script.body.contains("/openapi.json"), "{}", script.body);
}
