use super::*;

fn reactions(names: &[&str]) -> Vec<Reaction> {
    names.iter().map(|name| name.parse().expect("a reaction")).collect()
}

fn reaction(name: &str) -> Reaction {
    name.parse().expect("a reaction")
}

fn spec(names: &[&str], groups: &[&[&str]], aliases: &[(&str, &str)]) -> PaletteSpec {
    PaletteSpec {
        reactions: (names != ["*"]).then(|| reactions(names)),
        exclusive: Exclusive::Groups(groups.iter().map(|group| reactions(group)).collect()),
        aliases: aliases.iter().map(|(from, to)| (reaction(from), reaction(to))).collect(),
        ..PaletteSpec::default()
    }
}

fn palette(
    names: &[&str],
    groups: &[&[&str]],
    aliases: &[(&str, &str)],
) -> Result<Palette, String> {
    let name = "default".parse().expect("a name");
    Palette::new(name, spec(names, groups, aliases)).map_err(|error| error.to_string())
}

#[test]
fn a_verdict_says_what_is_counted_what_is_allowed_and_what_it_excludes() {
    let made = palette(&["up", "down", "👍"], &[&["up", "down"]], &[("+1", "👍")]);
    let made = made.expect("a palette");
    let [up, plus, other] = ["up", "+1", "like"].map(reaction);
    let verdict = made.verdict(&up);
    assert!(verdict.allowed && !verdict.is_alias && verdict.counted == &up);
    assert!(verdict.group.has(&reaction("down")) && !verdict.group.has(&reaction("👍")));
    let verdict = made.verdict(&plus);
    assert!(verdict.allowed && verdict.is_alias && verdict.counted.as_str() == "👍");
    assert_eq!(verdict.group, Group::None);
    assert!(!made.verdict(&other).allowed);
    let any = palette(&["*"], &[], &[("+1", "👍")]).expect("a palette");
    assert!(any.verdict(&other).allowed && any.verdict(&plus).counted.as_str() == "👍");
}

#[test]
fn a_palette_that_contradicts_itself_is_refused() {
    for (made, problem) in [
        (palette(&[], &[], &[]), "it is empty"),
        (palette(&["like", "like"], &[], &[]), "like is listed twice"),
        (palette(&["❤", "❤\u{fe0f}"], &[], &[]), "is listed twice"),
        (palette(&["up", "down"], &[&["up", "down"], &["up", "down"]], &[]), "in two groups"),
        (palette(&["up"], &[&["up", "down"]], &[]), "down is not one of"),
        (palette(&["up"], &[&["up"]], &[]), "fewer than two"),
        (palette(&["*"], &[&["+1", "-1"]], &[("+1", "👍")]), "+1 is an alias"),
        (palette(&["*"], &[], &[("a", "a")]), "a names itself"),
        (palette(&["*"], &[], &[("a", "b"), ("b", "a")]), "an alias itself"),
        (palette(&["a", "b"], &[], &[("a", "b")]), "a is one of the palette's reactions"),
        (palette(&["b"], &[], &[("a", "c")]), "which the palette does not have"),
        (palette(&["*"], &[], &[("❤", "b"), ("❤\u{fe0f}", "c")]), "two aliases are"),
    ] {
        let error = made.expect_err(problem);
        assert!(error.contains(problem) && error.contains("; "), "{error}");
    }
}

#[test]
fn a_palette_has_a_size_that_every_tap_can_carry() {
    let name = || "default".parse().expect("a name");
    let many = |n: usize| (0..n).map(|i| reaction(&format!("r{i}"))).collect::<Vec<_>>();
    let groups = |n| Exclusive::Groups(many(n).chunks(50).map(<[_]>::to_vec).collect());
    let aliases = |n| many(n).into_iter().map(|alias| (alias, reaction("like"))).collect();
    let spec = PaletteSpec::default;
    for n in [100, 101] {
        for (spec, key) in [
            (PaletteSpec { reactions: Some(many(n)), ..spec() }, "reactions"),
            (PaletteSpec { exclusive: groups(n), ..spec() }, "exclusive"),
            (PaletteSpec { aliases: aliases(n), ..spec() }, "aliases"),
        ] {
            let made = Palette::new(name(), spec).map(|_| ());
            let wrong = made.err().map(|error| (error.key, error.problem.contains("at most 100")));
            assert_eq!(wrong, (n > 100).then_some((key, true)));
        }
    }
    for (limit, good) in [(0, false), (1, true), (100, true), (101, false), (u32::MAX, false)] {
        let kinds = PaletteSpec { max_kinds_per_post: Some(limit), ..spec() };
        let each = PaletteSpec { max_per_user_and_post: Some(limit), ..spec() };
        assert_eq!(Palette::new(name(), kinds).is_ok(), good, "{limit}");
        assert_eq!(Palette::new(name(), each).is_ok(), good, "{limit}");
    }
}

#[test]
fn a_palette_that_has_gone_offers_nothing() {
    let palettes = Palettes::new([]);
    let gone = Rules { palette: Some("qa".parse().expect("a name")), ..Rules::default() };
    let like = reaction("like");
    assert!(!palettes.of(&gone).verdict(&like).allowed);
    assert!(palettes.of(&Rules::default()).verdict(&like).allowed);
    assert_eq!(palettes.of(&gone).name().as_str(), "qa");
}
