//! The scripts: their source, what they are called by, and how a batch for them is laid out.

use std::sync::LazyLock;

use deadpool_redis::redis;

/// A script of `lua/`. The header of each file says what its keys, arguments and answers are; the
/// numbers stand here and nowhere else in Rust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Toggle,
    Set,
    Unset,
    /// Unset, while memory is full.
    UnsetFull,
    Summary,
    Reactors,
    Probe,
}

/// How many of each an item of a batch has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Keys; a tap with an idempotency key has one more, its record.
    pub(super) keys: usize,
    /// Arguments that stand once, before those of the items.
    pub(super) shared_args: usize,
    pub(super) args: usize,
    pub(super) answers: usize,
}

const TAP: Shape = Shape { keys: 3, shared_args: 5, args: 5, answers: 3 };

impl Script {
    pub(super) const ALL: [Self; 7] = [
        Self::Toggle,
        Self::Set,
        Self::Unset,
        Self::UnsetFull,
        Self::Summary,
        Self::Reactors,
        Self::Probe,
    ];

    pub(super) fn shape(self) -> Shape {
        match self {
            Self::Toggle | Self::Set | Self::Unset | Self::UnsetFull | Self::Probe => TAP,
            Self::Summary => Shape { keys: 1, shared_args: 1, args: 2, answers: 1 },
            Self::Reactors => Shape { keys: 1, shared_args: 1, args: 4, answers: 1 },
        }
    }

    /// Whether an answer that never came leaves open what happened.
    pub(super) fn writes(self) -> bool {
        match self {
            Self::Toggle | Self::Set | Self::Unset | Self::UnsetFull | Self::Probe => true,
            Self::Summary | Self::Reactors => false,
        }
    }

    /// The whole source, as EVAL takes it.
    pub(super) fn source(self) -> &'static str {
        &SOURCES[self as usize].0
    }

    /// The SHA-1 of the source, as EVALSHA takes it.
    pub(super) fn sha(self) -> &'static str {
        &SOURCES[self as usize].1
    }
}

/// What is run before any of them, with nothing of theirs.
pub(super) const RIGHTS: &str =
    concat!("#!lua flags=no-writes\n", include_str!("../../../lua/rights.lua"));

const PRELUDE: &str = include_str!("../../../lua/prelude.lua");
const PRELUDE_READ: &str = include_str!("../../../lua/prelude_read.lua");
const PRELUDE_TAP: &str = concat!(
    include_str!("../../../lua/prelude_log.lua"),
    "\n",
    include_str!("../../../lua/prelude_floor.lua"),
    "\n",
    include_str!("../../../lua/prelude_tap.lua"),
    "\n",
    include_str!("../../../lua/prelude_keyed.lua")
);

/// Source and SHA-1 of each script, in the order of [`Script::ALL`].
static SOURCES: LazyLock<[(String, String); 7]> = LazyLock::new(|| {
    Script::ALL.map(|script| {
        let (flags, prelude, body) = match script {
            Script::Toggle => ("", PRELUDE_TAP, include_str!("../../../lua/toggle.lua")),
            Script::Set => ("", PRELUDE_TAP, include_str!("../../../lua/set.lua")),
            Script::Unset => ("", PRELUDE_TAP, include_str!("../../../lua/unset.lua")),
            Script::UnsetFull => {
                (" flags=allow-oom", PRELUDE_TAP, include_str!("../../../lua/unset_full.lua"))
            }
            Script::Probe => ("", PRELUDE_TAP, include_str!("../../../lua/probe.lua")),
            Script::Summary => {
                (" flags=no-writes", PRELUDE_READ, include_str!("../../../lua/summary.lua"))
            }
            Script::Reactors => {
                (" flags=no-writes", PRELUDE_READ, include_str!("../../../lua/reactors.lua"))
            }
        };
        let source = format!("#!lua{flags}\n{PRELUDE}\n{prelude}\n{body}");
        let sha = redis::Script::new(&source).get_hash().to_owned();
        (source, sha)
    })
});

#[cfg(test)]
mod tests {
    use super::*;

    /// The items that a header numbers in the section with this title: `KEYS, per tap   1 post …`,
    /// and lines that begin further in.
    fn items(source: &str, title: &str) -> Vec<String> {
        let is_title = |line: &&str| line.strip_prefix("-- ").is_some_and(|l| l.starts_with(title));
        let mut lines = source.lines().skip_while(|line| !is_title(line));
        let first = lines.next().unwrap_or_default().trim_start_matches("-- ");
        let words = first[first.len().min(title.len())..].split_whitespace().chain(
            lines.take_while(|line| line.starts_with("--  ")).flat_map(str::split_whitespace),
        );
        let mut items: Vec<String> = Vec::new();
        for word in words {
            if word == (items.len() + 1).to_string() {
                items.push(String::new());
            } else if let Some(item) = items.last_mut() {
                item.push_str(word);
                item.push(' ');
            }
        }
        items
    }

    #[test]
    fn the_headers_of_the_scripts_state_their_shapes() {
        for script in Script::ALL {
            let source = script.source();
            let per_item = |word: &str| {
                ["tap", "post", "page"]
                    .map(|item| items(source, &format!("{word}, per {item} ")))
                    .concat()
            };
            let keys = per_item("KEYS");
            let stated = Shape {
                keys: keys.iter().filter(|key| !key.contains("only for")).count(),
                shared_args: items(source, "ARGV, once ").len(),
                args: per_item("ARGV").len(),
                answers: per_item("Returns").len(),
            };
            assert_eq!(stated, script.shape(), "{script:?}");
        }
    }
}
