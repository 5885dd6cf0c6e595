//! docs/moving-in.md, followed literally on a real PostgreSQL.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::commands::read;
use crate::moving::{OTHER, POST, Place};
use crate::support::postgres::Postgres;
use crate::support::program::Program;
use crate::support::redis_server::{Kind, RedisServer};

/// The page, a PostgreSQL, and the folder in which its reader works.
struct Guide {
    page: String,
    database: Postgres,
    place: Place,
    variables: Vec<(&'static str, String)>,
    used: Vec<String>,
}

impl Guide {
    fn open() -> Self {
        let (page, place) = (read("docs/moving-in.md"), Place::file());
        let database = Postgres::start();
        let program = Path::new(env!("CARGO_BIN_EXE_onetap")).parent().unwrap().display();
        let path = format!("{program}:{}", std::env::var("PATH").unwrap());
        let mut variables = vec![("PATH", path), ("STORE", "file:store.redb".into())];
        variables.extend(database.variables());
        Self { page, database, place, variables, used: Vec::new() }
    }

    /// The text below `<!-- snippet: NAME -->`.
    fn snippet(&mut self, name: &str) -> String {
        self.used.push(name.to_owned());
        let (_, rest) = self.page.split_once(&format!("<!-- snippet: {name} -->\n")).unwrap();
        let rest = rest.trim_start().strip_prefix("```").unwrap();
        rest.split_once('\n').unwrap().1.split("```").next().unwrap().to_owned()
    }

    /// Follows a step. psql takes `\copy` in one line, as the page says.
    fn follow(&mut self, name: &str) -> Output {
        let lines = self.snippet(name).replace("updated_at\n  FROM", "updated_at FROM");
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", &lines]).current_dir(self.place.folder.path());
        bash.envs(self.variables.iter().map(|(name, value)| (name, value))).output().unwrap()
    }

