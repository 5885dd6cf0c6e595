//! What `check-config` and `default-config` print, and `--connect`.

use super::*;

#[test]
fn no_password_is_ever_shown() {
    let secret = "redis://user:hunter2@127.0.0.1:1/0";
    let good = Folder::with(format!("[store]\nstore = '{secret}'\n"));
    let checked = good.check(&[]);
    assert_said(&checked, "--store", "file", "redis://***@127.0.0.1:1/0");
    let mut by_variable =
        onetap(&["check-config", "--store", "redis://h", "--redis-username", "u"]);
    let by_variable = by_variable.env("ONETAP_REDIS_PASSWORD", "hunter2").output().unwrap();
    assert_said(&by_variable, "ONETAP_REDIS_PASSWORD", "variable", "***");
    let mut outputs = vec![checked, by_variable, good.check(&["--connect"])];
    for content in [
        format!("[store]\nstore = '{secret}/x'\n"),
        format!("[store]\nstore = '{secret}\n"),
        format!("[store]\nstore = {secret}\n"),
        format!("[store]\nstore = ['{secret}']\n"),
        format!("[store]\n'{secret}' = 1\n"),
        format!("[store]\n'{secret}' = 1\n'{secret}' = 1\n"),
        format!("['{secret}']\n"),
        format!("'{secret}' = 1\n"),
    ] {
        let bad = Folder::with(content).check(&[]);
        assert_eq!(bad.status.code(), Some(64), "{bad:?}");
        outputs.push(bad);
    }
    for output in outputs {
        for text in [&output.stdout, &output.stderr] {
            assert!(!String::from_utf8_lossy(text).contains("hunter2"), "{output:?}");
        }
    }
}

/// The file leaves out the settings of stores other than the default one.
#[test]
fn the_default_file_says_what_holds_without_it() {
    let text = run(&["default-config"]);
    assert!(text.status.success());
    let text = String::from_utf8(text.stdout).unwrap();
    let shown = run(&["check-config"]);
    let (mut section, mut own, mut seen) = ("", String::new(), Vec::new());
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
        // Settings of [auth] and [rates] need keys.
        let other = ["[auth]", "[rates]", "[redis]", "[memory]"].contains(&section);
        match line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')) {
            Some(setting) if !other && !setting.ends_with("= []") => {
                own.push_str(setting);
                own.push('\n');
                let key = setting.split(' ').next().unwrap();
                let palette = section == "[palettes.default]";
                let flag = || format!("--{}", key.replace('_', "-"));
                seen.push(if palette { key.to_owned() } else { flag() });
            }
            Some(setting) => assert!(setting.contains(" = "), "{setting}"),
            None if line.starts_with('[') => {
                section = line;
                own.push_str(line);
                own.push('\n');
            }
            None => assert!(line.is_empty() || line.starts_with("# "), "{line}"),
        }
    }
    assert!(seen.len() > 20, "{text}");
    // As it is printed, nothing in it counts.
    let commented = Folder::with(&text).check(&[]);
    assert_said(&commented, "--listen", "default", "127.0.0.1:8080");
    let all = Folder::with(&own).check(&[]);
    for name in seen.iter().filter(|name| *name != "--threads") {
        assert_said(&all, name, "file", &said(&shown, name).1);
    }
}

#[test]
fn a_ratio_is_a_number_with_or_without_a_point() {
    for (number, shown) in [("0.5", "0.5"), ("1", "1"), ("1.0", "1"), ("25e-2", "0.25")] {
        let checked = Folder::with(format!("[traces]\ntrace_ratio = {number}\n")).check(&[]);
        assert_said(&checked, "--trace-ratio", "file", shown);
        let flag = run(&["check-config", "--trace-ratio", number]);
        assert_said(&flag, "--trace-ratio", "flag", shown);
    }
}

