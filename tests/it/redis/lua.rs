//! The Lua files compared with their headers, and the rights that onetap checks with those that
//! taps need.

use std::collections::BTreeSet;

use crate::support::lua::{LuaFile, lua_files};

fn all_files() -> Vec<LuaFile> {
    ["lua/lib", "lua/commands", "tests/lua"].into_iter().flat_map(lua_files).collect()
}

/// The commands that a text calls: `call('GET', …)`, `try('GET', …)`.
fn called(code: &str) -> BTreeSet<String> {
    let calls = ["call('", "try('"].into_iter().flat_map(|call| code.split(call).skip(1));
    calls.filter_map(|rest| rest.split('\'').next()).map(str::to_owned).collect()
}

#[test]
fn each_header_states_the_commands_of_its_file() {
    for file in all_files() {
        let mut stated = &file.commands_of_taps() | &file.stated("Commands of reads");
        let none = stated.remove("none");
        assert_eq!(stated, called(&file.code), "{}", file.name);
        let included = file.code.is_empty() || file.header.contains("KEYS, ARGV, returns: see");
        assert!(none || included || !stated.is_empty(), "{} states no commands", file.name);
    }
}

#[test]
fn the_header_of_each_command_states_keys_arguments_answers_and_flags() {
    for file in ["lua/commands", "tests/lua"].into_iter().flat_map(lua_files) {
        for word in ["KEYS", "ARGV", "eturns", "Flags: "] {
            assert!(file.header.contains(word), "{} does not state {word}", file.name);
        }
    }
}

/// The files that know what the keys of members, counts and hints contain.
const FAMILY: [&str; 4] = ["members", "lists", "scores", "hints"];

#[test]
fn members_and_counts_are_kept_in_one_family_of_files() {
    let family = lua_files("lua/lib").into_iter().filter(|file| FAMILY.contains(&&*file.name));
    let own: BTreeSet<String> = family
        .flat_map(|file| &file.stated("Commands of taps") | &file.stated("Commands of reads"))
        .collect();
    let own: Vec<_> = own.iter().filter(|command| command.starts_with(['H', 'Z'])).collect();
    assert!(own.len() > 8, "{own:?}");
    let knows = |file: &&LuaFile| FAMILY.contains(&&*file.name) || file.name == "rights";
    for file in all_files().iter().filter(|file| !knows(file)) {
        // Marks of imports are a hash, too, and one of their own.
        let its = if file.name == "marks" { &["HDEL", "HGET", "HSET"][..] } else { &[] };
        for command in called(&file.code).into_iter().filter(|it| !its.contains(&it.as_str())) {
            assert!(!own.contains(&&command), "{} runs {command}", file.name);
        }
        assert!(!file.code.contains("'_rev'"), "{} names the revision's field", file.name);
    }
}

#[test]
fn the_rights_that_are_checked_are_those_that_taps_need() {
    let commands = lua_files("lua/commands");
    let find = |name: &str| commands.iter().find(|file| file.name == name).unwrap();
    let rows = find("rights").code.split("{ '").skip(1).map(|row| row.split('\'').next().unwrap());
    let checked: BTreeSet<String> = rows.map(str::to_owned).collect();
    let mut needed = find("probe").commands_of_taps();
    for file in lua_files("lua/lib") {
        needed.extend(file.commands_of_taps());
    }
    needed.remove("none");
    needed.insert("EVALSHA".into());
    assert_eq!(checked, needed);
}
