//! The keys that scripts touch, as MONITOR shows them, compared with the scripts' headers. Each key
//! is declared, or derived from a declared one as the header says. All keys of a call share one
//! slot.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use onetap::domain::{
    Act, Add, Amendment, Cause, Edit, EditAct, Exclusive, Forget, Form, ImportStep, MemberEdit,
    Micros, Once, Palette, PaletteSpec, Palettes, PostId, RulesEdit, SourceId, StepToken, Tap,
    Verb,
};
use onetap::store::redis::RedisStore;
use onetap::store::{DocumentWrite, Maintenance, ReactorsQuery, Store, SummaryQuery, WalkedPost};
use redis::AsyncCommands as _;

use crate::support::lua::lua_files;
use crate::support::redis_server::{Kind, RedisServer};
use crate::support::{keyed_tap, post, reaction, soon, tap, user};

/// Parses a line of MONITOR: whether a script ran the command, and its words.
fn parse(line: &str) -> Option<(bool, Vec<String>)> {
    let (_, rest) = line.split_once('[')?;
    let (source, command) = rest.split_once("] ")?;
    // Arguments are quoted; ours contain neither quotes nor backslashes, except for bytes.
    let words = command.trim().trim_matches('"').split("\" \"").map(str::to_owned).collect();
    Some((source.ends_with(" lua"), words))
}

fn tag(key: &str) -> &str {
    &key[key.find('{').unwrap()..=key.find('}').unwrap()]
}

async fn read(store: &RedisStore, post: PostId) {
    let query = SummaryQuery { posts: vec![post], viewer: Some(user(4)), recent: 2 };
    store.summaries(query, soon()).await.unwrap();
    let query = ReactorsQuery { post, reaction: None, after: None, limit: 1 };
    let after = store.reactors(query.clone(), soon()).await.unwrap().next().cloned();
    store.reactors(ReactorsQuery { after, ..query }, soon()).await.unwrap();
}

/// Asserts that a script's key was declared, or is derived where the script only reads it. `reads`
/// are the commands that the headers list for reads.
#[track_caller]
fn assert_declared(
    command: &str,
    key: &String,
    declared: &BTreeSet<String>,
    reads: &BTreeSet<String>,
) {
    // Derived: a post's key, a colon, a reaction.
    let derived = declared
        .iter()
        .any(|post| key.strip_prefix(&format!("{post}:")).is_some_and(|name| !name.contains(':')));
    // Derived: the floor of its partition, from the key of a post without `p:` and its id.
    let floor = declared.iter().any(|post| {
        post.len().checked_sub(38).is_some_and(|end| format!("{}floor", &post[..end]) == **key)
    });
    // Derived: the hints of a user that an edit names, as `u:` and a number in the place of `p:` and
    // the id; and the members that a hint names.
    let partition = |key: &str| key.rfind("}:").map(|end| key[..end + 2].to_owned());
    let beside = |start: &str| {
        declared.iter().filter_map(|other| partition(other)).any(|it| {
            key.strip_prefix(&format!("{it}{start}")).is_some_and(|rest| !rest.contains('}'))
        })
    };
    let hints = beside("u:") && ["ZADD", "ZREM", "ZSCORE"].contains(&command);
    let hinted = beside("p:") && command == "ZSCORE";
    assert!(
        declared.contains(key) || derived || floor || hints || hinted,
        "{command} {key}, of {declared:?}"
    );
    // What changes several reactions of a post derives their members, and writes there too.
    let members = ["ZADD", "ZREM", "UNLINK"].contains(&command) && derived;
    let read = reads.contains(command) || command == "ZCARD";
    let allowed = declared.contains(key) || read || floor || members || hints;
    assert!(allowed, "{command} writes to {key} undeclared");
    // One call may be about several posts, each in a slot of its own; in a cluster it is not.
    assert!(declared.iter().any(|other| tag(other) == tag(key)));
}

/// A palette in which a user has one reaction a post, and an alias.
fn exclusive() -> Arc<Palettes> {
    let aliases = vec![(reaction("+1"), reaction("👍"))];
    let spec = PaletteSpec { exclusive: Exclusive::Everything, aliases, ..PaletteSpec::default() };
    Arc::new(Palettes::new([Palette::new("default".parse().unwrap(), spec).unwrap()]))
}

