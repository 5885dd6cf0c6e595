//! The amendments of sequences in which every store is compared with the machine.

use std::sync::Arc;

use onetap::domain::{
    Amendment, Cause, EditAct, ImportStep, MemberEdit, Micros, Once, PostId, Reaction, SourceId,
    StepToken,
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
        Amendment { post, cause: Cause::Moderate, actor: MODERATOR.parse().ok(), edits, once }
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
    let import = (0..2_u8, 0..4_u64, prop::bool::ANY).prop_map(|(source, from, merge)| {
        Once::Import(ImportStep { source: SourceId([source; 16]), from, merge })
    });
    let once = prop_oneof![
        Just(Once::No),
        (0..2_u8).prop_map(|token| Once::Step(StepToken([token; 16]))),
        import,
    ];
    (0..POSTS, prop::collection::vec(edit, 0..5), once).prop_map(|(post, edits, once)| Amending {
        post,
        edits,
        once,
    })
}
