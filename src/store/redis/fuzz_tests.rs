//! Replies that no script gives, and entries that onetap did not write: a hostile or damaged Redis
//! makes no decoder panic.

use std::sync::Arc;

use deadpool_redis::redis::Value;
use proptest::prelude::*;

use super::cluster::SlotMap;
use super::log_entry::{log_entry, log_place};
use super::net::Node;
use super::ops::{
    Audit, JudgedTap, Operation, PostAudit, Probe, ReadDocument, ReadGiven, ReadReactors,
    ReadSummary, WholeSet, is_late, is_not_read, is_refused, split,
};
use crate::domain::{
    Act, Add, Edit, Forget, Micros, Palettes, Partition, PostId, Reaction, RulesEdit, Tap, UserId,
    Verb,
};
use crate::store::WalkedPost;

/// Words that replies have, alone or several.
const WORDS: [&str; 16] = [
    "0192f0c1-2345-7890-abcd-ef0123456789",
    "like",
    "👍",
    "7",
    "0",
    "1",
    "*",
    "=",
    "all",
    "default",
    "5-1",
    ",like",
    "like=3",
    "-1",
    "1795574075748479",
    "_",
];

/// Any reply, often one that looks like a script's.
fn value() -> impl Strategy<Value = Value> {
    let words = proptest::collection::vec(proptest::sample::select(&WORDS[..]), 0..8);
    let words = words.prop_map(|words| Value::BulkString(words.join(" ").into_bytes()));
    let leaf = prop_oneof![
        Just(Value::Nil),
        Just(Value::Okay),
        any::<i64>().prop_map(Value::Int),
        (-16_i64..9).prop_map(Value::Int),
        any::<Vec<u8>>().prop_map(Value::BulkString),
        words,
        any::<String>().prop_map(Value::SimpleString),
        any::<f64>().prop_map(Value::Double),
        any::<bool>().prop_map(Value::Boolean),
    ];
    leaf.prop_recursive(3, 48, 8, |inner| {
        proptest::collection::vec(inner, 0..9).prop_map(Value::Array)
    })
}

fn post() -> PostId {
    PostId::from_integer(7, 1).expect("a post")
}

fn user() -> UserId {
    "42".parse().expect("a user id")
}

fn like() -> Reaction {
    "like".parse().expect("a reaction")
}

fn tap(act: Act) -> Tap {
    Tap {
        post: post(),
        user: user(),
        act,
        keyed: None,
        palettes: Palettes::unconfigured(),
        actor: None,
        add: Add::All,
    }
}

/// The operation reads these elements, or says that it cannot.
fn reads(operation: &impl Operation, elements: &[Value]) {
    drop(operation.read(elements));
}

proptest! {
    // How many cases: PROPTEST_CASES, else 256.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn replies(reply in value(), answers in 0_usize..4, items in 0_usize..5) {
        if let Ok((_, elements)) = split(reply, answers, items) {
            prop_assert_eq!(elements.len(), answers * items);
        }
    }

    #[test]
    fn elements_of_replies(elements in proptest::collection::vec(value(), 0..5)) {
        let _ = (is_late(&elements), is_refused(&elements), is_not_read(&elements));
        let palettes = Palettes::unconfigured();
        let palette = Arc::clone(palettes.default_palette());
        let one = Act::One(Verb::Set, like());
        reads(
            &JudgedTap {
                tap: tap(one),
                verb: Verb::Set,
                reaction: like(),
                palette: Arc::clone(&palette),
            },
            &elements,
        );
        reads(&WholeSet::new(tap(Act::Exactly(vec![like()])), &[like()], palette), &elements);
        for viewer in [None, Some(user())] {
            reads(&ReadSummary { post: post(), viewer, recent: 3 }, &elements);
        }
        for reaction in [None, Some(like())] {
            reads(
                &ReadReactors { post: post(), reaction: reaction.clone(), after: None, take: 25 },
                &elements,
            );
            reads(&Forget { post: post(), reaction, actor: None }, &elements);
        }
        reads(&RulesEdit { post: post(), edit: Edit::Lock(true), actor: None }, &elements);
        reads(&Probe(Partition::FIRST), &elements);
        reads(&ReadDocument("a".into()), &elements);
        let newest = Micros(1_795_574_075_748_479);
        reads(
            &ReadGiven { partition: Partition::FIRST, user: user(), from: None, newest, take: 25 },
            &elements,
        );
        let walked = WalkedPost { post: post(), own: true, seen: vec![like()] };
        for repair in [false, true] {
            let audit = PostAudit { post: walked.clone(), indexed: vec![(like(), user())], repair };
            reads(&Audit(Box::new(audit)), &elements);
        }
    }

    #[test]
    fn log_entries(entry in value(), field in "tap|forgotten|locked|rules|import|[a-z]{0,5}",
        words in proptest::collection::vec(proptest::sample::select(&WORDS[..]), 0..9))
    {
        let _ = (log_entry(&entry), log_place(&entry));
        let bulk = |text: &str| Value::BulkString(text.into());
        let fields = Value::Array(vec![bulk(&field), bulk(&words.join(" "))]);
        let _ = log_entry(&Value::Array(vec![bulk("5-1"), fields]));
    }

    #[test]
    fn maps_of_clusters(slots in value(), nodes in ".{0,80}") {
        let asked = Node { host: "a".into(), port: 6379 };
        if let Some(map) = SlotMap::read(&slots, Some(&nodes), &asked) {
            let _ = (map.owner(0), map.owner(16_383));
        }
    }
}
