//! A change to the rules of a post.

use deadpool_redis::redis::Value;

use super::answer::{self, ItemResult, Unreadable};
use super::tap::shared_args;
use super::{ArgWriter, Effect, KeyWriter, Operation, Retry, Script, Shape, lua};
use crate::domain::{Add, DEFAULT_PALETTE, Edit, PaletteName, Partition, Ruled, Rules, RulesEdit};
use crate::store::redis::value::text;

const SHAPE: Shape = Shape { keys: 2, shared_args: 5, args: 6, answers: 3 };

static RULES: Script = lua!("rules", Effect::Adds, SHAPE, shared_args);

impl Operation for RulesEdit {
    type Answer = Ruled;
    #[cfg(test)]
    const SCRIPTS: &'static [&'static Script] = &[&RULES];

    fn script(&self) -> &'static Script {
        &RULES
    }

    /// A second run would undo what another moderator did in between.
    fn retry(&self) -> Retry {
        Retry::Never
    }

    fn partition(&self) -> Partition {
        self.post.partition()
    }

    fn write_keys(&self, keys: &mut KeyWriter<'_>) {
        keys.key(|keys, key| keys.write_post(key, &self.post));
        keys.key(|keys, key| keys.write_log(key, self.post.partition()));
    }

    fn write_args(&self, args: &mut ArgWriter<'_>, not_after: i64) {
        // The rules as the script keeps them: no text for a default, `=` for what stays.
        let rules = self.edit.applied_to(&Rules::default());
        let [palette, add, locked] = kept(&rules);
        let (palette, add, locked) = match &self.edit {
            Edit::Rules(..) => (palette, add, "="),
            Edit::Lock(_) => ("=", "=", locked),
        };
        args.spelled(|text| self.post.write_to(text))
            .arg(palette)
            .arg(add)
            .arg(locked)
            .arg(not_after)
            .actor(self.actor);
    }

    fn read(&self, elements: &[Value]) -> ItemResult<Ruled> {
        let [status, Value::Array(values), revision] = elements else {
            let failed = answer::outcome(elements, &format_args!("post {}", self.post))?;
            return failed.map_or_else(|error| Ok(Err(error)), |_| Err(Unreadable));
        };
        let counted = [status.clone(), Value::Int(0), revision.clone()];
        let outcome = answer::outcome(&counted, &format_args!("post {}", self.post))?;
        let rules = rules(values).ok_or(Unreadable)?;
        Ok(outcome.map(|it| Ruled { rules, changed: it.changed, revision: it.revision }))
    }
}

/// Palette, add and lock, as scripts keep them: no text for a default.
pub(super) fn kept(rules: &Rules) -> [&str; 3] {
    let Rules { palette, add, locked } = rules;
    let named = palette.as_ref().map(PaletteName::as_str).filter(|name| *name != DEFAULT_PALETTE);
    let add = if *add == Add::All { "" } else { add.word() };
    [named.unwrap_or(""), add, if *locked { "1" } else { "" }]
}

/// Palette, add and lock, as a script answers them. None if they are none that onetap writes.
pub(super) fn rules(values: &[Value]) -> Option<Rules> {
    let [palette, add, locked] = values else { return None };
    let palette: Option<PaletteName> = match text(palette)? {
        "" => None,
        name => Some(name.parse().ok()?),
    };
    let add = match text(add)? {
        "" => Add::All,
        word => Add::from_word(word)?,
    };
    let locked = match text(locked)? {
        "" => false,
        "1" => true,
        _ => return None,
    };
    Some(Rules { palette, add, locked })
}
