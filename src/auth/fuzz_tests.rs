//! Tokens, claims and files with keys that are nearly right: nothing panics, and nothing passes
//! that should not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use proptest::prelude::*;

use serde_json::{Value, json};

use super::*;

const SECRET: [u8; 32] = [7; 32];
const NOW: u64 = 1_800_000_000;

fn keys() -> Keys {
    let secret = Secret::of_file(&SECRET).expect("long enough");
    Keys::new(ClaimRules::default()).with_secret(&secret)
}

/// Any JSON, often with the values that claims have.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (NOW - 10..NOW + 10).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[0-9a-z_.-]{0,40}".prop_map(Value::from),
        Just(Value::from("42")),
        Just(Value::from("all")),
        Just(Value::from("0192f0c1-2345-7890-abcd-ef0123456789")),
    ];
    leaf.prop_recursive(2, 16, 4, |inner| {
        let fields = proptest::collection::btree_map("[a-z0-9-]{0,36}", inner.clone(), 0..4);
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(Value::from),
            fields.prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn object(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let name = proptest::sample::select(names).prop_map(str::to_owned);
    let fields = proptest::collection::btree_map(name, value(), 0..7);
    fields.prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

/// A token of these parts, signed with the secret.
fn signed(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &SECRET);
    let signature = BASE64.encode(ring::hmac::sign(&key, message.as_bytes()));
    format!("{message}.{signature}")
}

proptest! {
    // How many cases: PROPTEST_CASES, else 256.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tokens(text in "[A-Za-z0-9_-]{0,80}(\\.[A-Za-z0-9_-]{0,80}){0,4}|otk_.{0,60}|.{0,40}") {
        prop_assert!(keys().judge(&text, NOW).is_err());
    }

    /// Whatever the claims are: who passes has a user id, and time left.
    #[test]
    fn claims(claims in object(&["sub", "exp", "nbf", "iat", "aud", "iss", "posts"])) {
        let token = signed(&json!({"alg": "HS256"}), &claims);
        match keys().judge(&token, NOW) {
            Err(_) => {}
            Ok(Caller::Person(person)) => {
                prop_assert_eq!(claims["exp"].as_u64(), Some(person.exp));
                prop_assert!(person.exp > NOW);
                let user = person.user.to_string();
                prop_assert_eq!(claims["sub"].as_str(), Some(user.as_str()));
                prop_assert!(claims.get("aud").is_none_or(Value::is_null));
            }
            Ok(other) => return Err(TestCaseError::fail(format!("{other:?}"))),
        }
    }

    /// The signature is right, and the head names something else.
    #[test]
    fn heads(head in object(&["alg", "kid", "typ", "jwk", "jku", "x5c", "crit"])) {
        let claims = json!({"sub": "42", "exp": NOW + 100});
        let passes = keys().judge(&signed(&head, &claims), NOW).is_ok();
        prop_assert!(!passes || head["alg"] == "HS256");
    }

    #[test]
    fn key_sets(keys in proptest::collection::vec(
        object(&["kty", "alg", "kid", "crv", "x", "y", "n", "e", "k", "use", "d"]), 0..4
    ), text in any::<Vec<u8>>()) {
        let _ = Jwks::read(json!({ "keys": keys }).to_string().as_bytes());
        let _ = Jwks::read(&text);
    }

    #[test]
    fn service_keys(text in "([a-z#, ]{0,12}[ \\t]){0,5}[0-9a-f]{0,66}\\n?|.{0,80}") {
        if let Ok(services) = ServiceKeys::read(&text) {
            let keys = Keys::new(ClaimRules::default()).with_services(services);
            let stranger = new_service_key([3; RANDOM_BYTES]);
            prop_assert!(keys.judge(&stranger, NOW).is_err());
        }
    }
}