/// Runs each verb with and without effect, and reads existing and missing posts.
async fn tap_everything(store: &RedisStore, post: PostId) {
    for (verb, id, name) in [
        (Verb::Toggle, 1, "like"),
        (Verb::Toggle, 1, "like"),
        (Verb::Set, 2, "love"),
        (Verb::Set, 2, "love"),
        (Verb::Unset, 2, "love"),
        (Verb::Unset, 3, "love"),
        (Verb::Set, 4, "like"),
        (Verb::Set, 4, "love"),
    ] {
        store.tap(tap(verb, post, id, name), soon()).await.unwrap();
    }
    let exclusive = exclusive();
    for name in ["like", "love", "+1"] {
        let palettes = Arc::clone(&exclusive);
        store.tap(Tap { palettes, ..tap(Verb::Toggle, post, 5, name) }, soon()).await.unwrap();
    }
    for names in [&["like", "sad"][..], &["like"], &[]] {
        let act = Act::Exactly(names.iter().map(|name| reaction(name)).collect());
        store.tap(Tap { act, ..tap(Verb::Set, post, 6, "like") }, soon()).await.unwrap();
    }
    for edit in [Edit::Lock(true), Edit::Lock(false), Edit::Rules(None, Add::Existing)] {
        store.rule(RulesEdit { post, edit, actor: Some(user(9)) }, soon()).await.unwrap();
    }
    for name in [Some(reaction("love")), None, None] {
        import(store, post).await;
        store.forget(Forget { post, reaction: name, actor: None }, soon()).await.unwrap();
    }
    let emptied = self::post();
    for verb in [Verb::Set, Verb::Unset] {
        store.tap(tap(verb, emptied, 1, "like"), soon()).await.unwrap();
    }
    read(store, emptied).await;
    read(store, post).await;
}

/// Leaves a mark at the post, which forgetting deletes.
async fn import(store: &RedisStore, post: PostId) {
    let step = ImportStep { source: SourceId([7; 16]), from: 0, more: false, merge: true };
    let act = EditAct::RemoveUpTo(Micros(5));
    let edits = vec![MemberEdit { user: user(1), reaction: reaction("like"), act }];
    let import = Amendment::new(post, Cause::Import, edits, Once::Import(step));
    store.amend(vec![import], soon()).await.remove(0).unwrap();
}

/// Falsifies a count, so that MONITOR also shows the commands of a tap that heals it; then repeats a
/// tap with its key.
async fn heal_and_replay(server: &RedisServer, store: &RedisStore, post: PostId) {
    let mut client = server.client().await;
    let counts: Vec<String> = client.keys(format!("*:p:{post}")).await.unwrap();
    let _: () = client.hset(&counts[0], "like", 99).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!store.tap(tap(Verb::Unset, post, 9, "like"), soon()).await.unwrap().changed);
    for replayed in [false, true] {
        let keyed = keyed_tap(Form::Set, post, 9, "love", "k");
        assert_eq!(store.tap(keyed, soon()).await.unwrap().replayed, replayed);
    }
}

/// Runs what jobs do: amendments of each kind, on posts that are there and that become empty; the
/// list of a user, also with hints that are stale; audits and documents.
async fn work_on_everything(server: &RedisServer, store: &RedisStore, post: PostId) {
    let edit = |id, name, act| MemberEdit { user: user(id), reaction: reaction(name), act };
    let merge = EditAct::Merge { at: Micros(9), excluded: [reaction("love")].into() };
    let rows = vec![
        edit(1, "like", EditAct::Put(Micros(5))),
        edit(1, "love", EditAct::Restore(Micros(5))),
        edit(2, "like", merge),
        edit(1, "like", EditAct::RemoveUpTo(Micros(5))),
        edit(3, "like", EditAct::RemoveAt(Micros(5))),
    ];
    let all =
        [(1, "love"), (2, "like")].map(|(id, name)| edit(id, name, EditAct::RemoveUpTo(Micros(9))));
    let import = ImportStep { source: SourceId([1; 16]), from: 0, more: false, merge: true };
    for (once, edits) in [
        (Once::Import(import), rows.clone()),
        (Once::Step(StepToken([2; 16])), rows),
        (Once::No, all.to_vec()),
    ] {
        let amendment = Amendment::new(post, Cause::Import, edits, once);
        store.amend(vec![amendment], soon()).await.remove(0).unwrap();
    }
    for name in ["like", "love"] {
        store.tap(tap(Verb::Set, post, 7, name), soon()).await.unwrap();
    }
    let forget = Forget { post, reaction: Some(reaction("love")), actor: None };
    store.forget(forget, soon()).await.unwrap();
    assert_eq!(store.given(user(7), None, 9, soon()).await.unwrap().given.len(), 1);
    let mut client = server.client().await;
    let counts: Vec<String> = client.keys(format!("*:p:{post}")).await.unwrap();
    let _: () = client.hset(&counts[0], "like", 99).await.unwrap();
    let hints: Vec<String> = client.keys("*:u:*").await.unwrap();
    let _: () = client.del(hints).await.unwrap();
    for repair in [false, true] {
        let seen = WalkedPost { post, own: true, seen: vec![reaction("sad")] };
        let indexed = vec![(reaction("like"), user(7))];
        assert_eq!(store.audit(seen, indexed, repair, soon()).await.unwrap().drift.len(), 2);
    }
    for (expected, body) in [(0, Some(vec![1])), (1, None)] {
        let write = DocumentWrite { name: "a".into(), expected, body, keep: None };
        assert!(store.write_document(write, soon()).await.unwrap());
    }
    store.document("a", soon()).await.unwrap();
}

