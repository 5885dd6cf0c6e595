//! The checker of histories, held against an exhaustive one and against falsified histories.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod empty;
mod exhaustive;
mod falsified;
mod loss;
mod program;
mod random;
mod ruled;
mod simulate;

use onetap_loadtest::history::{History, Palette, Read, Tap};
use onetap_loadtest::verify::{self, Rules, Verdict};

/// A line of a history.
#[derive(Clone, Debug)]
pub(crate) enum Line {
    Tap(Tap<'static>),
    Read(Read<'static>),
}

pub(crate) fn verdict(lines: &[Line]) -> Verdict {
    judge(lines, Rules::default())
}

pub(crate) fn judge(lines: &[Line], rules: Rules) -> Verdict {
    judge_by(lines, rules, None)
}

/// The verdict if this palette judged the taps.
pub(crate) fn judge_by(lines: &[Line], rules: Rules, palette: Option<&Palette>) -> Verdict {
    let mut history = History::default();
    if let Some(palette) = palette {
        history.judged_by(palette.clone());
    }
    for (number, line) in (1..).zip(lines) {
        match line {
            Line::Tap(tap) => history.tap(number, tap),
            Line::Read(read) => history.read(number, read),
        }
    }
    verify::check(&history, rules)
}
