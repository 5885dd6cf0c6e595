//! The amendments of sequences in which every store is compared with the machine.

use std::sync::Arc;

use onetap::domain::{
    Add, Amendment, Cause, EditAct, ImportStep, MemberEdit, Micros, Once, PostId, Reaction, Rules,
    SourceId, StepToken,
};
use proptest::prelude::*;

use super::differential::{MODERATOR, NAMES, POSTS, USERS};
use crate::support::reaction;

/// An amendment of one of the posts.
#[derive(Clone, Debug)]
pub(super) struct Amending {
    pub(super) post: usize,
    edits: Vec<(&'static str, &'static str, EditAct)>,
    once: Once,
    rules: Option<Rules>,
    pub(super) dry_run: bool,
}

impl Amending {
    pub(super) fn amendment(&self, ids: &[PostId]) -> Amendment {
        let edit = |(user, name, act): &(&str, &str, EditAct)| MemberEdit {
            user: user.parse().unwrap(),
            reaction: reaction(name),
            act: act.clone(),
        };
        let mut once = self.once.clone();
        if let Once::Step(StepToken(token)) = &mut once {
            // As jobs do: the token depends on the post, and is of no other test.
            token.iter_mut().zip(ids[self.post].as_uuid().as_bytes()).for_each(|(a, b)| *a ^= b);
        }
        let (post, edits) = (ids[self.post], self.edits.iter().map(edit).collect());
        Amendment {
            actor: MODERATOR.parse().ok(),
            rules: self.rules.clone(),
            dry_run: self.dry_run,
            ..Amendment::new(post, Cause::Moderate, edits, once)
        }
    }
}

/// The times are those of long ago or of the far future, since the clocks differ.
pub(super) fn amendments() -> impl Strategy<Value = Amending> {
    let at = || prop::sample::select(&[1, 2, 3, 1 << 52][..]).prop_map(Micros);
    let excluded: Arc<[Reaction]> = ["like", "👍"].map(reaction).into();
    let act = prop_oneof![
        3 => at().prop_map(EditAct::Put),
        1 => at().prop_map(EditAct::Restore),
        2 => (at(), prop::bool::ANY).prop_map(move |(at, moves)| match Arc::clone(&excluded) {
            excluded if moves => EditAct::Move { at, excluded },
            excluded => EditAct::Merge { at, excluded },
        }),
        1 => at().prop_map(EditAct::RemoveUpTo),
        1 => at().prop_map(EditAct::RemoveAt),
    ];
    let edit = (prop::sample::select(&USERS[..]), prop::sample::select(&NAMES[..]), act);
    let flags = (prop::bool::ANY, prop::bool::ANY);
    let import = (0..2_u8, 0..4_u64, flags).prop_map(|(source, from, (more, merge))| {
        Once::Import(ImportStep { source: SourceId([source; 16]), from, more, merge })
    });
    let once = prop_oneof![
        Just(Once::No),
        (0..2_u8).prop_map(|token| Once::Step(StepToken([token; 16]))),
        import,
    ];
    let named = |name: &str| Rules { palette: name.parse().ok(), ..Rules::default() };
    let rules = vec![
        Rules::default(),
        Rules { locked: true, ..Rules::default() },
        Rules { add: Add::Existing, ..named("qa") },
        named("default"),
    ];
    let rules = prop_oneof![2 => Just(None), 1 => prop::sample::select(rules).prop_map(Some)];
    let dry_run = prop::bool::weighted(0.1);
    (0..POSTS, prop::collection::vec(edit, 0..5), once, rules, dry_run).prop_map(
        |(post, edits, once, rules, dry_run)| {
            // No job states rules.
            let rules = rules.filter(|_| !matches!(once, Once::Step(_)));
            Amending { post, edits, once, rules, dry_run }
        },
    )
}
