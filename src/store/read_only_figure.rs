//! The figure of the gate that writes pass.

use super::WriteGate;
use crate::telemetry::{Collector, DescriptorEncoder, Figure, Kind, encode_figures};

impl Collector for WriteGate {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let figure = Figure {
            name: "read_only",
            help: "1 if this process refuses writes, by --read-only or by a window, else 0.",
            kind: Kind::Gauge,
            value: self.is_shut().into(),
        };
        encode_figures(encoder, &[figure])
    }
}
