//! What a user gave, over HTTP.

use std::time::Duration;

use onetap::domain::PostId;
use serde_json::{Value, json};

use crate::support::fault_proxy::{Fault, FaultProxy, until};
use crate::support::http::Response;
use crate::support::program::figure;
use crate::support::redis_server::{Kind, shared};
use crate::support::service::Service;
use crate::support::{post, posts, prefix};

async fn tap(service: &Service, method: &str, post: PostId, name: &str, user: &str) {
    let path = format!("/v1/posts/{post}/reactions/{name}/users/{user}");
    assert!(service.send(method, &path).await.status < 300);
}

async fn list(service: &Service, user: &str, query: &str) -> Response {
    service.send("GET", &format!("/v1/users/{user}/reactions{query}")).await
}

/// Every page of a list, by its cursors. Checks that the header `Link` leads the same way.
async fn pages(service: &Service, user: &str, limit: usize) -> Vec<Vec<Value>> {
    let (mut pages, mut query) = (Vec::new(), format!("?limit={limit}"));
    loop {
        let response = list(service, user, &query).await;
        let page = response.ok(200);
        pages.push(page["reactions"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else {
            assert_eq!(response.header("link"), None);
            return pages;
        };
        query = format!("?limit={limit}&cursor={cursor}");
        let link = format!("</v1/users/{user}/reactions{query}>; rel=\"next\"");
        assert_eq!(response.header("link"), Some(link.as_str()));
    }
}

fn services(args: &[&str]) -> Vec<(&'static str, Service, Option<tempfile::TempDir>)> {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("file:{}", folder.path().join("store.redb").display());
    let (url, prefix) = (shared(Kind::Redis).url(), prefix());
    let with = |store: &[&str]| Service::with(&[store, args].concat());
    vec![
        ("memory", with(&[]), None),
        ("file", with(&["--store", &file]), Some(folder)),
        ("redis", with(&["--store", &url, "--key-prefix", &prefix]), None),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_answered_with_all_reactions_newest_first() {
    for (store, service, _folder) in services(&[]) {
        let empty = list(&service, "7", "").await.ok(200);
        assert_eq!(empty, json!({ "reactions": [], "next_cursor": null }), "{store}");
        let (all, gone) = (posts(12), post());
        let mut given = Vec::new();
        for post in &all {
            for name in ["like", "👍"] {
                tap(&service, "PUT", *post, name, "7").await;
                given.insert(0, (post.to_string(), name));
            }
            tap(&service, "PUT", *post, "like", "8").await;
        }
        // What was taken back is not in the list; what was given again is the newest.
        tap(&service, "DELETE", all[3], "like", "7").await;
        given.retain(|one| *one != (all[3].to_string(), "like"));
        tap(&service, "DELETE", all[5], "like", "7").await;
        tap(&service, "PUT", all[5], "like", "7").await;
        given.retain(|one| *one != (all[5].to_string(), "like"));
        given.insert(0, (all[5].to_string(), "like"));
        tap(&service, "PUT", gone, "like", "7").await;
        service.send("DELETE", &format!("/v1/posts/{gone}/reactions")).await.ok(200);

        for limit in [1, 7, 23, 100] {
            let pages = pages(&service, "7", limit).await;
            assert!(pages.iter().rev().skip(1).all(|page| page.len() == limit), "{store}");
            let listed: Vec<_> = pages.concat();
            let named = listed.iter().map(|one| {
                (one["post_id"].as_str().unwrap().to_owned(), one["reaction"].as_str().unwrap())
            });
            assert_eq!(named.collect::<Vec<_>>(), given, "{store}, {limit} a page");
            // The times are those that the posts show.
            let path = format!("/v1/posts/{}/users", all[5]);
            let users = service.send("GET", &path).await.ok(200);
            assert_eq!(users["users"][0]["reacted_at"], listed[0]["reacted_at"], "{store}");
        }
        assert_eq!(
            list(&service, "7", "").await.ok(200)["reactions"].as_array().unwrap().len(),
            24 - 1
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_of_what_a_user_gave_is_that_users() {
    for (store, service, _folder) in services(&["--user-ids", "text"]) {
        let user = "@anna:forum|1.example";
        for post in posts(3) {
            tap(&service, "PUT", post, "like", user).await;
        }
        let pages = pages(&service, user, 1).await;
        assert_eq!(pages.concat().len(), 3, "{store}");
        let first = list(&service, user, "?limit=1").await.ok(200);
        let cursor = first["next_cursor"].as_str().unwrap().to_owned();
        for (user, query, code) in [
            ("@ben:forum.example", format!("?cursor={cursor}"), "invalid_cursor"),
            (user, format!("?cursor={}", &cursor[1..]), "invalid_cursor"),
            (user, "?cursor=".into(), "invalid_cursor"),
            (user, "?limit=0".into(), "invalid_query"),
            (user, "?limit=101".into(), "invalid_query"),
            (user, "?hide=7".into(), "invalid_query"),
            ("_anna", String::new(), "invalid_user_id"),
        ] {
            list(&service, user, &query).await.assert_problem(400, code);
        }
        list(&service, "me", "").await.assert_problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn an_invalid_user_is_refused() {
    let service = Service::memory();
    for user in ["0", "-1", "007", "anna", "9223372036854775808", "%00"] {
        list(&service, user, "").await.assert_problem(400, "invalid_user_id");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_is_good_after_a_restart() {
    let prefix = prefix();
    let args = ["--store", &shared(Kind::Redis).url(), "--key-prefix", &prefix];
    let first = Service::with(&args);
    for post in posts(5) {
        tap(&first, "PUT", post, "like", "7").await;
    }
    let all = pages(&first, "7", 100).await.concat();
    let page = list(&first, "7", "?limit=2").await.ok(200);
    drop(first);
    let second = Service::with(&args);
    let query = format!("?cursor={}", page["next_cursor"].as_str().unwrap());
    let rest = list(&second, "7", &query).await.ok(200);
    assert_eq!(rest["reactions"].as_array().unwrap()[..], all[2..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_index_of_an_older_store_is_not_complete_the_list_says_so() {
    let prefix = prefix();
    let args = ["--store", &shared(Kind::Redis).url(), "--key-prefix", &prefix];
    let service = Service::with(&args);
    tap(&service, "PUT", post(), "like", "7").await;
    list(&service, "7", "").await.ok(200);
    let mut client = shared(Kind::Redis).client().await;
    let pattern = format!("{prefix}:*:d:user-index");
    let keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query_async(&mut client).await.unwrap();
    assert_eq!(keys.len(), 1);
    let _: () = redis::cmd("DEL").arg(&keys).query_async(&mut client).await.unwrap();
    let refused = list(&service, "7", "").await;
    refused.assert_problem(503, "store_unavailable");
    assert!(refused.body.contains("an earlier release began this store"), "{}", refused.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_reads_a_few_lists_at_a_time() {
    let (prefix, proxy) = (prefix(), FaultProxy::start(shared(Kind::Redis).address()).await);
    let (url, timeout) = (proxy.url(), ["--request-timeout", "8s", "--audit-rate", "0"]);
    let args = [&["--store", &url, "--key-prefix", &prefix][..], &timeout].concat();
    let service = Service::with(&args);
    tap(&service, "PUT", post(), "like", "7").await;
    list(&service, "7", "").await.ok(200);
    // What is sent to Redis stays in flight, and what follows it waits.
    proxy.fault(Fault::HoldRequests);
    let lists = futures_util::future::join_all((0..40).map(|_| list(&service, "7", "")));
    let looks = async {
        let calls = async || {
            let figures = service.send("GET", "/metrics").await.body;
            let names = ["onetap_lane_calls_in_flight", "onetap_lane_calls_waiting"];
            names.map(|name| figure(&figures, name)).iter().sum::<u64>()
        };
        until("four lists are read", async || calls().await >= 4).await;
        let mut most = 0;
        for _ in 0..5 {
            most = most.max(calls().await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        proxy.fault(Fault::None);
        most
    };
    let (lists, most) = tokio::join!(lists, looks);
    // A few calls are not of lists: the checks of the readiness, for one.
    assert!(most < 20, "{most} calls for 40 lists");
    assert!(lists.iter().all(|answer| [200, 503].contains(&answer.status)));
    until("lists are read again", async || list(&service, "7", "").await.status == 200).await;
}
