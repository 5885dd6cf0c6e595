//! An amendment: a step of an import or a job on one post.

use deadpool_redis::redis::Value;

use super::answer::{ItemResult, Unreadable, failed};
use super::rules::kept;
use super::tap::shared_args;
use super::{ArgWriter, Effect, KeyWriter, Operation, Retry, Script, Shape, lua};
use crate::domain::{
    Amended, Amendment, Cause, EditAct, EditOutcome, ImportOutcome, MemberEdit, Once, Partition,
    Revision,
};
use crate::store::redis::keys::user_bucket;
use crate::store::redis::value::text;

/// An amendment that may be repeated has one more key, and each edit has five arguments.
const SHAPE: Shape = Shape { keys: 2, shared_args: 5, args: 8, answers: 3 };

static AMEND: Script = lua!("amend", Effect::Adds, SHAPE, shared_args);
static AMEND_FULL: Script = lua!("amend_full", Effect::Removes, SHAPE, shared_args);

/// The bit of the status that says that an earlier run gave this answer.
const REPLAYED: i64 = 4;

/// An amendment. Boxed, since the items of taps must stay small.
#[derive(Debug)]
pub(crate) struct Amend(pub(crate) Box<Amendment>);

impl Operation for Amend {
    type Answer = Amended;
    #[cfg(test)]
    const SCRIPTS: &'static [&'static Script] = &[&AMEND, &AMEND_FULL];

    fn script(&self) -> &'static Script {
        &AMEND
    }

    fn script_when_full(&self) -> Option<&'static Script> {
        self.0.only_removes().then_some(&AMEND_FULL)
    }

    /// [`Once`] says what makes a second run harmless, or that the caller does not mind.
    fn retry(&self) -> Retry {
        Retry::Safe
    }

    fn partition(&self) -> Partition {
        self.0.post.partition()
    }

    fn weight(&self) -> usize {
        // Each reaction that excludes another is looked up, too.
        let work = |edit: &MemberEdit| match &edit.act {
            EditAct::Merge { excluded, .. } | EditAct::Move { excluded, .. } => 1 + excluded.len(),
            _ => 1,
        };
        self.0.edits.iter().map(work).sum::<usize>().max(1)
    }

    fn extra_keys(&self) -> usize {
        (self.0.once != Once::No).into()
    }

    fn write_keys(&self, keys: &mut KeyWriter<'_>) {
        let Amendment { post, once, .. } = &*self.0;
        keys.key(|keys, key| keys.write_post(key, post));
        keys.key(|keys, key| keys.write_log(key, post.partition()));
        match once {
            Once::No => {}
            Once::Step(step) => {
                keys.key(|keys, key| keys.write_step(key, post.partition(), step));
            }
            Once::Import(_) => keys.key(|keys, key| keys.write_marks(key, post)),
        }
    }

    fn write_args(&self, args: &mut ArgWriter<'_>, not_after: i64) {
        let Amendment { post, cause, actor, edits, once, rules, dry_run } = &*self.0;
        args.post(*post).arg(not_after).arg(field(*cause)).actor(*actor);
        match once {
            Once::No => args.arg(""),
            Once::Step(_) => args.arg("s"),
            Once::Import(step) => {
                let merge = if step.merge { b'+' } else { b'-' };
                let mut text = vec![merge, b'0' + u8::from(step.more)];
                text.extend_from_slice(&step.source.0);
                text.extend_from_slice(step.from.to_string().as_bytes());
                args.arg(text)
            }
        };
        match rules {
            None => args.arg(""),
            Some(rules) => {
                let [palette, add, locked] = kept(rules);
                args.spelled(|text| *text = format!("{palette} {add} {locked}"))
            }
        };
        args.arg(if *dry_run { "1" } else { "" }).arg(edits.len());
        for edit in edits {
            args.user(edit.user).arg(edit.reaction.as_str()).arg(edit.act.time().0);
            match &edit.act {
                EditAct::Put(_) => args.arg("p"),
                EditAct::Restore(_) => args.arg("r"),
                EditAct::Merge { excluded, .. } | EditAct::Move { excluded, .. } => {
                    args.spelled(|text| {
                        text.clear();
                        text.push(if matches!(edit.act, EditAct::Merge { .. }) {
                            'm'
                        } else {
                            'v'
                        });
                        excluded.iter().for_each(|other| text.extend([" ", other.as_str()]));
                    })
                }
                EditAct::RemoveUpTo(_) => args.arg("u"),
                EditAct::RemoveAt(_) => args.arg("a"),
            }
            .arg(user_bucket(edit.user));
        }
    }

    fn read(&self, elements: &[Value]) -> ItemResult<Amended> {
        let [Value::Int(status), what, Value::Int(revision)] = elements else {
            return Err(Unreadable);
        };
        if *status < 0 {
            return failed(*status, &format_args!("post {}", self.0.post));
        }
        let mut letters = text(what).ok_or(Unreadable)?.chars();
        let import = letters.next().and_then(import_outcome).ok_or(Unreadable)?;
        let outcomes = letters.map(edit_outcome).collect::<Option<Vec<_>>>();
        let mut outcomes = outcomes.ok_or(Unreadable)?;
        let rules = match self.0.rules {
            None => EditOutcome::Unchanged,
            Some(_) => outcomes.pop().ok_or(Unreadable)?,
        };
        let replayed = status & REPLAYED != 0;
        // Nothing makes a caller repeat a step with the same edits.
        if !replayed && outcomes.len() != self.0.edits.len() {
            return Err(Unreadable);
        }
        let revision = Revision(u64::try_from(*revision).map_err(|_| Unreadable)?);
        Ok(Ok(Amended { outcomes, rules, revision, import, replayed }))
    }
}

/// The field of an entry in the change log.
fn field(cause: Cause) -> &'static str {
    match cause {
        Cause::Tap => "tap",
        Cause::Replace => "replace",
        Cause::Import => "import",
        Cause::Erase => "erase",
        Cause::Moderate => "moderate",
    }
}

fn import_outcome(letter: char) -> Option<ImportOutcome> {
    Some(match letter {
        'A' => ImportOutcome::Applied,
        'D' => ImportOutcome::Done,
        'L' => ImportOutcome::LiveTaps,
        'B' => ImportOutcome::Behind,
        _ => return None,
    })
}

fn edit_outcome(letter: char) -> Option<EditOutcome> {
    Some(match letter {
        'u' => EditOutcome::Unchanged,
        'a' => EditOutcome::Added,
        'm' => EditOutcome::Moved,
        'r' => EditOutcome::Removed,
        'l' => EditOutcome::Lost,
        _ => return None,
    })
}
