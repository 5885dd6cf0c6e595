//! A script: its source, its hash, and the shape of a batch.

use std::sync::OnceLock;

use deadpool_redis::redis::{self, Cmd};

use super::BatchFrame;

/// A command of `lua/commands/`, as `build.rs` assembles it. Each operation has a static one.
#[derive(Debug)]
pub(crate) struct Script {
    /// The file's name.
    pub(crate) name: &'static str,
    /// The whole source, as EVAL takes it.
    pub(crate) source: &'static str,
    pub(crate) effect: Effect,
    pub(crate) shape: Shape,
    /// Writes the arguments that come once, before those of the items.
    pub(crate) shared_args: fn(&mut Cmd, &BatchFrame<'_>),
    sha: OnceLock<String>,
}

/// What a script does to the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    Reads,
    /// It writes, and Redis refuses it when memory is full. So a success shows that taps are
    /// counted.
    Adds,
    /// It writes, and may follow another script that Redis refused because memory was full.
    Removes,
}

/// How many keys, arguments and answers an item has. The header of the script explains each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Keys, without those that only some items have.
    pub(crate) keys: usize,
    /// Arguments that come once, before those of the items.
    pub(crate) shared_args: usize,
    pub(crate) args: usize,
    pub(crate) answers: usize,
}

impl Script {
    pub(super) const fn new(
        name: &'static str,
        source: &'static str,
        effect: Effect,
        shape: Shape,
        shared_args: fn(&mut Cmd, &BatchFrame<'_>),
    ) -> Self {
        Self { name, source, effect, shape, shared_args, sha: OnceLock::new() }
    }

    /// Whether a missing answer leaves the outcome open.
    pub(crate) fn writes(&self) -> bool {
        self.effect != Effect::Reads
    }

    /// The SHA-1 of the source, as EVALSHA takes it.
    pub(crate) fn sha(&self) -> &str {
        self.sha.get_or_init(|| redis::Script::new(self.source).get_hash().to_owned())
    }
}

/// The script of the command with this name.
macro_rules! lua {
    ($name:literal, $effect:expr, $shape:expr, $shared_args:expr) => {
        Script::new(
            $name,
            include_str!(concat!(env!("OUT_DIR"), "/lua/", $name, ".lua")),
            $effect,
            $shape,
            $shared_args,
        )
    };
}
pub(super) use lua;

/// How much work a reading call may do before it answers "not read" for the rest. It blocks Redis
/// for about half a millisecond.
const READ_WORK: u32 = 600;

/// The shared argument of every reading script.
pub(super) fn read_work(cmd: &mut Cmd, _: &BatchFrame<'_>) {
    cmd.arg(READ_WORK);
}

#[cfg(test)]
mod tests {
    use super::super::SCRIPTS;
    use super::*;

    /// The numbered items of a header's section with this title: `KEYS, per tap   1 post …`, and
    /// the indented lines that follow.
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
        for script in SCRIPTS.concat() {
            let source = script.source;
            let per_item = |word: &str| {
                ["tap", "set", "post", "page", "user", "document"]
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
            assert_eq!(stated, script.shape, "{source}");
        }
    }
}
