//! The description of the API agrees with the API.

use onetap::http::{Code, ROUTES, openapi_document};
use serde_json::Value;

use crate::support::service::Service;

/// Served, but not part of the API.
fn is_page(path: &str) -> bool {
    ["/", "/openapi.json"].contains(&path)
        || ["/docs", "/demo", "/onetap"].iter().any(|pages| path.starts_with(pages))
}

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let committed = include_str!("../../openapi.json");
    assert!(
        committed == openapi_document(),
        "openapi.json has drifted: run `cargo run -- openapi > openapi.json`"
    );
}

#[test]
fn every_route_is_in_the_document_and_the_other_way_round() {
    let document: Value = serde_json::from_str(&openapi_document()).unwrap();
    let mut described: Vec<&str> =
        document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    described.sort_unstable();
    let mut routed: Vec<&str> =
        ROUTES.iter().map(|(path, _)| *path).filter(|path| !is_page(path)).collect();
    routed.sort_unstable();
    assert_eq!(described, routed);
}

#[test]
fn every_problem_code_is_in_the_readme() {
    let readme = include_str!("../../README.md");
    for code in Code::ALL {
        assert!(readme.contains(&format!("`{}`", code.as_str())), "{} is missing", code.as_str());
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