/// Some of the commands that MONITOR must see, each with a part of its key.
const SEEN: &[&str] = &[
    "GET {}:k:",
    "SET {}:k:",
    "HDEL {}:p:",
    "GET {}:floor",
    "HDEL {}:i:",
    "SET {}:floor",
    "DEL {}:probe:record",
    "DEL {}:probe:floor",
    "XADD {}:probe:log",
    "UNLINK {}:p:",
    "HKEYS {}:p:",
    "ZADD {}:u:",
    "ZREM {}:u:",
    "ZRANGE {}:u:",
    "HSET {}:i:",
    "PEXPIRE {}:i:",
    "SET {}:s:",
    "SET {}:d:",
    "DEL {}:d:",
];

#[tokio::test]
async fn every_key_is_declared_or_derived_in_the_same_slot() {
    let server = RedisServer::start(Kind::Redis, &[]);
    let store = server.store();
    let post = post();
    for verb in [Verb::Toggle, Verb::Unset, Verb::Set] {
        store.tap(tap(verb, post, 1, "like"), soon()).await.unwrap();
    }
    store.probe(soon()).await.unwrap();
    read(&store, post).await;
    let mut monitor = Command::new("redis-cli")
        .args(["-p", &server.port.to_string(), "monitor"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = monitor.stdout.take().unwrap();
    let reading = std::thread::spawn(move || {
        std::io::read_to_string(output).unwrap().lines().filter_map(parse).collect::<Vec<_>>()
    });
    heal_and_replay(&server, &store, post).await;
    store.probe(soon()).await.unwrap();
    tap_everything(&store, post).await;
    work_on_everything(&server, &store, self::post()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    monitor.kill().unwrap();
    monitor.wait().unwrap();

    let reads = lua_files("lua/lib").iter().flat_map(|it| it.stated("Commands of reads")).collect();
    let (mut declared, mut scripts, mut touched) = (BTreeSet::new(), 0, Vec::new());
    for (by_script, words) in reading.join().unwrap() {
        match words[0].to_uppercase().as_str() {
            "EVALSHA" | "EVAL" => {
                let keys: usize = words[2].parse().unwrap();
                declared = words[3..3 + keys].iter().cloned().collect();
                scripts += 1;
            }
            "TIME" => assert_eq!(words.len(), 1),
            command if by_script => {
                let keys = if command == "DEL" || command == "UNLINK" {
                    &words[1..]
                } else {
                    &words[1..2]
                };
                for key in keys {
                    assert_declared(command, key, &declared, &reads);
                    touched.push(format!("{command} {key}"));
                }
            }
            _ => {}
        }
    }
    assert!(scripts > 50, "{scripts}");
    assert!(touched.len() > 60, "MONITOR saw {touched:?}");
    for seen in SEEN {
        let (command, key) = seen.split_once("{}").unwrap();
        let is_seen = |touch: &String| touch.starts_with(command) && touch.contains(key);
        assert!(touched.iter().any(is_seen), "`{seen}` is not in {touched:?}");
    }
}
