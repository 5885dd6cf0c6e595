//! The files with keys are read again when they change.

use std::fs;

use onetap::auth::{ClaimRules, Minted, Scopes, Secret, key_line, mint};

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
