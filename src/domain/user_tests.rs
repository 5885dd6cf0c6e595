//! Tests of user ids.

use super::*;

fn id(text: &str) -> UserId {
    text.parse().expect("a user id")
}

#[test]
fn an_integer_id_has_one_spelling() {
    for good in ["1", "42", "9007199254740993", "9223372036854775807"] {
        for ids in [UserIds::Integer, UserIds::Text] {
            let id = ids.parse(good).expect(good);
            assert_eq!((id.to_string(), id.integer()), (good.to_owned(), good.parse().ok()));
            assert_eq!(id.spelled().as_str(), good);
        }
    }
    for bad in [
        "",
        "0",
        "00",
        "01",
        "+1",
        "-1",
        " 1",
        "1 ",
        "1.0",
        "1e3",
        "0x1",
        "١",
        "1_000",
        "me",
        "a",
        "9223372036854775808",
        "18446744073709551615",
        "99999999999999999999999",
    ] {
        assert!(UserIds::Integer.parse(bad).is_err(), "{bad} was accepted");
    }
}

#[test]
fn a_text_id_has_1_to_64_bytes_of_its_alphabet() {
    for good in [
        "a",
        "=",
        "-",
        "0",
        "007",
        "9223372036854775808",
        "Me",
        "mee",
        "a_",
        "...",
        "0192f0c1-2345-7890-abcd-ef0123456789",
        "@alice:matrix.example",
        "auth0|5f7c8ec7c33c6c004bbafe82",
        "user+tag~1=x@mail.example",
        &"x".repeat(64),
    ] {
        let id = UserIds::Text.parse(good).expect(good);
        assert_eq!((id.to_string(), id.integer()), (good.to_owned(), None));
        assert_eq!(id, good.parse().expect(good));
    }
    let long = "x".repeat(65);
    for bad in [
        "", "me", ".", "..", "_", "_x", &long, "a b", " a", "a\n", "a\0", "é", "a{b", "}", "*",
        "a%40b", "a/b", "a,b", "a;b", "\"a\"", "a\\b", "a?b", "a#b", "a&b", "[a]", "$a", "!a",
        "(a)", "'a'", "^", "`a`", "<a>",
    ] {
        assert!(UserIds::Text.parse(bad).is_err(), "{bad} was accepted");
    }
    // Every byte: the alphabet, and nothing else.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@|:~=+-";
    for byte in 0..=u8::MAX {
        let text = format!("x{}", char::from(byte));
        let good = alphabet.as_bytes().contains(&byte);
        assert_eq!(UserIds::Text.parse(&text).is_ok(), good, "{text:?}");
    }
}

#[test]
fn case_makes_another_user() {
    assert_ne!(id("Alice"), id("alice"));
}

#[test]
fn users_are_ordered_by_the_bytes_of_their_text() {
    let texts = [
        "+",
        "-a",
        ".b",
        "1",
        "10",
        "100",
        "11",
        "2",
        "2a",
        "9",
        "9223372036854775807",
        "9223372036854775808",
        "99",
        ":",
        "=",
        "@x",
        "A",
        "Z",
        "a",
        "a_",
        "aa",
        "b",
        "|",
        "~",
    ];
    for a in texts {
        for b in texts {
            assert_eq!(id(a).cmp(&id(b)), a.cmp(b), "{a} against {b}");
        }
    }
}

#[test]
fn the_bytes_of_an_id_never_change() {
    // Cursors, idempotency keys and entries of the store file have them.
    let bytes = |text: &str| {
        let mut bytes = Vec::new();
        id(text).append_to(&mut bytes);
        bytes
    };
    assert_eq!(bytes("7"), [0, 0, 0, 0, 0, 0, 0, 7]);
    assert_eq!(bytes("9223372036854775807"), [127, 255, 255, 255, 255, 255, 255, 255]);
    assert_eq!(bytes("a|b"), [0x83, b'a', b'|', b'b']);
    for text in ["1", "9223372036854775807", "0", "a", &"x".repeat(64)] {
        let read = [bytes(text), b"rest".to_vec()].concat();
        assert_eq!(UserId::split_from(&read), Some((id(text), &b"rest"[..])), "{text}");
    }
    for bad in [&[][..], &[0; 8], &[0; 7], &[0x80], &[0x82, b'a'], &[0x81, b'_'], &[0x81, b'7']] {
        assert_eq!(UserId::split_from(bad), None, "{bad:?}");
    }
}
