//! Palettes of the tests.

use std::sync::Arc;

use onetap::domain::{Palette, PaletteSpec, Palettes};

/// These palettes, by name.
pub(crate) fn palettes(named: &[(&str, PaletteSpec)]) -> Arc<Palettes> {
    let palette = |(name, spec): &(&str, PaletteSpec)| {
        Palette::new(name.parse().unwrap(), spec.clone()).unwrap()
    };
    Arc::new(Palettes::new(named.iter().map(palette)))
}
