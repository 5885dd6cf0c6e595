use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use serde_json::{Value, json};

use super::*;
use crate::auth::{Grants, Minted, mint};
use crate::domain::{Add, PostId, UserIds};

const NOW: u64 = 1_800_000_000;
const SECRET: &[u8] = b"a secret of thirty-two bytes: yes";

/// An RSA key of 2048 bits, and the signature of a token by it. `ring` makes no RSA keys.
const RSA_N: [&str; 5] = [
    "sTNPh71YLangl1h7Nc_i9OYOEpDegBEML1xfvCCnh7zsw6ZhFoqdyUoLEzBcZqzBU-QwxBozUtyZ54L-",
    "N_xRr4e6F9VcMUdPl0G-SbPpJFgiFCGn6IqCtG9RGInC8xRTrOQpmK6lW6mqHly7NyKkbWobiqaqvRvi",
    "qtbRvfypEHP2kCWojpSSDHb-vRtcyrX1fIY4WBLoVEMschZrLDvFPt3Zf06ehxc7mKqWVbioSVloUOa9",
    "MbHDtvv4YTncm4f1b-blo_c7c3CJuvSO4cG5ioahOK1S5d75RwlCsAKZf3vhN0xXJba-xg3n8Rl3NTai",
    "zj_159K9ydQoR0t6myVDJw",
];
const RSA_SIGNATURE: [&str; 5] = [
    "QBcuqkvx0j6brVGOx1iHtTWAH95OYg5ic5UhAMRn_Pn2KmlZ2sm-skxpXDijZMxS-fRr_fMgy9jZ1V-C",
    "ftrjtPD4-t1SEjyAn8yLhIOdWEikavjJkyO5Nmy2H3ggPSUejJMjvm-wRcrUQrbpqB65OJpL-QNg8wjY",
    "an4ETyxvS6i0naiAbHjrH1Ks6z7n1DaAuWVg5I3mjsjwtGmO-RhZrjC9NQk8J729VyyXBtaB7j-JzSpl",
    "9Is7qqg2AGY_5SrNFivbFEX3X9d0zf4RrRPPrFFeMqjpLb9CPKo-S_0TPFZKYedeGHryikrR_hfukeZZ",
    "LRB2oli_-L_u8HPZBxu6MA",
];

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn signed(header: &Value, claims: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", base64(header.to_string()), base64(claims));
    let signature = base64(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn by_hmac(secret: &[u8]) -> impl FnOnce(&[u8]) -> Vec<u8> {
    move |message| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
}

/// A token by the secret with these claims.
fn hs256(claims: &Value) -> String {
    signed(&json!({"alg": "HS256", "typ": "JWT"}), &claims.to_string(), by_hmac(SECRET))
}

fn secret() -> Secret {
    Secret::of_file(SECRET).expect("long enough")
}

fn with_secret() -> Keys {
    Keys::new(ClaimRules::default()).with_secret(&secret())
}

fn with_jwks(keys: &[Value]) -> Keys {
    let text = json!({"keys": keys}).to_string();
    Keys::new(ClaimRules::default()).with_jwks(Jwks::read(text.as_bytes()).expect("good keys"))
}

#[track_caller]
fn refused(keys: &Keys, token: &str, word: &str) {
    let why = keys.judge(token, NOW).expect_err(word).to_string();
    assert!(why.contains(word), "{why} lacks {word}");
}

fn person(keys: &Keys, token: &str) -> Person {
    match keys.judge(token, NOW) {
        Ok(Caller::Person(person)) => person,
        other => panic!("{other:?}"),
    }
}

fn ed25519() -> (Ed25519KeyPair, Value) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed");
    let x = base64(pair.public_key().as_ref());
    (pair, json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "ed"}))
}

fn rsa() -> Value {
    json!({"kty": "RSA", "n": RSA_N.concat(), "e": "AQAB", "kid": "rsa", "alg": "RS256"})
}

fn good() -> Value {
    json!({"sub": "42", "exp": NOW + 60})
}

#[test]
fn a_good_token_is_its_user() {
    let user = "42".parse().expect("a user");
    let found = person(&with_secret(), &hs256(&good()));
    assert_eq!(found, Person { user, exp: NOW + 60, posts: None });
    let minted =
        mint(&Minted { user, exp: NOW + 9, posts: None }, &ClaimRules::default(), &secret());
    assert_eq!(person(&with_secret(), &minted).exp, NOW + 9);
}

