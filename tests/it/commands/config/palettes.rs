//! Palettes in the configuration file: what is refused, and what `check-config` shows.

use super::*;

/// Sections of a palette that are refused, and the error that follows the file's name.
const BAD_PALETTES: &[(&str, &str)] = &[
    ("reactions = []", ":2: palettes.default.reactions: it is empty; list a reaction, or write"),
    ("reactions = ['like', 'like']", ":2: palettes.default.reactions: like is listed twice; list"),
    // With and without U+FE0F it is one emoji.
    (
        "reactions = ['\u{2764}', '\u{2764}\u{fe0f}']",
        ":2: palettes.default.reactions: \u{2764}\u{fe0f} is listed twice; list it once",
    ),
    (
        "reactions = [\n'like',\n'Like']",
        ":4: palettes.default.reactions: `Like` is not a reaction; a reaction is a name of 1 to 32",
    ),
    ("reactions = ['']", "`` is not a reaction"),
    ("reactions = ['like 2']", "`like 2` is not a reaction"),
    ("reactions = ['_x']", "`_x` is not a reaction"),
    ("reactions = ['a\\nb', \"a\\nb\"]", "`a\\nb` is not a reaction"),
    ("reactions = ['👍👍']", "`👍👍` is not a reaction"),
    (
        "reactions = ['*']",
        ":2: palettes.default.reactions: `*` is not a reaction; a reaction is a name",
    ),
    (
        "reactions = 'like'",
        ":2: palettes.default.reactions: it is text, which this setting does not take; write a \
         list of texts, such as",
    ),
    ("reactions = [1]", ":2: palettes.default.reactions: a reaction is a whole number; write a"),
    ("reactions = [['like']]", ":2: palettes.default.reactions: a reaction is a list; write a"),
    ("reactions = 5", ":2: palettes.default.reactions: it is a whole number, which"),
    ("reactions = {}", ":2: palettes.default.reactions: it is a section, which"),
    ("exclusive = [['up']]", ":2: palettes.default.exclusive: a group has fewer than two"),
    ("exclusive = [[]]", ":2: palettes.default.exclusive: a group has fewer than two"),
    ("exclusive = ['up', 'down']", ":2: palettes.default.exclusive: a group is text; write a list"),
    ("exclusive = 'all'", ":2: palettes.default.exclusive: it is text, which"),
    ("exclusive = [['up', 'Down']]", ":2: palettes.default.exclusive: `Down` is not a reaction"),
    (
        "exclusive = [['a', 'b'], ['b', 'c']]",
        ":2: palettes.default.exclusive: b is in two groups, or twice in one; put it into one",
    ),
    (
        "reactions = ['up']\nexclusive = [['up', 'down']]",
        ":3: palettes.default.exclusive: down is not one of the palette's reactions; add it to",
    ),
    (
        "exclusive = [['+1', '-1']]\naliases = { '+1' = '👍' }",
        ":2: palettes.default.exclusive: +1 is an alias, and counts as 👍; name the reaction",
    ),
    ("aliases = { a = 'a' }", ":2: palettes.default.aliases: a names itself; leave it out"),
    (
        "aliases = { a = 'b', b = 'c', c = 'a' }",
        ":2: palettes.default.aliases: a names b, which is an alias itself; name the reaction",
    ),
    (
        "[palettes.default.aliases]\n'\u{2764}' = 'like'\n'\u{2764}\u{fe0f}' = 'love'",
        ":2: palettes.default.aliases: two aliases are \u{2764}\u{fe0f}; write each alias once",
    ),
    ("[palettes.default.aliases]\na = 'b'\na = 'c'", ":4: a: it is there twice; write each"),
    (
        "reactions = ['a', 'b']\naliases = { a = 'b' }",
        ":3: palettes.default.aliases: a is one of the palette's reactions; list it in",
    ),
    (
        "reactions = ['a']\naliases = { b = 'c' }",
        ":3: palettes.default.aliases: b names c, which the palette does not have; name one of",
    ),
    ("aliases = { A = 'a' }", ":2: palettes.default.aliases: `A` is not a reaction"),
    ("aliases = { a = 1 }", ":2: palettes.default.aliases: a reaction is a whole number; write"),
    ("aliases = ['a']", ":2: palettes.default.aliases: it is a list, which"),
    (
        "max_kinds_per_post = 0",
        ":2: palettes.default.max_kinds_per_post: it is not a whole number from 1 to 100; write",
    ),
    ("max_kinds_per_post = 101", "it is not a whole number from 1 to 100"),
    ("max_per_user_and_post = 0", ":2: palettes.default.max_per_user_and_post: it is not a whole"),
    ("max_per_user_and_post = -1", "it is not a whole number from 1 to 100"),
    ("max_per_user_and_post = 99999999999", "it is not a whole number from 1 to 100"),
    (
        "max_per_user_and_post = '20'",
        ":2: palettes.default.max_per_user_and_post: it is text, which this setting does not take; \
         write a whole number",
    ),
    ("max_kinds_per_post = 1.5", ":2: palettes.default.max_kinds_per_post: it is a number with"),
    (
        "reaction = ['like']",
        ":2: palettes.default.reaction: a palette has no such setting; did you mean `reactions`?",
    ),
    ("zzz = 1", ":2: palettes.default.zzz: a palette has no such setting; `onetap default-config`"),
    ("[palettes.Votes]", ":2: [palettes.Votes]: the name of a palette is 1 to 32 characters"),
    ("[palettes.'']", ":2: [palettes.…]: the name of a palette is 1 to 32 characters"),
    ("[palettes.default]", ":2: default: it is there twice"),
    (
        "[palettes]\nreactions = ['like']",
        ":3: palettes.reactions: it is not the section of a palette; write it in [palettes.default]",
    ),
    (
        "[palettes]\nqa = ['like']",
        ":3: palettes.qa: it is not the section of a palette; write [palettes.qa] on a line",
    ),
];

