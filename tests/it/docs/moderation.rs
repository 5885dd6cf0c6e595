//! The calls of docs/moderation.md do what the page says.

use serde_json::{Value, json};

use super::commands::{read, run};
use crate::support::service::Service;

const POST: &str = "0192f0c1-2345-7890-abcd-ef0123456789";

/// The text below `<!-- snippet: NAME -->`.
pub(super) fn snippet(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("<!-- snippet: {name} -->\n```")).unwrap();
    rest.split_once('\n').unwrap().1.split("```").next().unwrap().to_owned()
}

/// The page, and a service that its calls go to.
struct Guide {
    page: String,
    service: Service,
    used: Vec<String>,
}

impl Guide {
    /// What the calls of a snippet answer, one JSON a line.
    async fn answers(&mut self, name: &str) -> Vec<Value> {
        self.used.push(name.to_owned());
        let (_, variables) = self.page.split_once("```sh\nONETAP=").unwrap();
        let variables = format!("ONETAP={}", variables.split("```").next().unwrap());
        let here = self.service.address.to_string();
        let lines = (variables + &snippet(&self.page, name)).replace("127.0.0.1:8080", &here);
        let output = run(lines).await;
        assert!(output.status.success(), "{name}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn answer(&mut self, name: &str) -> Value {
        let mut answers = self.answers(name).await;
        assert_eq!(answers.len(), 1, "{name}");
        answers.remove(0)
    }

    async fn tap(&self, reaction: &str, user: u64) -> u16 {
        let path = format!("/v1/posts/{POST}/reactions/{reaction}/users/{user}");
        self.service.send("PUT", &path).await.status
    }

    async fn summary(&self) -> Value {
        self.service.send("GET", &format!("/v1/posts/{POST}/reactions?recent=3")).await.ok(200)
    }
}

#[tokio::test]
async fn the_calls_of_the_moderation_page_do_what_it_says() {
    let page = read("docs/moderation.md");
    let mut guide = Guide { page, service: Service::memory(), used: Vec::new() };
    for (reaction, user) in [("like", 42), ("sad", 42), ("like", 7), ("ben-is-a-thief", 7)] {
        assert_eq!(guide.tap(reaction, user).await, 201);
    }
    let shown = guide.answer("hide").await;
    let hidden = shown["posts"][0].to_string();
    assert!(hidden.contains(r#""user_id":"7""#) && !hidden.contains(r#""user_id":"42""#));
    assert_eq!(guide.answer("remove-one").await["active"], false);
    let [held, set] = &guide.answers("set").await[..] else { panic!("two calls") };
    assert_eq!((&held["reactions"], &set["reactions"]), (&json!(["sad"]), &json!(["love"])));
    assert_eq!(guide.answer("forget-one").await["removed"], 1);
    assert_eq!(guide.answer("clear-user").await["changed"], true);
    assert_eq!(guide.summary().await["reactions"][0]["recent"][0]["user_id"], "7");

    assert_eq!(guide.answer("existing").await["add"], "existing");
    assert_eq!((guide.tap("love", 1).await, guide.tap("like", 1).await), (422, 201));
    assert_eq!(guide.answer("lock").await["locked"], true);
    assert_eq!(guide.tap("like", 2).await, 403);
    assert_eq!(guide.answer("unlock").await["locked"], false);
    assert_eq!(guide.summary().await["add"], "existing");
    assert_eq!(guide.answer("reset").await["add"], "all");
    assert_eq!(guide.tap("love", 1).await, 201);

    assert_eq!(guide.answer("forget").await["removed"], 3);
    assert_eq!(guide.tap("love", 1).await, 201);
    let gone = guide.answer("forget-many").await;
    assert_eq!(
        (&gone["posts"][0]["removed"], &gone["posts"][1]["removed"]),
        (&json!(1), &json!(0))
    );

    let palettes = snippet(&guide.page, "palettes.toml");
    guide.used.push("palettes.toml".to_owned());
    guide.service = Service::configured(&palettes, &[]);
    assert_eq!((guide.tap("helpful", 1).await, guide.tap("like", 1).await), (422, 201));
    assert_eq!(guide.answer("palette").await["palette"], "qa");
    assert_eq!((guide.tap("helpful", 1).await, guide.tap("like", 2).await), (201, 422));

    let marks = guide.page.split("<!-- snippet: ").skip(1);
    for name in marks.map(|rest| rest.split(' ').next().unwrap()) {
        assert!(guide.used.iter().any(|used| used == name), "{name} is not run");
    }
}
