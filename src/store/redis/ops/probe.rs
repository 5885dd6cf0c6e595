//! The readiness probe: runs the write path on keys that no post has.

use deadpool_redis::redis::Value;

use super::answer::{self, ItemResult};
use super::tap::{SHAPE, shared_args};
use super::verdict::{self, Allowed};
use super::{ArgWriter, Effect, KeyWriter, Operation, Retry, Script, lua};
use crate::domain::{Add, Form, Group, Palettes, Partition};
use crate::store::redis::keys::PROBE;

static PROBE_TAP: Script = lua!("probe", Effect::Adds, SHAPE, shared_args);

/// Probes the server of a partition.
#[derive(Debug)]
pub(crate) struct Probe(pub(crate) Partition);

impl Operation for Probe {
    type Answer = ();
    #[cfg(test)]
    const SCRIPTS: &'static [&'static Script] = &[&PROBE_TAP];

    fn script(&self) -> &'static Script {
        &PROBE_TAP
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }

    fn partition(&self) -> Partition {
        self.0
    }

    /// The record.
    fn extra_keys(&self) -> usize {
        1
    }

    fn write_keys(&self, keys: &mut KeyWriter<'_>) {
        for part in PROBE {
            keys.key(|keys, key| keys.write_probe(key, self.0, part));
        }
    }

    fn write_args(&self, args: &mut ArgWriter<'_>, not_after: i64) {
        let form = Form::Toggle.letter();
        args.arg("probe").arg(1).arg("probe").arg(not_after).arg(form).spelled(|text| {
            let palettes = Palettes::unconfigured();
            let palette = palettes.default_palette();
            let allowed = (Add::All, Allowed::Yes);
            verdict::write(text, palette, allowed, None, None, Group::None);
        });
    }

    fn read(&self, elements: &[Value]) -> ItemResult<()> {
        Ok(answer::outcome(elements, &"the readiness probe")?.map(drop))
    }
}