#[track_caller]
fn assert_refused(content: &str, words: &str) {
    let folder = Folder::with(content);
    for command in ["check-config", "serve"] {
        let output = outcome(&mut folder.onetap(&[command]));
        assert_usage(&output, 64, &[words]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(text.lines().count(), 1, "{text}");
        let by_place = words.starts_with(':');
        assert!(!by_place || text.starts_with(&format!("onetap: onetap.toml{words}")), "{text}");
    }
}

#[test]
fn a_bad_palette_is_one_line_that_names_the_line_and_exit_code_64() {
    for (content, words) in BAD_PALETTES {
        assert_refused(&format!("[palettes.default]\n{content}\n"), words);
    }
    assert_refused("palettes = 1", ":1: palettes: it is not written as sections; write [palettes.");
    assert_refused("[[palettes]]", ":1: palettes: it is not written as sections; write [palettes.");
    assert_refused("[pallettes.a]\n", ":1: [pallettes]: onetap has no such section; did you mean");
    let long = format!("[palettes.a]\nreactions = ['{}']", "x".repeat(5000));
    let shown = format!("`{}…` is not a reaction", "x".repeat(40));
    assert_refused(&long, &format!(":2: palettes.a.reactions: {shown}"));
}

/// A palette with as many reactions, in groups and with aliases.
fn large(name: &str, size: usize) -> String {
    let list = |of: std::ops::Range<usize>| {
        let names: Vec<_> = of.map(|i| format!("'{:x<32}'", format!("r{i}"))).collect();
        format!("[{}]", names.join(", "))
    };
    let aliases: Vec<_> = (0..size).map(|i| format!("a{i} = '{:x<32}'", "r0")).collect();
    format!(
        "[palettes.{name}]\nreactions = {}\nexclusive = [{}, {}]\naliases = {{ {} }}\n",
        list(0..size),
        list(0..size / 2),
        list(size / 2..size),
        aliases.join(", "),
    )
}

#[test]
fn the_number_and_the_size_of_palettes_are_bounded() {
    let many =
        |number: usize| -> String { (0..number).map(|i| large(&format!("p{i}"), 100)).collect() };
    let most = Folder::with(many(32)).check(&[]);
    assert!(most.status.success(), "{most:?}");
    assert_refused(
        &many(33),
        ":1: palettes: there are 33; at most 32 are possible; leave some out",
    );
    let (size, words) =
        (large("a", 101), ":2: palettes.a.reactions: it has 101 reactions; at most");
    assert_refused(&size, words);
}

#[test]
fn check_config_shows_every_palette_and_what_gave_it() {
    let folder = Folder::with(
        "[palettes.votes]\nreactions = ['up', 'down', '\u{2764}']\nexclusive = [['up', 'down']]\n\
         aliases = { '+1' = 'up', '-1' = 'down' }\nmax_per_user_and_post = 2\n",
    );
    let output = folder.check(&[]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (_, palettes) = text.split_once("\n[palettes.default]\n").unwrap();
    let expected = [
        ("reactions", "default", r#""*""#),
        ("exclusive", "default", "[]"),
        ("aliases", "default", "{}"),
        ("max_kinds_per_post", "default", "20"),
        ("max_per_user_and_post", "default", "20"),
        ("", "", ""),
        ("[palettes.votes]", "", ""),
        ("reactions", "file", "[\"up\", \"down\", \"\u{2764}\u{fe0f}\"]"),
        ("exclusive", "file", r#"[["up", "down"]]"#),
        ("aliases", "file", r#"{ "+1" = "up", "-1" = "down" }"#),
        ("max_kinds_per_post", "default", "20"),
        ("max_per_user_and_post", "file", "2"),
    ];
    let expected = expected.map(|(name, source, value)| match source {
        "" => name.to_owned(),
        _ => format!("{name:<32}{source:<10}{value}"),
    });
    assert_eq!(palettes.lines().take(expected.len()).collect::<Vec<_>>(), expected);
    // What it shows may be written back.
    let rows = expected[7..].iter().map(|row| format!("{} = {}\n", &row[..32], &row[42..]));
    let again = Folder::with(format!("[palettes.votes]\n{}", rows.collect::<String>())).check(&[]);
    assert!(again.status.success(), "{again:?}");
    let again = String::from_utf8(again.stdout).unwrap().replace("file   ", "default");
    assert_eq!(again, text.replace("file   ", "default"));
}

/// The example in the default file is a palette, once its comment signs are gone.
#[test]
fn the_example_of_the_default_file_is_a_palette() {
    let text = String::from_utf8(run(&["default-config"]).stdout).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("#     "));
    let example: String = lines.map(|line| format!("{line}\n")).collect();
    let checked = Folder::with(example).check(&[]);
    assert_said(&checked, "exclusive", "file", r#"[["up", "down"]]"#);
    assert_said(&checked, "aliases", "file", r#"{ "+1" = "👍" }"#);
}
