//! Texts that are nearly ids: no parser panics, and what one accepts, it accepts again as it spells
//! it.

use proptest::prelude::*;

use super::*;

/// Text of the characters that ids have, and of any others.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z0-9+_.@|:~=-]{0,70}",
        "-?[0-9]{0,25}",
        "[0-9a-fA-F-]{30,38}",
        "[👍❤️️🏽‍👩🇩🇪#️⃣a1]{0,4}",
    ]
}

proptest! {
    // How many cases: PROPTEST_CASES, else 256.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn post_ids(text in text()) {
        if let Ok(id) = text.parse::<PostId>() {
            prop_assert_eq!(id.to_string().parse::<PostId>().ok(), Some(id));
        }
    }

    #[test]
    fn integers_of_posts(integer in any::<u64>(), kind in any::<u16>()) {
        if let Ok(id) = PostId::from_integer(integer, kind) {
            prop_assert_eq!(id.to_integer(kind), Some(integer));
        }
    }

    #[test]
    fn user_ids(text in text()) {
        for ids in [UserIds::Integer, UserIds::Text] {
            if let Ok(id) = ids.parse(&text) {
                prop_assert_eq!(id.to_string(), text.as_str());
                let mut bytes = Vec::new();
                id.append_to(&mut bytes);
                prop_assert_eq!(UserId::split_from(&bytes), Some((id, &[][..])));
            }
        }
    }

    #[test]
    fn bytes_of_user_ids(bytes in any::<Vec<u8>>()) {
        if let Some((id, rest)) = UserId::split_from(&bytes) {
            let mut again = Vec::new();
            id.append_to(&mut again);
            prop_assert_eq!(&again[..], &bytes[..bytes.len() - rest.len()]);
        }
    }

    #[test]
    fn reactions(text in text()) {
        if let Ok(reaction) = text.parse::<Reaction>() {
            prop_assert_eq!(reaction.as_str().parse::<Reaction>().ok(), Some(reaction));
        }
    }

    #[test]
    fn names_of_palettes(text in text()) {
        if let Ok(name) = text.parse::<PaletteName>() {
            prop_assert_eq!(name.as_str(), text.as_str());
        }
    }

    #[test]
    fn idempotency_keys(text in text(), user in 1_u64..) {
        let post = PostId::from_integer(7, 1).expect("a post");
        let Ok(user) = UserId::try_from(user) else { return Ok(()) };
        let visible = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        prop_assert_eq!(IdempotencyKey::new(&text, post, user).is_ok(), visible);
    }
}
