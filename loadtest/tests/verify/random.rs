//! Random histories: the checker accepts exactly what some order explains.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::exhaustive::is_possible;
use crate::simulate::{falsify, plans, run};
use crate::{Line, verdict};

/// The same cases every time, unless `PROPTEST_CASES` asks for more.
pub(crate) fn runner(cases: u32) -> TestRunner {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(cases);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

pub(crate) fn text(lines: &[Line]) -> String {
    lines.iter().map(|line| format!("{line:?}\n")).collect()
}

#[test]
fn what_happened_is_accepted() {
    runner(3000)
        .run(&plans(30), |(plans, numbered, ending)| {
            let lines = run(&plans, numbered, ending);
            let verdict = verdict(&lines);
            prop_assert!(verdict.is_right(), "{:?}\n{}", verdict.violations, text(&lines));
            Ok(())
        })
        .unwrap();
}

#[test]
fn the_checker_accepts_exactly_what_some_order_explains() {
    let falsehoods = prop::collection::vec((any::<usize>(), 0..18_u8, 1..12_u64), 0..3);
    let (possible, impossible) = (Cell::new(0), Cell::new(0));
    runner(20_000)
        .run(&(plans(7), falsehoods), |((plans, numbered, ending), falsehoods)| {
            let mut lines = run(&plans, numbered, ending);
            if lines.len() > 10 {
                return Ok(());
            }
            for (at, kind, by) in falsehoods {
                falsify(&mut lines, at, kind, by);
            }
            let (expected, found) = (is_possible(&lines), verdict(&lines));
            let tally = if expected { &possible } else { &impossible };
            tally.set(tally.get() + 1);
            prop_assert_eq!(found.is_right(), expected, "{:?}\n{}", found.violations, text(&lines));
            Ok(())
        })
        .unwrap();
    // Both answers are common, or the test would show little.
    let (possible, impossible) = (possible.get(), impossible.get());
    assert!(possible > 2000 && impossible > 2000, "{possible} possible, {impossible} impossible");
}
