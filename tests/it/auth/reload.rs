//! The files with keys are read again when they change.

use std::fs;
use std::time::Duration;

use onetap::auth::{ClaimRules, Minted, Scopes, Secret, key_line, mint};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Keys, key, now, token};
use crate::support::http::Connection;
use crate::support::post;
use crate::support::program::Program;

async fn status(program: &Program, path: &str, bearer: &str) -> u16 {
    let bearer = format!("Bearer {bearer}");
    let mut connection = Connection::open(program.address()).await;
    connection.send("GET", path, &[("authorization", &bearer)], "").await.status
}

/// The Ed25519 key of RFC 8037, appendix A, and a token by it for user 42 until 2100.
const JWKS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"rfc",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

#[tokio::test]
async fn a_bad_file_keeps_the_old_keys_and_a_good_one_replaces_them() {
    let keys = Keys::new();
    let [secret, services, jwks] = ["secret", "services", "jwks"].map(|name| keys.path(name));
    fs::write(&jwks, JWKS).unwrap();
    let program = Program::start(&[
        "--store",
        "memory:",
        "--jwt-hs256-secret-file",
        secret.to_str().unwrap(),
        "--jwks-file",
        jwks.to_str().unwrap(),
        "--service-keys-file",
        services.to_str().unwrap(),
    ]);
    let path = format!("/v1/posts/{}/reactions", post());
    assert_eq!(status(&program, &path, &token(42)).await, 200);
    assert_eq!(status(&program, &path, &key("read")).await, 200);

    for (file, bad, word) in [
        (&jwks, "", "it is empty"),
        (&jwks, "{", "not a JWKS document"),
        (&jwks, r#"{"keys":[]}"#, "no key to verify signatures with"),
        (&secret, "short", "the secret has 5 bytes"),
        (&services, "forum", "line 1: it has 1 fields"),
    ] {
        fs::write(file, bad).unwrap();
        program.until_logged(word).await;
        assert_eq!(program.log().matches(word).count(), 1, "{}", program.log());
        assert_eq!(status(&program, &path, &token(42)).await, 200, "{word}");
        assert_eq!(status(&program, &path, &key("read")).await, 200, "{word}");
    }

    let new = "another secret, also of 32 bytes.";
    fs::write(&secret, new).unwrap();
    let line = key_line("forum", Scopes::from_words("read").unwrap(), "never", &key("new"));
    fs::write(&services, line).unwrap();
    let changed = || async { status(&program, &path, &key("new")).await == 200 };
    program.until("the new service key", changed).await;
    assert_eq!(status(&program, &path, &key("read")).await, 401, "its line is gone");
    let minted = Minted { user: 42.try_into().unwrap(), exp: now() + 60, posts: None };
    let minted = mint(&minted, &ClaimRules::default(), &Secret::of_file(new.as_bytes()).unwrap());
    let changed = || async { status(&program, &path, &minted).await == 200 };
    program.until("the new secret", changed).await;
    assert_eq!(status(&program, &path, &token(42)).await, 401, "verified by the old secret");
}

/// A stream of a post, by a key.
async fn open_stream(program: &Program, bearer: &str) -> TcpStream {
    let mut stream = TcpStream::connect(program.address()).await.unwrap();
    let path = format!("/v1/posts/reactions/stream?post_id={}", post());
    let head =
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {bearer}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_stream_ends_when_its_key_is_withdrawn() {
    let keys = Keys::new();
    let services = keys.path("services");
    let file = services.to_str().unwrap();
    let line = |name: &str| {
        key_line(name, Scopes::from_words("read").unwrap(), "never", &key(name)) + "\n"
    };
    fs::write(&services, line("stays") + &line("goes")).unwrap();
    let program = Program::start(&["--store", "memory:", "--service-keys-file", file]);
    let mut stays = open_stream(&program, &key("stays")).await;
    let mut goes = open_stream(&program, &key("goes")).await;
    for stream in [&mut stays, &mut goes] {
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).await.unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200");
    }
    fs::write(&services, line("stays")).unwrap();
    let mut rest = String::new();
    let read = tokio::time::timeout(Duration::from_secs(20), goes.read_to_string(&mut rest));
    read.await.expect("it should end").unwrap();
    // The keys are others for this stream too, but they verify its key.
    let mut rest = String::new();
    let read = tokio::time::timeout(Duration::from_secs(2), stays.read_to_string(&mut rest));
    assert!(read.await.is_err(), "it should go on: {rest}");
}
