//! The palettes of docs/operations.md do what the page says.

use serde_json::json;

use super::commands::{run, snippet};
use crate::support::post;
use crate::support::service::Service;

#[tokio::test]
async fn the_palettes_of_the_guide_are_valid_and_do_what_it_says() {
    let service = Service::configured(&snippet("palettes"), &[]);
    let call = snippet("palettes-call").replace("127.0.0.1:8080", &service.address.to_string());
    let answer = run(call).await;
    assert!(answer.status.success(), "{answer:?}");
    let answer: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
    let default = json!({"reactions": ["like", "love", "up", "down", "👍"],
        "exclusive": [["up", "down"]], "aliases": {"+1": "👍"},
        "max_kinds_per_post": 20, "max_per_user_and_post": 3});
    assert_eq!(answer["palettes"]["default"], default);
    assert_eq!(answer["palettes"]["qa"]["exclusive"], "*");

    let path = format!("/v1/posts/{}/reactions", post());
    let put = async |name: &str| service.send("PUT", &format!("{path}/{name}/users/7")).await;
    assert_eq!(put("+1").await.ok(201)["reaction"], "👍");
    put("up").await.ok(201);
    let down = put("down").await.ok(201);
    assert_eq!(down["replaced"], json!([{"reaction": "up", "count": 0}]));
    put("helpful").await.assert_problem(422, "reaction_not_allowed");
    put("like").await.ok(201);
    put("love").await.assert_problem(422, "too_many_reactions");
}