#[test]
fn each_algorithm_verifies_by_its_own_key() {
    let (ed, ed_jwk) = ed25519();
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
    let ec = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("a key");
    let point = ec.public_key().as_ref();
    let ec_jwk = json!({"kty": "EC", "crv": "P-256", "kid": "ec",
        "x": base64(&point[1..33]), "y": base64(&point[33..])});
    let keys = with_jwks(&[ed_jwk, ec_jwk, rsa()]).with_secret(&secret());
    let claims = good().to_string();
    let by_ed = signed(&json!({"alg": "EdDSA", "kid": "ed"}), &claims, |message| {
        ed.sign(message).as_ref().to_vec()
    });
    let by_ec = signed(&json!({"alg": "ES256", "kid": "ec"}), &claims, |message| {
        ec.sign(&random, message).expect("a signature").as_ref().to_vec()
    });
    let by_rsa = format!(
        "{}.{}.{}",
        base64(r#"{"alg":"RS256","kid":"rsa"}"#),
        base64(r#"{"sub":"42","exp":4102444800}"#),
        RSA_SIGNATURE.concat()
    );
    for token in [by_ed, by_ec, by_rsa, hs256(&good())] {
        assert_eq!(person(&keys, &token).user.to_string(), "42");
        // One byte of the signature, of the claims and of the header.
        for place in [token.len() - 20, token.len() / 2, 12] {
            let mut wrong = token.clone().into_bytes();
            wrong[place] = if wrong[place] == b'A' { b'B' } else { b'A' };
            let wrong = String::from_utf8(wrong).expect("ASCII");
            assert!(keys.judge(&wrong, NOW).is_err(), "{place}: {wrong}");
        }
    }
}

#[test]
fn a_token_chooses_neither_its_algorithm_nor_its_key() {
    let (_, ed_jwk) = ed25519();
    let keys = with_jwks(&[ed_jwk, rsa()]);
    let claims = good().to_string();
    let (modulus, none) = (RSA_N.concat(), |_: &[u8]| Vec::new());
    // The public key as the secret of an HMAC, in the forms that an attacker has.
    let der = URL_SAFE_NO_PAD.decode(&modulus).expect("base64");
    for secret in [modulus.as_bytes(), der.as_slice(), rsa().to_string().as_bytes()] {
        for header in [json!({"alg": "HS256"}), json!({"alg": "HS256", "kid": "rsa"})] {
            refused(
                &keys,
                &signed(&header, &claims, by_hmac(secret)),
                "no key for the token's `alg`",
            );
        }
    }
    for alg in ["none", "None", "", "HS256 ", "hs256", "ES512", "PS999"] {
        let token = signed(&json!({"alg": alg}), &claims, none);
        refused(&keys, &token, "not a JWT that onetap can read");
        refused(&with_secret(), &token, "not a JWT that onetap can read");
    }
    for alg in ["HS384", "HS512", "PS256", "RS512", "ES384"] {
        let token = signed(&json!({"alg": alg}), &claims, by_hmac(SECRET));
        refused(&with_secret(), &token, "no key for the token's `alg`");
    }
    // The RSA key's name on a token for another key.
    let crossed = signed(&json!({"alg": "EdDSA", "kid": "rsa"}), &claims, |_| vec![0; 64]);
    refused(&keys, &crossed, "no key with the token's `kid`");
    let empty = signed(&json!({"alg": "HS256"}), &claims, none);
    refused(&with_secret(), &empty, "signature does not match");
    // A key in the token itself is nobody's.
    let own = json!({"alg": "RS256", "kid": "x", "jwk": rsa(), "jku": "https://evil.example"});
    refused(&keys, &signed(&own, &claims, |_| vec![0; 256]), "no key with the token's `kid`");
}

#[test]
fn a_kid_is_compared_and_nothing_else() {
    let (ed, ed_jwk) = ed25519();
    let named = |kid: Value| {
        let mut header = json!({"alg": "EdDSA"});
        header["kid"] = kid;
        signed(&header, &good().to_string(), |message| ed.sign(message).as_ref().to_vec())
    };
    let keys = with_jwks(std::slice::from_ref(&ed_jwk));
    assert!(keys.judge(&named(json!("ed")), NOW).is_ok());
    for kid in ["", "ED", "ed ", "ed\0", "../../x", "/dev/null", "' OR 1=1", "https://evil.example"]
    {
        refused(&keys, &named(json!(kid)), "no key with the token's `kid`");
    }
    refused(&keys, &named(json!(1)), "not a JWT that onetap can read");
    let bare = signed(&json!({"alg": "EdDSA"}), &good().to_string(), |message| {
        ed.sign(message).as_ref().to_vec()
    });
    assert!(keys.judge(&bare, NOW).is_ok(), "only one key could be meant");
    let mut other = ed_jwk.clone();
    other["kid"] = json!("new");
    refused(&with_jwks(&[ed_jwk, other]), &bare, "no `kid`, and the service has several");
    let token = signed(&json!({"alg": "HS256", "kid": "a"}), &good().to_string(), by_hmac(SECRET));
    refused(&with_secret(), &token, "no key with the token's `kid`");
}

#[test]
fn times_are_whole_numbers_in_order() {
    let keys = with_secret();
    let with = |name: &str, value: Value| {
        let mut claims = good();
        claims[name] = value;
        hs256(&claims)
    };
    refused(&keys, &hs256(&json!({"sub": "42"})), "no claim `exp`");
    for exp in [NOW, NOW - 1, 0] {
        refused(&keys, &with("exp", json!(exp)), "has expired");
    }
    for bad in [
        json!("never"),
        json!("9999999999"),
        json!(1.9e9),
        json!(NOW as f64 + 60.5),
        json!(-1),
        json!(null),
        json!(true),
    ] {
        refused(&keys, &with("exp", bad.clone()), "`exp` is not a whole number");
        refused(&keys, &with("nbf", bad), "`nbf` is not a whole number");
    }
    for bad in [json!([NOW + 60]), json!({}), json!([])] {
        refused(&keys, &with("exp", bad.clone()), "correct");
        refused(&keys, &with("nbf", bad), "correct");
    }
    let huge = signed(
        &json!({"alg": "HS256"}),
        r#"{"sub":"42","exp":99999999999999999999999}"#,
        by_hmac(SECRET),
    );
    refused(&keys, &huge, "`exp` is not a whole number");
    assert!(keys.judge(&with("exp", json!(u64::MAX)), NOW).is_ok());
    assert!(keys.judge(&with("nbf", json!(NOW + 5)), NOW).is_ok(), "clocks differ a little");
    refused(&keys, &with("nbf", json!(NOW + 6)), "not valid yet");
    refused(&keys, &with("nbf", json!(u64::MAX)), "not valid yet");
}

#[test]
fn the_subject_is_a_user_id_in_a_string() {
    let with = |sub: Value| hs256(&json!({"sub": sub, "exp": NOW + 60}));
    let keys = with_secret();
    refused(&keys, &hs256(&json!({"exp": NOW + 60})), "no claim `sub`");
    for bad in [json!(42), json!(null), json!(true)] {
        refused(&keys, &with(bad), "`sub` is not a string");
    }
    for bad in [json!(["42"]), json!({"id": "42"})] {
        refused(&keys, &with(bad), "right types");
    }
    for bad in ["007", "", "0", "-1", "+1", "me", "4 2", "9223372036854775808", "anna", "４２"] {
        refused(&keys, &with(json!(bad)), "`sub` is not a user id");
    }
    refused(&keys, &with(json!("4".repeat(100_000))), "more than 16384 bytes");
    refused(&keys, &with(json!("4".repeat(5000))), "`sub` is not a user id");
    let rules = ClaimRules { user_ids: UserIds::Text, ..ClaimRules::default() };
    let texts = Keys::new(rules).with_secret(&secret());
    assert_eq!(person(&texts, &with(json!("auth0|5f7c"))).user.to_string(), "auth0|5f7c");
    for bad in ["me", "_x", "a b", "{}", "..", ""] {
        refused(&texts, &with(json!(bad)), "`sub` is not a user id");
    }
}

#[test]
fn a_token_is_for_this_service_and_of_its_issuer() {
    let rules = ClaimRules {
        audience: Some("onetap".into()),
        issuer: Some("https://forum.example".into()),
        ..ClaimRules::default()
    };
    let keys = Keys::new(rules).with_secret(&secret());
    let with = |aud: Value, iss: Value| {
        let mut claims = good();
        claims["aud"] = aud;
        claims["iss"] = iss;
        hs256(&claims)
    };
    let issuer = || json!("https://forum.example");
    for aud in [json!("onetap"), json!(["other", "onetap"])] {
        assert!(keys.judge(&with(aud, issuer()), NOW).is_ok());
    }
    for aud in [json!("Onetap"), json!(["other"]), json!([]), json!("onetap ")] {
        refused(&keys, &with(aud, issuer()), "`aud` is not what");
    }
    for aud in [json!(1), json!(null), json!(["onetap", 1]), json!({})] {
        refused(&keys, &with(aud, issuer()), "`aud` is not a string or a list");
    }
    for iss in ["https://forum.example/", "https://evil.example", ""] {
        refused(&keys, &with(json!("onetap"), json!(iss)), "`iss` is not what");
    }
    for iss in [json!(["https://forum.example"]), json!(null), json!(1)] {
        refused(&keys, &with(json!("onetap"), iss), "`iss` is not a string");
    }
    refused(&keys, &hs256(&good()), "no claim `aud`");
    let mut claims = good();
    claims["aud"] = json!("onetap");
    refused(&keys, &hs256(&claims), "no claim `iss`");
    // A token for another service.
    refused(&with_secret(), &hs256(&claims), "`aud` is not what");
}

#[test]
fn a_token_may_name_its_posts() {
    let posts: Vec<String> =
        (1..=101).map(|n| format!("0192f0c1-2345-7890-abcd-{n:012x}")).collect();
    let post = |n: usize| posts[n].parse::<PostId>().expect("a post");
    let with = |claim: Value| {
        let mut claims = good();
        claims["posts"] = claim;
        hs256(&claims)
    };
    let keys = with_secret();
    let grants = |claim: Value| person(&keys, &with(claim)).posts.expect("grants");
    let listed = grants(json!(posts[..100]));
    assert_eq!((listed.len(), listed.of(post(0))), (100, Some(Add::All)));
    assert_eq!(listed.of(post(100)), None);
    let ruled = grants(json!({&posts[0]: "none", &posts[1]: "existing", &posts[2]: "all"}));
    let each = [0, 1, 2, 3].map(|n| ruled.of(post(n)));
    assert_eq!(each, [Some(Add::None), Some(Add::Existing), Some(Add::All), None]);
    assert_eq!(grants(json!([])), Grants::default());
    let upper = posts[10].to_uppercase();
    assert_eq!(grants(json!([posts[10], upper])).len(), 1);
    for (bad, word) in [
        (json!(posts), "more than 100"),
        (json!("all"), "neither a list nor an object"),
        (json!(null), "neither a list nor an object"),
        (json!([1]), "something else than a post"),
        (json!(["123"]), "something else than a post"),
        (json!([posts[0], "00000000-0000-0000-0000-000000000000"]), "something else than a post"),
        (json!({&posts[0]: "some"}), "unknown `add`"),
        (json!({&posts[0]: true}), "unknown `add`"),
        (json!({&posts[10]: "all", upper: "none"}), "a post twice"),
    ] {
        refused(&keys, &with(bad), word);
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let keys = with_secret();
    let [header, payload] = [r#"{"alg":"HS256"}"#, "[]"].map(base64);
    for bad in ["", ".", "..", "...", "a", "a.b.c", "a.b", "ä.ö.ü", "otk", "\0", "a.b.c.d"] {
        refused(&keys, bad, "not a JWT");
    }
    refused(&keys, &format!("{header}.{payload}"), "not a JWT");
    for claims in ["[]", "null", "42", "\"x\"", "", "{", "{}x", r#"{"sub":"1","sub":"2","exp":1}"#]
    {
        let token = signed(&json!({"alg": "HS256"}), claims, by_hmac(SECRET));
        refused(&keys, &token, "right types");
    }
    for header in [
        json!({}),
        json!([]),
        json!({"alg": "HS256", "crit": ["exp"]}),
        json!({"alg": "HS256", "b64": false}),
    ] {
        let token = signed(&header, &good().to_string(), by_hmac(SECRET));
        refused(&keys, &token, "not a JWT");
    }
    refused(&keys, &format!("{}=", hs256(&good())), "not a JWT");
    refused(&keys, &"a".repeat(MAX_TOKEN_BYTES + 1), "more than 16384 bytes");
    refused(&keys, &format!("otk_{}", "a".repeat(43)), "does not know this key");
}

#[test]
fn the_secret_is_the_file_less_one_newline() {
    let length = |bytes: &[u8]| Secret::of_file(bytes).map(|secret| secret.expose().len());
    let s = [b'x'; 32];
    assert_eq!(length(&s), Ok(32));
    assert_eq!(length(&[&s[..], b"\n"].concat()), Ok(32));
    assert_eq!(length(&[&s[..], b"\n\n"].concat()), Ok(33));
    assert_eq!(length(&[&s[..], b"\r\n"].concat()), Ok(33));
    assert_eq!(length(&[&s[..31], b"\n"].concat()), Err(SecretTooShort(31)));
    assert_eq!(length(b""), Err(SecretTooShort(0)));
    assert!(!format!("{:?}", Secret::of_file(&s)).contains('x'));
}
