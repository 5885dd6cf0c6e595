//! The settings of `[auth]`, and the commands `token`, `check-token` and `service-key`.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use super::{Keys, key, token};
use crate::commands::{assert_usage, onetap, run};
use crate::support::post;
use crate::support::program::Program;

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let keys = Keys::new();
    let [secret, services, jwks, short, empty] =
        ["secret", "services", "jwks", "short", "empty"].map(|name| keys.path(name));
    fs::write(&jwks, "{}").unwrap();
    fs::write(&short, "x".repeat(31) + "\n").unwrap();
    fs::write(&empty, "").unwrap();
    let [secret, services, jwks, short, empty] =
        [&secret, &services, &jwks, &short, &empty].map(|path| path.to_str().unwrap());
    let (with_secret, with_services) =
        (["--jwt-hs256-secret-file", secret], ["--service-keys-file", services]);
    let cases: &[(&[&str], &[&str], &[&str])] = &[
        (&[], &["--public-reads"], &["--public-reads: it means nothing without", "drop it"]),
        (&[], &["--reactors", "members"], &["--reactors: it means nothing without"]),
        (&[], &["--jwt-audience", "x"], &["--jwt-audience: it means nothing without"]),
        (&with_services, &["--jwt-issuer", "x"], &["--jwt-issuer: it means nothing without"]),
        (&with_services, &["--require-post-grant"], &["--require-post-grant: it means nothing"]),
        (
            &with_secret,
            &["--require-post-grant", "--public-reads"],
            &["--public-reads: it lets everyone read", "--require-post-grant", "drop one"],
        ),
        (&with_secret, &["--demo"], &["--demo: it needs a service without authentication"]),
        (&with_services, &["--insecure-no-auth"], &["--insecure-no-auth: it needs a service"]),
        (&with_secret, &["--reactors", "all"], &["--reactors: it has no such value", "members"]),
        (&[], &["--jwt-hs256-secret-file", short], &["the secret has 31 bytes", "openssl rand"]),
        (&[], &["--jwt-hs256-secret-file", empty], &["it is empty; put the keys into it"]),
        (&[], &["--jwt-hs256-secret-file", "/no/such"], &["No such file", "name a file that"]),
        (&[], &["--jwt-hs256-secret-file", "/dev/zero"], &["larger than 1 MiB"]),
        (&[], &["--jwks-file", jwks], &["it is not a JWKS document; write a JSON object"]),
        (&[], &["--jwks-file", secret], &["it is not a JWKS document"]),
        (&[], &["--service-keys-file", secret], &["line 1: it has 6 fields instead of 4"]),
    ];
    for (first, second, words) in cases {
        for command in [&["check-config"][..], &[]] {
            let args = [command, first, second].concat();
            assert_usage(&run(&args), 64, words);
        }
    }
    let good = [&["check-config"][..], &with_secret, &["--listen", "0.0.0.0:80"]].concat();
    assert_eq!(run(&good).status.code(), Some(0), "with keys, other machines may reach it");
}

fn check(keys: &Keys, more: &[&str], text: &str) -> Output {
    let [secret, services] = ["secret", "services"].map(|name| keys.path(name));
    let args = [
        "check-token",
        "--jwt-hs256-secret-file",
        secret.to_str().unwrap(),
        "--service-keys-file",
        services.to_str().unwrap(),
    ];
    let mut command = onetap(&[&args, more].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn check_token_says_who_a_token_is_or_why_not() {
    let keys = Keys::new();
    for (text, words) in [
        (token(42), "accepted: user 42, until 20"),
        (format!("{}\n", key("read")), "accepted: service key `read`, scopes read, without end"),
    ] {
        let output = check(&keys, &[], &text);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.starts_with(words), "{output:?}");
    }
    for (more, text, words) in [
        (&[][..], "rubbish".to_owned(), "not accepted: the token is not a JWT"),
        (&["--jwt-issuer", "x"], token(42), "not accepted: the token has no claim `iss`"),
        (&[], String::new(), "not accepted"),
    ] {
        assert_usage(&check(&keys, more, &text), 1, &[words]);
    }
}

#[tokio::test]
async fn a_minted_token_and_a_new_key_are_good() {
    let keys = Keys::new();
    let secret = keys.path("secret");
    let with_secret = ["--jwt-hs256-secret-file", secret.to_str().unwrap()];
    let claims = ["--jwt-audience", "onetap", "--jwt-issuer", "https://forum.example"];
    let post = post();
    let text = post.to_string();
    let args = ["token", "--user", "42", "--expires-in", "5m", "--post", &text];
    let minted = run(&[&args[..], &with_secret, &claims].concat());
    let minted = String::from_utf8(minted.stdout).unwrap();
    let said = check(&keys, &claims, &minted);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("user 42") && said.contains(&format!("{text} all")), "{said}");

    let made = run(&["service-key", "--name", "forum", "--scopes", "act-as,read"]);
    let made = String::from_utf8(made.stdout).unwrap();
    let (key, line) = made.trim().split_once('\n').unwrap();
    assert!(key.starts_with("otk_") && line.starts_with("forum act-as,read never "), "{made}");
    assert!(!line.contains(key));
    fs::write(keys.path("services"), line).unwrap();
    let services = keys.path("services");
    let with_services = ["--service-keys-file", services.to_str().unwrap()];
    let args = [&["--store", "memory:"][..], &with_secret, &claims, &with_services].concat();
    let program = Program::start(&args);
    for (bearer, user) in [(minted.trim(), "me"), (key, "7")] {
        let bearer = format!("Bearer {bearer}");
        let mut connection = crate::support::http::Connection::open(program.address()).await;
        let path = format!("/v1/posts/{post}/reactions/like/users/{user}");
        connection.send("PUT", path, &[("authorization", &bearer)], "").await.ok(201);
    }

    for (args, words) in [
        (&["token", "--user", "007"][..], "--user: a user id is an integer"),
        (&["token", "--user", "1", "--post", "1"], "--post: a post id is a UUID"),
        (&["token"], "--user"),
    ] {
        assert_usage(&run(&[args, &with_secret].concat()), 64, &[words]);
    }
    assert_usage(&run(&["token", "--user", "1"]), 64, &["without keys there are no tokens"]);
    for (args, words) in [
        (
            &["--name", "a", "--scopes", "write"],
            "--scopes: `write` is no scope; give some of act-as",
        ),
        (&["--name", "a b", "--scopes", "read"], "it has 5 fields instead of 4"),
    ] {
        assert_usage(&run(&[&["service-key"][..], args].concat()), 64, &[words]);
    }
}

/// The commands of docs/operations.md, as they stand there.
#[test]
fn the_commands_of_the_guide_make_keys_and_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let guide = include_str!("../../../docs/operations.md");
    let (_, rest) = guide.split_once("<!-- snippet: keys -->\n```sh\n").unwrap();
    let commands = rest.split("```").next().unwrap();
    let program = env!("CARGO_BIN_EXE_onetap");
    let script = format!("onetap() {{ {program} \"$@\"; }}\n{commands}");
    let output =
        Command::new("bash").args(["-euc", &script]).current_dir(&folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("accepted: user 42, until 20"), "{output:?}");
    let [secret, services] = ["secret", "service-keys"].map(|name| folder.path().join(name));
    let args = [
        "check-config",
        "--jwt-hs256-secret-file",
        secret.to_str().unwrap(),
        "--service-keys-file",
        services.to_str().unwrap(),
    ];
    assert!(run(&args).status.success());
}