#[test]
fn the_tables_of_the_guide_are_those_of_the_definitions() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let guide = fs::read_to_string(guide).unwrap();
    let tables = run(&["default-config", "--markdown"]);
    let tables = String::from_utf8(tables.stdout).unwrap();
    let (_, rest) = guide.split_once("<!-- settings -->\n").unwrap();
    let (own, _) = rest.split_once("<!-- /settings -->").unwrap();
    assert!(own == tables, "put there what `cargo run -- default-config --markdown` prints");
    for (old, ..) in OLD_NAMES {
        assert!(own.contains(&format!("Old name: `--{old}`.")), "{old}");
    }
    let shown = run(&["check-config"]);
    for row in own.lines().filter(|line| line.starts_with("| `--")) {
        let mut cells =
            row.trim_start_matches("| ").split(" | ").map(|cell| cell.trim_matches('`'));
        let mut cell = || cells.next().unwrap();
        let (flag, variable, default) = (cell(), cell(), cell());
        assert_eq!(variable, format!("ONETAP_{}", flag[2..].replace('-', "_").to_uppercase()));
        let (source, value) = said(&shown, flag);
        assert!(source == "default" && value.contains(default), "{flag}: {value}, {default}");
    }
}

#[tokio::test]
async fn check_config_opens_a_store_file_when_asked_and_leaves_it_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let store = format!("file:{}", file.display());
    let check = ["check-config", "--connect", "--store", &store];
    let text = |output: Output| String::from_utf8(output.stdout).unwrap();
    let absent = run(&check);
    assert!(absent.status.success(), "{absent:?}");
    assert!(text(absent).contains("There is no store file yet, and none was made"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    let mut service = Program::start(&["--store", &store]);
    let tap = format!("/v1/posts/{}/reactions/like/users/1", crate::support::post());
    service.send("PUT", &tap).await.ok(201);
    let locked = run(&check);
    assert_eq!(locked.status.code(), Some(69), "{locked:?}");
    assert!(String::from_utf8_lossy(&locked.stderr).contains("locked by another process"));
    for (signal, words) in [("-KILL", "the next start repairs it"), ("-TERM", "it can be used")] {
        service.signal(signal);
        service.exit_code().await;
        let before = fs::read(&file).unwrap();
        let present = run(&check);
        assert!(present.status.success(), "{present:?}");
        assert!(text(present).contains(words), "{signal}");
        assert!(fs::read(&file).unwrap() == before, "it was changed");
        service = Program::start(&["--store", &store]);
    }
    drop(service);

    fs::write(&file, "a letter to my aunt").unwrap();
    let foreign = run(&check);
    assert_eq!(foreign.status.code(), Some(65), "{foreign:?}");
    // Who gave the store is named for these, too.
    let by_file = Folder::with(format!("[store]\nstore = '{store}'\n"));
    for (command, words) in [
        (onetap(&[]).env("ONETAP_STORE", &store), format!("onetap: ONETAP_STORE {store}: ")),
        (&mut by_file.onetap(&[]), format!("onetap: onetap.toml:2: store.store {store}: ")),
    ] {
        let output = outcome(command);
        assert_eq!(output.status.code(), Some(65), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with(&words), "{output:?}");
    }
    assert!(run(&["check-config", "--connect", "--store", "memory:"]).status.success());
}

#[tokio::test]
async fn check_config_asks_a_redis_when_asked() {
    let (server, prefix) = (shared(Kind::Redis), prefix());
    let check = ["check-config", "--connect", "--key-prefix", &prefix, "--store"];
    let there = run(&[&check[..], &[&server.url()]].concat());
    assert!(there.status.success(), "{there:?}");
    assert!(String::from_utf8_lossy(&there.stdout).contains("answered: it can be used"));

    let key = format!("{prefix}:layout");
    let mut redis = server.client().await;
    let _: () = redis::cmd("SET").arg(&key).arg("99").query_async(&mut redis).await.unwrap();
    let foreign = run(&[&check[..], &[&server.url()]].concat());
    assert_eq!(foreign.status.code(), Some(64), "{foreign:?}");
    assert!(String::from_utf8_lossy(&foreign.stderr).contains(&key), "{foreign:?}");
    let nobody = format!("redis://127.0.0.1:{}", free_port());
    let nobody = run(&[&check[..], &[&nobody]].concat());
    assert_eq!(nobody.status.code(), Some(69), "{nobody:?}");
    let text = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert!(text.contains("onetap: Redis at 127.0.0.1:") && text.contains("start it"), "{text}");
}
