//! The authorization matrix in SECURITY.md: each cell is tried, and each route has a row.

use std::collections::BTreeSet;

use onetap::http::openapi_document;
use serde_json::Value;

use super::{Keys, key, send, token};
use crate::support::http::Response;
use crate::support::service::Service;

const POST: &str = "0192f0c1-2345-7890-abcd-ef0123456789";

/// The columns, in their order. `—` stands in a cell that makes no sense.
const COLUMNS: [&str; 10] = [
    "call",
    "no token",
    "no token, `--public-reads`",
    "the user",
    "another user",
    "`act-as`",
    "`read`",
    "`moderate`",
    "`feed`",
    "`admin`",
];

fn rows() -> Vec<Vec<String>> {
    let page = include_str!("../../../SECURITY.md");
    let (_, table) = page.split_once("<!-- matrix -->\n").unwrap();
    let lines = table.lines().take_while(|line| line.starts_with('|'));
    let cells = |line: &str| {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
    };
    let mut rows: Vec<_> = lines.map(cells).collect();
    assert_eq!(rows[0], COLUMNS);
    rows.drain(..2);
    rows
}

/// `METHOD /path` of each route that the router has.
fn routes() -> BTreeSet<String> {
    let document: Value = serde_json::from_str(&openapi_document()).unwrap();
    let mut routes = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            routes.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let router = include_str!("../../../src/http/router.rs");
    for line in router.lines() {
        if let Some((path, _)) = line.trim().strip_prefix(".get(\"").and_then(|l| l.split_once('"'))
        {
            routes.insert(format!("GET {path}"));
        }
    }
    routes
}

#[test]
fn each_route_has_a_row_in_the_matrix() {
    let rows: Vec<_> = rows().into_iter().map(|row| row[0].replace('`', "")).collect();
    let named: BTreeSet<_> = rows.iter().cloned().collect();
    assert_eq!(rows.len(), named.len(), "a call has two rows");
    assert_eq!(named, routes());
}

/// The request of a call that names user 42, or user 43.
fn request(call: &str, user: u64) -> (String, String, String) {
    let (method, route) = call.split_once(' ').unwrap();
    let mut path = route
        .replace("{post_id}", POST)
        .replace("{reaction}", "like")
        .replace("{user_id}", &user.to_string());
    let other = user == 43;
    let body = match (method, route) {
        ("PUT", "/v1/posts/{post_id}/users/{user_id}/reactions") => {
            r#"{"reactions":["like"]}"#.into()
        }
        ("POST", "/v1/posts/reactions/query") if other => {
            format!(r#"{{"post_ids":["{POST}"],"user_id":{user}}}"#)
        }
        ("POST", "/v1/posts/reactions/query" | "/v1/posts/reactions/forget") => {
            format!(r#"{{"post_ids":["{POST}"]}}"#)
        }
        _ => String::new(),
    };
    let mut query = Vec::new();
    if ["/v1/posts/reactions", "/v1/posts/reactions/stream"].contains(&route) {
        query.push(format!("post_id={POST}"));
    }
    if other
        && ["/v1/posts/reactions", "/v1/posts/{post_id}/reactions"].contains(&route)
        && method == "GET"
    {
        query.push(format!("user_id={user}"));
    }
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&"));
    }
    (method.to_owned(), path, body)
}

/// The caller may make the call, whatever else is wrong with it: a post may be locked by then.
fn is_allowed(answer: &Response) -> bool {
    let refused = ["unauthenticated", "forbidden"];
    ![401, 405, 500].contains(&answer.status)
        && !refused.iter().any(|code| answer.body.contains(&format!("\"code\":\"{code}\"")))
}

#[tokio::test]
async fn each_cell_of_the_matrix_is_what_the_service_does() {
    let keys = Keys::new();
    let (closed, public) = (keys.service(&[]), keys.service(&["--public-reads"]));
    let service_key = |name: &str| key(name.trim_matches('`'));
    let mut tried = 0;
    for row in rows() {
        let call = row[0].replace('`', "");
        for (column, told) in COLUMNS.iter().zip(&row).skip(1) {
            if told == "—" {
                continue;
            }
            let (service, bearer, user) = match *column {
                "no token" => (&closed, String::new(), 42),
                "no token, `--public-reads`" => (&public, String::new(), 42),
                "the user" => (&closed, token(42), 42),
                "another user" => (&closed, token(42), 43),
                name => (&closed, service_key(name), 42),
            };
            let (method, path, body) = request(&call, user);
            let answer = send(service, &method, &path, &bearer, &body).await;
            match told.as_str() {
                "yes" => assert!(is_allowed(&answer), "{call}, {column}: {answer:?}"),
                "401" => {
                    answer.assert_problem(401, "unauthenticated");
                    assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{answer:?}");
                }
                "403" => answer.assert_problem(403, "forbidden"),
                other => panic!("{call}, {column}: `{other}`"),
            }
            tried += 1;
        }
    }
    assert!(tried > 300, "{tried}");
}

/// Without keys the service is open, as it was.
#[tokio::test]
async fn without_keys_every_caller_may_make_every_call() {
    let open = Service::memory();
    for call in routes() {
        let (method, path, body) = request(&call, 43);
        for bearer in ["", "rubbish"] {
            let answer = send(&open, &method, &path, bearer, &body).await;
            assert!(is_allowed(&answer), "{call}: {answer:?}");
            assert_ne!(answer.header("cache-control"), Some("private"), "{call}: {answer:?}");
        }
    }
}
