//! Who may: tokens, service keys, and what their holders may do.

mod grants;
mod matrix;
mod rates;
mod reload;
mod settings;
mod tokens;

use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use onetap::auth::{ClaimRules, Minted, Scopes, Secret, key_line, mint, new_service_key, sha256};
use onetap::domain::PostId;
use ring::hmac;
use tempfile::TempDir;

use crate::support::http::Response;
use crate::support::service::Service;

const SECRET: &str = "a secret of thirty-two bytes: yes\n";

/// The files with keys: a secret, and one service key for each scope.
pub(super) struct Keys {
    folder: TempDir,
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl Keys {
    pub(super) fn new() -> Self {
        let keys = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(keys.path("secret"), SECRET).unwrap();
        let line =
            |scope| key_line(scope, Scopes::from_words(scope).unwrap(), "never", &key(scope));
        let lines = ["act-as", "moderate", "read", "feed", "admin"].map(line);
        fs::write(keys.path("services"), lines.join("\n")).unwrap();
        keys
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A service with these keys.
    pub(super) fn service(&self, more: &[&str]) -> Service {
        let [secret, services] = ["secret", "services"].map(|name| self.path(name));
        let args = [
            "--jwt-hs256-secret-file",
            secret.to_str().unwrap(),
            "--service-keys-file",
            services.to_str().unwrap(),
        ];
        Service::with(&[&args, more].concat())
    }
}

/// The service key with this scope alone.
pub(super) fn key(scope: &str) -> String {
    new_service_key(sha256(scope.as_bytes()))
}

/// The token of a user, for a minute.
pub(super) fn token(user: u64) -> String {
    token_for(user, 60, None)
}

pub(super) fn token_for(user: u64, seconds: u64, posts: Option<Vec<PostId>>) -> String {
    let minted = Minted { user: user.try_into().unwrap(), exp: now() + seconds, posts };
    mint(&minted, &ClaimRules::default(), &Secret::of_file(SECRET.as_bytes()).unwrap())
}

/// A request with a token or a key; with none if the text is empty.
pub(super) async fn send(
    service: &Service,
    method: &str,
    path: &str,
    bearer: &str,
    body: &str,
) -> Response {
    let bearer = format!("Bearer {bearer}");
    let mut headers = vec![("content-type", "application/json")];
    if bearer != "Bearer " {
        headers.push(("authorization", bearer.as_str()));
    }
    service.connect().await.send(method, path, &headers, body).await
}

/// A token with any claims, signed with the secret of [`Keys`].
pub(super) fn signed(claims: &serde_json::Value) -> String {
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let message = format!("{}.{}", part(r#"{"alg":"HS256"}"#.into()), part(claims.to_string()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.trim_end().as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()));
    format!("{message}.{signature}")
}
