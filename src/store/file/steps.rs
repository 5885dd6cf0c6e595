//! The values that make the steps of imports and jobs harmless to repeat.

use super::file_error::FileResult;
use super::keys;
use crate::domain::{Amended, EditOutcome, ImportMark, ImportOutcome, Micros, Revision, SourceId};

/// The mark of imports: expiry time, source, rows done, revision, live revision.
pub(super) fn encode_mark(mark: &ImportMark, expires_at: Micros) -> Vec<u8> {
    let ImportMark { source, done, revision, live } = mark;
    let mut value = expires_at.0.to_be_bytes().to_vec();
    value.extend_from_slice(&source.0);
    [*done, revision.0, live.0].iter().for_each(|n| value.extend_from_slice(&n.to_be_bytes()));
    value
}

/// A mark, and when it expires.
pub(super) fn decode_mark(value: &[u8]) -> FileResult<(Micros, ImportMark)> {
    let odd = || keys::odd("mark");
    let (expires_at, rest) = value.split_first_chunk().ok_or_else(odd)?;
    let (source, rest) = rest.split_first_chunk().ok_or_else(odd)?;
    let (done, rest) = rest.split_first_chunk().ok_or_else(odd)?;
    let (revision, live) = rest.split_first_chunk().ok_or_else(odd)?;
    let mark = ImportMark {
        source: SourceId(*source),
        done: u64::from_be_bytes(*done),
        revision: Revision(u64::from_be_bytes(*revision)),
        live: Revision(keys::number(live, "mark")?),
    };
    Ok((Micros(u64::from_be_bytes(*expires_at)), mark))
}

/// The outcomes and their letters. Part of the layout, so they must never change.
const LETTERS: [(EditOutcome, u8); 5] = [
    (EditOutcome::Unchanged, b'u'),
    (EditOutcome::Added, b'a'),
    (EditOutcome::Moved, b'm'),
    (EditOutcome::Removed, b'r'),
    (EditOutcome::Lost, b'l'),
];

/// What a step of a job answered: expiry time, revision, a letter for each outcome.
pub(super) fn encode_answer(amended: &Amended, expires_at: Micros) -> Vec<u8> {
    let mut value = expires_at.0.to_be_bytes().to_vec();
    value.extend_from_slice(&amended.revision.0.to_be_bytes());
    let letter = |outcome: &EditOutcome| LETTERS.iter().find(|(own, _)| own == outcome);
    value.extend(amended.outcomes.iter().filter_map(letter).map(|(_, letter)| letter));
    value
}

/// The answer of a step as a replay, and when it expires.
pub(super) fn decode_answer(value: &[u8]) -> FileResult<(Micros, Amended)> {
    let odd = || keys::odd("step");
    let (expires_at, rest) = value.split_first_chunk().ok_or_else(odd)?;
    let (revision, letters) = rest.split_first_chunk().ok_or_else(odd)?;
    let outcome = |letter| {
        let found = LETTERS.iter().find(|(_, own)| own == letter);
        found.map(|(outcome, _)| *outcome).ok_or_else(odd)
    };
    let amended = Amended {
        outcomes: letters.iter().map(outcome).collect::<FileResult<_>>()?,
        rules: EditOutcome::Unchanged,
        revision: Revision(u64::from_be_bytes(*revision)),
        import: ImportOutcome::Applied,
        replayed: true,
    };
    Ok((Micros(u64::from_be_bytes(*expires_at)), amended))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_answers_come_back_as_they_were() {
        let mark = ImportMark {
            source: SourceId([7; 16]),
            done: 3,
            revision: Revision(5),
            live: Revision(u64::MAX),
        };
        let value = encode_mark(&mark, Micros(9));
        assert_eq!(decode_mark(&value).expect("a mark"), (Micros(9), mark));
        let outcomes = LETTERS.iter().map(|(outcome, _)| *outcome).collect();
        let import = ImportOutcome::Applied;
        let rules = EditOutcome::Unchanged;
        let amended = Amended { outcomes, rules, revision: Revision(5), import, replayed: true };
        let answer = encode_answer(&amended, Micros(9));
        assert_eq!(decode_answer(&answer).expect("an answer"), (Micros(9), amended));
        for length in [0, 7, 15, value.len() - 1] {
            assert!(decode_mark(&value[..length]).is_err(), "{length}");
        }
        for odd in [&answer[..15], &[0; 17]] {
            assert!(decode_answer(odd).is_err(), "{odd:?}");
        }
    }
}
