//! What a palette says, as the scripts read it; `lua/lib/verdict.lua` explains the text.

use crate::domain::{Add, Group, Palette, Reaction, UserId};

/// Whether a reaction may be added, or the whole set contradicts itself.
#[derive(Clone, Copy)]
pub(super) enum Allowed {
    Yes,
    No,
    Contradicts,
}

impl From<bool> for Allowed {
    fn from(allowed: bool) -> Self {
        if allowed { Self::Yes } else { Self::No }
    }
}

/// Replaces the content of `text` by a verdict.
pub(super) fn write(
    text: &mut String,
    palette: &Palette,
    (add, allowed): (Add, Allowed),
    sent: Option<&Reaction>,
    actor: Option<UserId>,
    group: Group<'_>,
) {
    text.clear();
    let allowed = match allowed {
        Allowed::Yes => "1 ",
        Allowed::No => "0 ",
        Allowed::Contradicts => "x ",
    };
    let add = match add {
        Add::All => " ",
        Add::Existing => " e",
        Add::None => " n",
    };
    let sent = sent.map_or("=", Reaction::as_str);
    text.extend([palette.limits(), add, allowed, sent, " "]);
    match actor {
        Some(actor) => text.push_str(actor.spelled().as_str()),
        None => text.push('*'),
    }
    match group {
        Group::None => text.push_str(" = "),
        Group::All => text.push_str(" * "),
        Group::Of(members) => {
            members.iter().for_each(|member| text.extend([" ", member.as_str()]));
            text.push(' ');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Palettes;

    #[test]
    fn a_verdict_is_what_the_scripts_read() {
        let (palettes, mut text) = (Palettes::unconfigured(), "before".to_owned());
        let palette = palettes.default_palette();
        write(&mut text, palette, (Add::All, true.into()), None, None, Group::None);
        assert_eq!(text, "default 20 20 1 = * = ");
        write(&mut text, palette, (Add::Existing, true.into()), None, None, Group::None);
        assert_eq!(text, "default 20 20 e1 = * = ");
        let group = ["up", "down"].map(|name| name.parse().expect("a reaction"));
        let (sent, actor) = (&group[0], 7.try_into().ok());
        write(&mut text, palette, (Add::None, Allowed::No), Some(sent), actor, Group::Of(&group));
        assert_eq!(text, "default 20 20 n0 up 7 up down ");
        // A user may be named `=`.
        write(&mut text, palette, (Add::All, true.into()), None, "=".parse().ok(), Group::None);
        assert_eq!(text, "default 20 20 1 = = = ");
        write(&mut text, palette, (Add::All, Allowed::Contradicts), None, None, Group::All);
        assert_eq!(text, "default 20 20 x = * * ");
    }
}