    #[track_caller]
    fn succeed(&mut self, name: &str) -> String {
        let output = self.follow(name);
        assert!(output.status.success(), "{name}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn write(&mut self, name: &str) {
        let text = self.snippet(name);
        fs::write(self.place.path(name), text).unwrap();
    }

    fn react(&self, post: &str, user: u64, name: &str, active: bool, at: &str) {
        self.database.ask(&format!(
            "INSERT INTO reactions (post_id, user_id, reaction_type, is_active, created_at, updated_at) \
             VALUES ('{post}', {user}, '{name}', {active}, {at}, {at}) \
             ON CONFLICT (post_id, user_id, reaction_type) DO UPDATE SET is_active = {active}, updated_at = {at}"
        ));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_brings_a_forum_in_and_out_again() {
    let mut guide = Guide::open();
    let (_, table) = guide.page.split_once("```sql\nCREATE TABLE").unwrap();
    let table = format!("CREATE TABLE{}", table.split("```").next().unwrap());
    guide.database.ask(&table);
    guide.database.ask(
        "CREATE TABLE users (id bigint PRIMARY KEY, karma bigint NOT NULL); \
         CREATE TABLE posts (id uuid PRIMARY KEY, author_id bigint NOT NULL); \
         INSERT INTO users VALUES (1, 99), (2, 99), (3, 99)",
    );
    guide.database.ask(&format!("INSERT INTO posts VALUES ('{POST}', 1), ('{OTHER}', 2)"));
    for user in 1..=3 {
        guide.react(POST, user, "LIKE", true, "now() - interval '10 days'");
    }
    guide.react(OTHER, 1, "LOVE", true, "now() - interval '9 days 0.123456 seconds'");
    guide.react(OTHER, 2, "LOVE", false, "now() - interval '9 days'");

    let said = guide.succeed("copy");
    assert!(said.contains("4 would be added") && said.contains(" 4 added"), "{said}");
    guide.react(POST, 1, "LIKE", false, "now()");
    guide.react(OTHER, 3, "LIKE", true, "now()");
    let said = guide.succeed("delta");
    assert!(said.contains("1 added") && said.contains("1 removed"), "{said}");
    guide.react(OTHER, 3, "LIKE", true, "now()");
    guide.succeed("diff");

    // The switch: taps go to onetap.
    let store = format!("file:{}", guide.place.path("store.redb").display());
    let service = Program::start(&["--store", &store]);
    guide.variables.push(("ONETAP", format!("http://{}", service.address())));
    for (method, tap) in [
        ("PUT", format!("/v1/posts/{POST}/reactions/like/users/1")),
        ("DELETE", format!("/v1/posts/{POST}/reactions/like/users/2")),
        ("PUT", format!("/v1/posts/{OTHER}/reactions/love/users/2")),
    ] {
        assert!(service.send(method, &tap).await.status < 300);
    }

    guide.write("back.sql");
    guide.succeed("back");
    let refused = service.send("PUT", &format!("/v1/posts/{POST}/reactions/like/users/9")).await;
    refused.assert_problem(503, "read_only");
    let active =
        "SELECT post_id, user_id, reaction_type FROM reactions WHERE is_active ORDER BY 1, 2, 3";
    let rows = [
        (POST, 1, "LIKE"),
        (POST, 3, "LIKE"),
        (OTHER, 1, "LOVE"),
        (OTHER, 2, "LOVE"),
        (OTHER, 3, "LIKE"),
    ];
    let rows: Vec<_> =
        rows.iter().map(|(post, user, name)| format!("{post}|{user}|{name}")).collect();
    assert_eq!(guide.database.ask(active), rows.join("\n"));
    // Nothing differs any more, times included.
    let url = format!("http://{}", service.address());
    guide.succeed_again(&format!("onetap diff again.csv --url {url} --map LIKE=like,LOVE=love"));

    guide.write("karma.sql");
    guide.succeed("karma");
    assert_eq!(guide.database.ask("SELECT karma FROM users ORDER BY id"), "2\n3\n0");

    drop(service);
    guide.stores().await;
    let marks: Vec<_> = guide.page.split("<!-- snippet: ").skip(1).collect();
    for name in marks.iter().map(|rest| rest.split(' ').next().unwrap()) {
        assert!(guide.used.iter().any(|used| used == name), "{name} is not run");
    }
}

impl Guide {
    /// Copies the table again, and runs a command on the copy.
    fn succeed_again(&self, command: &str) {
        let columns = "post_id, user_id, reaction_type, is_active, created_at, updated_at";
        let copy = format!(
            "psql -c \"\\copy (SELECT {columns} FROM reactions) TO 'again.csv' CSV HEADER\""
        );
        let mut bash = Command::new("bash");
        bash.args(["-euc", &format!("{copy}\n{command}")]).current_dir(self.place.folder.path());
        let output =
            bash.envs(self.variables.iter().map(|(name, value)| (name, value))).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
    }

    /// Moves all to a Redis of its own.
    async fn stores(&mut self) {
        let server = RedisServer::start(Kind::Redis, &[]);
        self.variables.push(("REDIS", server.url()));
        let whole = self.place.run(&["export"]);
        self.succeed("stores");
        assert_eq!(self.place.read("all.ndjson"), String::from_utf8(whole.stdout).unwrap());
        let said = String::from_utf8(whole.stderr).unwrap();
        let cursor = said.trim().rsplit_once(' ').unwrap().1.to_owned();
        self.forgotten(&server, &cursor).await;
    }

    /// Somebody forgets a post in the old store meanwhile.
    async fn forgotten(&mut self, server: &RedisServer, cursor: &str) {
        let old = format!("file:{}", self.place.path("store.redb").display());
        let old = Program::start(&["--store", &old]);
        old.send("DELETE", "/v1/read-only").await.ok(200);
        old.send("DELETE", &format!("/v1/posts/{POST}/reactions")).await.ok(200);
        old.send("PUT", &format!("/v1/posts/{POST}/reactions/like/users/9")).await.ok(201);
        drop(old);
        let since = self.place.run(&["export", "--since", cursor]);
        let since = String::from_utf8(since.stdout).unwrap();
        assert!(since.contains("\"forgotten\":true"), "{since}");
        self.place.write("since.ndjson", since);
        let whole = self.place.run(&["export"]);
        self.place.write("whole.ndjson", whole.stdout);
        let new = server.url();
        let import = format!("onetap import since.ndjson --store {new} || test $? = 1");
        let diff = format!("onetap diff whole.ndjson --store {new}");
        self.succeed_again(&import);
        self.succeed_again(&format!("! {diff}"));
        let service = Program::start(&["--store", &new]);
        self.variables.push(("NEW", format!("http://{}", service.address())));
        self.variables.push(("POST", POST.into()));
        let again = self.follow("forgotten");
        assert_eq!(again.status.code(), Some(1), "the line is rejected again: {again:?}");
        self.succeed_again(&diff);
    }
}
