//! Inputs of an import, answers of an export and their cursors, damaged in every way: no reader
//! panics, and a row is accepted or rejected with a reason.

use std::path::Path;

use proptest::prelude::*;

use super::input::From;
use super::lines::Lines;
use super::meaning::{Meaning, Parsing};
use super::row::{Key, Line, Names};
use super::table::Table;
use crate::domain::Micros;

const NOW: Micros = Micros(1_800_000_000_000_000);

/// What a field of a row may be.
fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("0192f0c1-2345-7890-abcd-ef0123456789".to_owned()),
        Just("like".to_owned()),
        Just("2026-01-02T03:04:05Z".to_owned()),
        "-?[0-9]{0,20}",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.,+Z-]{0,20}",
        "[tTfF01]|true|false|null",
        "[ -~]{0,20}",
        any::<String>(),
    ]
}

/// Reads to the end. The number of rows is that of the lines at most.
fn read(name: &str, bytes: &[u8]) -> Result<usize, TestCaseError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("a file");
    let meaning = Meaning::default();
    let mut parsing = Parsing::new(&meaning, NOW);
    let Ok(input) = From::named(Path::new(&path)).open(std::sync::Arc::default()) else {
        return Ok(0);
    };
    let mut rows = 0;
    if name.ends_with(".csv") {
        let Ok(mut table) = Table::open(input, &meaning) else { return Ok(0) };
        while let Ok(Some((_, row))) = table.next(&mut parsing) {
            rows += 1;
            judge(row.map_err(|rejected| rejected.reason))?;
        }
    } else {
        let mut lines = Lines::open(input);
        while let Ok(Some((_, row))) = lines.next(&meaning, &mut parsing) {
            rows += 1;
            judge(row.map_err(|rejected| rejected.reason))?;
        }
    }
    Ok(rows)
}

/// A row is a time that has been; a reason says something.
fn judge(line: Result<Line, String>) -> Result<(), TestCaseError> {
    match line {
        Ok(Line::Member(row)) => prop_assert!(row.at <= NOW, "{row:?}"),
        Ok(Line::Rules(..)) => {}
        Err(reason) => prop_assert!(!reason.is_empty()),
    }
    Ok(())
}

proptest! {
    // How many cases: PROPTEST_CASES, else 256.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_of_csv(
        rows in proptest::collection::vec(proptest::collection::vec(field(), 0..7), 0..8)
    ) {
        let rows: Vec<_> = rows.iter().map(|row| row.join(",")).collect();
        let names = "post_id,user_id,reaction_type,is_active,updated_at";
        let table = format!("{names}\n{}", rows.join("\n"));
        read("rows.csv", table.as_bytes())?;
        let quoted = table.replace("like", "\"li\"\"ke\"");
        read("rows.csv", quoted.as_bytes())?;
    }

    #[test]
    fn bytes_as_csv_and_ndjson(bytes in any::<Vec<u8>>()) {
        read("rows.csv", &bytes)?;
        read("rows.ndjson", &bytes)?;
        read("rows.csv.gz", &bytes)?;
        read("rows.ndjson.zst", &bytes)?;
    }

    #[test]
    fn rows_of_ndjson(rows in proptest::collection::vec(proptest::collection::btree_map(
        proptest::sample::select(&[
            "post_id", "user_id", "reaction", "reacted_at", "active", "palette", "add", "locked",
            "forgotten", "x",
        ][..]),
        prop_oneof![
            field().prop_map(|text| serde_json::Value::from(text).to_string()),
            "-?[0-9]{1,20}|true|false|null|\\[\\]|\\{\\}|[0-9.e+-]{0,8}",
        ],
        0..7,
    ), 0..8)) {
        let line = |fields: &std::collections::BTreeMap<&str, String>| {
            let fields: Vec<_> = fields.iter().map(|(name, it)| format!("{name:?}:{it}")).collect();
            format!("{{{}}}\n", fields.join(","))
        };
        let text: String = rows.iter().map(line).collect();
        prop_assert!(read("rows.ndjson", text.as_bytes())? <= rows.len());
    }

    #[test]
    fn times(text in field()) {
        if let Ok(time) = super::time(&text) {
            prop_assert!(time.0 > 0 || !text.is_empty());
        }
    }

    #[test]
    fn cursors_of_changes(text in "[A-Za-z0-9_-]{0,200}|.{0,20}") {
        prop_assert!(super::changes::ChangesCursor::parse(&text).is_err());
    }

    #[test]
    fn keys_of_sorted_rows(bytes in any::<Vec<u8>>()) {
        let key = Key::of_bytes(&bytes);
        let mut names = Names::default();
        let _ = (key.line(&mut names), key.change(&mut names), key.forgotten(&mut names));
        let _ = (key.post(), key.post_of_change());
    }
}
