//! SECURITY.md names tests that exist.

use std::collections::BTreeSet;
use std::path::Path;

use super::commands::read;

/// The names of all functions in the Rust files of a folder.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let names = text.split("fn ").skip(1).filter_map(|rest| rest.split('(').next());
            found.extend(names.map(str::to_owned));
        }
    }
}

#[test]
fn each_test_that_the_threat_model_names_exists() {
    let mut known = BTreeSet::new();
    for folder in ["src", "tests/it"] {
        functions(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut known);
    }
    let page = read("SECURITY.md");
    let (_, threats) = page.split_once("\n## Threats\n").unwrap();
    let mut named = 0;
    for row in threats.lines().filter(|line| line.starts_with("| ") && line.contains(" | ")) {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for name in cell.split('`').skip(1).step_by(2).filter(|name| name.contains('_')) {
            let exists = known.contains(name) || name.ends_with("fuzz_tests");
            assert!(exists, "no test is called {name}");
            named += 1;
        }
    }
    assert!(named >= 30, "{named}");
}
