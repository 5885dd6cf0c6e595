use super::*;
use crate::domain::machine::Post;
use crate::domain::{Cause, Edit, PostId, RulesEdit, SourceId, Tap, Verb};

fn reaction(name: &str) -> Reaction {
    name.parse().expect("a reaction")
}

fn user(id: u64) -> UserId {
    id.try_into().expect("a user id")
}

fn id() -> PostId {
    "0192f0c1-2345-7890-abcd-ef0123456789".parse().expect("a post id")
}

fn edit(id: u64, name: &str, act: EditAct) -> MemberEdit {
    MemberEdit { user: user(id), reaction: reaction(name), act }
}

fn put(id: u64, at: u64) -> MemberEdit {
    edit(id, "like", EditAct::Put(Micros(at)))
}

fn amendment(edits: Vec<MemberEdit>, once: Once) -> Amendment {
    Amendment::new(id(), Cause::Import, edits, once)
}

/// A post with the mark and the floor that its store keeps.
#[derive(Default)]
struct Kept {
    post: Post,
    mark: Option<ImportMark>,
    floor: u64,
}

impl Kept {
    /// Applies an amendment as a store does.
    fn amend(&mut self, amendment: &Amendment, at: u64) -> AmendDecision {
        let floor = Revision(self.floor);
        let decision = self.post.amend(amendment, self.mark.as_ref(), Micros(at), floor);
        match decision.mark {
            MarkWrite::Keep => {}
            MarkWrite::Write(mark) => self.mark = Some(mark),
            MarkWrite::Delete => self.mark = None,
        }
        self.settle(decision.post == PostWrite::Empty);
        decision
    }

    fn edits(&mut self, edits: Vec<MemberEdit>, at: u64) -> AmendDecision {
        self.amend(&amendment(edits, Once::No), at)
    }

    fn tap(&mut self, verb: Verb, by: u64, at: u64) {
        let tap = Tap::new(id(), user(by), verb, reaction("like"));
        self.post.apply(&tap, Micros(at), Revision(self.floor)).expect("an outcome");
        self.settle(self.post.is_empty());
    }

    fn settle(&mut self, emptied: bool) {
        assert_eq!(emptied, self.post.is_empty() && self.post.revision_or(Revision(0)).0 > 0);
        if emptied {
            self.floor = self.floor.max(self.post.revision_or(Revision(0)).0);
            self.post = Post::default();
        }
    }

    fn is_locked(&self) -> bool {
        self.post.summary(id(), None, 0, Revision(0)).rules.locked
    }

    fn members(&self) -> Vec<(u64, String, u64)> {
        let listed = self.post.reactors(None, None, 99).into_iter();
        let named = |it: crate::domain::Reactor| {
            (it.user.integer().unwrap_or(0), it.reaction.to_string(), it.reacted_at.0)
        };
        let mut members: Vec<_> = listed.map(named).collect();
        members.sort();
        members
    }
}

fn step(source: u8, from: u64, merge: bool) -> Once {
    Once::Import(ImportStep { source: SourceId([source; 16]), from, more: false, merge })
}

#[test]
fn each_edit_does_what_it_says() {
    use EditOutcome::{Added, Lost, Moved, Removed, Unchanged};
    let at = Micros;
    let merge = |t, others: &[&str]| EditAct::Merge {
        at: at(t),
        excluded: others.iter().map(|name| reaction(name)).collect(),
    };
    // What the user has before, the edit of `like`, what it did, and what the user has afterwards.
    type Held<'a> = &'a [(&'a str, u64)];
    let cases: &[(Held<'_>, EditAct, EditOutcome, Held<'_>)] = &[
        (&[], EditAct::Put(at(5)), Added, &[("like", 5)]),
        (&[("like", 5)], EditAct::Put(at(5)), Unchanged, &[("like", 5)]),
        (&[("like", 5)], EditAct::Put(at(4)), Unchanged, &[("like", 5)]),
        (&[("like", 5)], EditAct::Put(at(6)), Moved, &[("like", 6)]),
        (&[], EditAct::Restore(at(5)), Added, &[("like", 5)]),
        (&[("like", 7)], EditAct::Restore(at(5)), Unchanged, &[("like", 7)]),
        (&[], merge(5, &[]), Added, &[("like", 5)]),
        (&[("like", 7)], merge(5, &[]), Moved, &[("like", 5)]),
        (&[("like", 3)], merge(5, &[]), Unchanged, &[("like", 3)]),
        (&[("down", 6)], merge(5, &["down"]), Lost, &[("down", 6)]),
        (&[("down", 5)], merge(5, &["down"]), Added, &[("like", 5)]),
        (&[("down", 6)], merge(5, &["sad"]), Added, &[("down", 6), ("like", 5)]),
        (&[("down", 1), ("like", 2)], merge(5, &["down"]), Unchanged, &[("like", 2)]),
        // One of two is newer, so the other stays too.
        (&[("a", 1), ("b", 6)], merge(5, &["a", "b"]), Lost, &[("a", 1), ("b", 6)]),
        // A reaction does not exclude itself.
        (&[("like", 9)], merge(5, &["like", "down"]), Moved, &[("like", 5)]),
        (&[("like", 5)], EditAct::RemoveUpTo(at(5)), Removed, &[]),
        (&[("like", 6)], EditAct::RemoveUpTo(at(5)), Unchanged, &[("like", 6)]),
        (&[], EditAct::RemoveUpTo(at(5)), Unchanged, &[]),
        (&[("like", 5)], EditAct::RemoveAt(at(5)), Removed, &[]),
        (&[("like", 4)], EditAct::RemoveAt(at(5)), Unchanged, &[("like", 4)]),
        (&[("like", 6)], EditAct::RemoveAt(at(5)), Unchanged, &[("like", 6)]),
        (&[], EditAct::RemoveAt(at(5)), Unchanged, &[]),
    ];
    for (held, act, outcome, after) in cases {
        let mut kept = Kept::default();
        let before = held.iter().map(|(name, since)| edit(1, name, EditAct::Put(at(*since))));
        kept.edits(before.chain([put(9, 1)]).collect(), 100);
        let shown = kept.members();
        let decision = kept.edits(vec![edit(1, "like", act.clone())], 200);
        assert_eq!(decision.amended.outcomes, [*outcome], "{held:?} {act:?}");
        let mut expected: Vec<_> =
            after.iter().map(|(name, since)| (1, (*name).to_owned(), *since)).collect();
        expected.push((9, "like".into(), 1));
        expected.sort();
        assert_eq!(kept.members(), expected, "{held:?} {act:?}");
        let same = expected == shown;
        assert_eq!(same, decision.changes.is_empty(), "{act:?}");
        assert_eq!(same, decision.post == PostWrite::Keep, "{act:?}");
    }
}

#[test]
fn edits_apply_one_after_the_other_and_each_change_has_one_entry() {
    let mut kept = Kept::default();
    kept.tap(Verb::Set, 1, 100);
    let edits = vec![
        put(2, 7),
        put(2, 7),
        edit(2, "like", EditAct::RemoveAt(Micros(7))),
        edit(2, "like", EditAct::Restore(Micros(8))),
        edit(1, "like", EditAct::Put(Micros(150))),
        edit(3, "sad", EditAct::Put(Micros(1))),
        edit(3, "sad", EditAct::RemoveUpTo(Micros(1))),
    ];
    let decision = kept.edits(edits, 200);
    let told: Vec<_> = decision
        .changes
        .iter()
        .filter_map(|change| change.flag().map(|flag| (flag.0, flag.2, change.revision.0)))
        .collect();
    let rise = 1 + 200;
    let expected = [
        (user(2), true, 200),
        (user(2), false, 200 + rise),
        (user(2), true, 200 + 2 * rise),
        (user(1), true, 200 + 3 * rise),
        (user(3), true, 200 + 4 * rise),
        (user(3), false, 200 + 5 * rise),
    ];
    assert_eq!(told, expected);
    assert_eq!(decision.amended.revision, Revision(200 + 5 * rise));
    assert_eq!(decision.counts, [(reaction("like"), 2), (reaction("sad"), 0)]);
    // User 3 is as before.
    assert_eq!(decision.moves.len(), 2);
    assert_eq!(kept.members(), [(1, "like".into(), 150), (2, "like".into(), 8)]);
    let changed = decision.changes.iter().all(|it| it.occurred_at == Micros(200));
    assert!(changed && decision.post == PostWrite::Write);
}

#[test]
fn a_post_is_emptied_only_if_nothing_is_left() {
    let mut kept = Kept::default();
    kept.edits(vec![put(1, 5), edit(1, "sad", EditAct::Put(Micros(5)))], 100);
    let remove = |name| edit(1, name, EditAct::RemoveUpTo(Micros(9)));
    assert_eq!(kept.edits(vec![remove("like")], 110).post, PostWrite::Write);
    kept.floor = 5000;
    let last = kept.edits(vec![remove("sad")], 120);
    assert_eq!((last.post, last.amended.revision), (PostWrite::Empty, Revision(312 + 121)));
    assert_eq!(kept.floor, 5000);
    // A time that moves leaves the member.
    kept.edits(vec![put(1, 5)], 6000);
    assert_eq!(kept.edits(vec![put(1, 6)], 6001).post, PostWrite::Write);
    // Rules are state, too.
    let lock = RulesEdit { post: id(), edit: Edit::Lock(true), actor: None };
    kept.post.rule(&lock, Micros(7000), Revision(0));
    assert_eq!(kept.edits(vec![remove("like")], 7001).post, PostWrite::Write);
}

#[test]
fn an_import_applies_each_row_once() {
    use ImportOutcome::{Applied, Behind, Done};
    let mut kept = Kept::default();
    let rows = |from: u64, users: &[u64]| {
        amendment(users.iter().map(|id| put(*id, *id)).collect(), step(1, from, false))
    };
    assert_eq!(kept.amend(&rows(2, &[3]), 100).amended.import, Behind);
    assert_eq!((kept.members().len(), kept.mark), (0, None));
    assert_eq!(kept.amend(&rows(0, &[1, 2]), 100).amended.import, Applied);
    let done = kept.amend(&rows(0, &[1, 2]), 110);
    assert_eq!((done.amended.import, done.mark), (Done, MarkWrite::Keep));
    assert_eq!(done.amended.outcomes, [EditOutcome::Unchanged; 2]);
    // A step that overlaps applies the rows that are not done.
    let decision = kept.amend(&rows(1, &[2, 3, 4]), 120);
    assert_eq!(decision.amended.import, Applied);
    let [second, third, fourth] = decision.amended.outcomes[..] else { panic!("three") };
    assert_eq!((second, third, fourth), {
        (EditOutcome::Unchanged, EditOutcome::Added, EditOutcome::Added)
    });
    let mark = kept.mark.expect("a mark");
    assert_eq!((mark.done, mark.live), (4, Revision(0)));
    assert_eq!(mark.revision, decision.amended.revision);
    assert_eq!(kept.amend(&rows(5, &[6]), 130).amended.import, Behind);
    // Rows that change nothing move the mark on.
    kept.amend(&rows(4, &[1]), 130);
    let mark = kept.mark.expect("a mark");
    assert_eq!((mark.done, mark.revision), (5, decision.amended.revision));
    // Another file begins at its first row.
    let other = |from| amendment(vec![put(9, 9)], step(2, from, false));
    assert_eq!(kept.amend(&other(1), 140).amended.import, Behind);
    assert_eq!(kept.amend(&other(0), 140).amended.import, Applied);
    // A file that removes everything leaves no mark.
    let remove = |id| edit(id, "like", EditAct::RemoveUpTo(Micros(99)));
    let all = [1, 2, 3, 4, 9].map(remove).to_vec();
    kept.floor = 9000;
    assert_eq!(kept.amend(&amendment(all, step(3, 0, false)), 150).mark, MarkWrite::Delete);
    // A step that more rows follow does, with the floor as the revision.
    let source = SourceId([3; 16]);
    let once = Once::Import(ImportStep { source, from: 0, more: true, merge: false });
    kept.amend(&amendment(vec![remove(1); 2], once), 150);
    let mark = kept.mark.expect("a mark");
    assert_eq!((mark.done, mark.revision), (2, Revision(9000)));
    let last = amendment(vec![put(1, 1)], step(3, 2, false));
    assert_eq!(kept.amend(&last, 160).amended.import, Applied);
}

#[test]
fn live_taps_are_not_overwritten() {
    use ImportOutcome::{Applied, Done, LiveTaps};
    let row = |id, at, source, from, merge| amendment(vec![put(id, at)], step(source, from, merge));
    // A post that no import has touched, with a tap.
    let mut kept = Kept::default();
    kept.tap(Verb::Set, 1, 100);
    let skipped = kept.amend(&row(2, 200, 1, 0, false), 300);
    assert_eq!((skipped.amended.import, skipped.mark), (LiveTaps, MarkWrite::Keep));
    // A later step of this file says the same, rather than to begin again.
    assert_eq!(kept.amend(&row(2, 200, 1, 7, false), 300).amended.import, LiveTaps);
    // With `merge` rows that are not newer than the last tap are lost.
    let lost = kept.amend(&row(2, 100, 1, 0, true), 300);
    assert_eq!((lost.amended.import, lost.amended.outcomes[0]), (Applied, EditOutcome::Lost));
    let added = kept.amend(&row(2, 101, 1, 1, true), 300);
    assert_eq!(added.amended.outcomes, [EditOutcome::Added]);
    assert_eq!(kept.mark.expect("a mark").live, Revision(100));
    // The import itself raised the revision, and that is no tap.
    let added = kept.amend(&row(3, 150, 1, 2, true), 300);
    assert_eq!(added.amended.outcomes, [EditOutcome::Added]);
    // A live removal between the steps.
    kept.tap(Verb::Unset, 3, 2000);
    assert_eq!(kept.amend(&row(3, 150, 1, 2, true), 2100).amended.import, Done);
    let lost = kept.amend(&row(3, 1999, 1, 3, true), 2100);
    assert_eq!(lost.amended.outcomes, [EditOutcome::Lost]);
    assert_eq!(kept.mark.expect("a mark").live, Revision(2000));
    // The next file must not undo that removal either.
    assert_eq!(kept.amend(&row(3, 1999, 2, 0, false), 2200).amended.import, LiveTaps);
    let lost = kept.amend(&row(3, 1999, 2, 0, true), 2200);
    assert_eq!(lost.amended.outcomes, [EditOutcome::Lost]);

    // A revision ahead of the clock is no time that rows must be newer than.
    let mut kept = Kept::default();
    kept.edits((1..9).map(|id| put(id, 5)).collect(), 100);
    assert_eq!(kept.amend(&row(9, 110, 1, 0, true), 110).amended.outcomes, [EditOutcome::Lost]);
    assert_eq!(kept.mark.expect("a mark").live, Revision(110));
    assert_eq!(kept.amend(&row(9, 111, 2, 0, true), 120).amended.outcomes, [EditOutcome::Added]);

    // Somebody taps between two steps: the file goes on, and the next one is judged.
    let mut kept = Kept::default();
    kept.amend(&row(1, 10, 1, 0, false), 100);
    let revision = kept.mark.expect("a mark").revision;
    kept.tap(Verb::Set, 9, 200);
    assert_eq!(kept.amend(&row(2, 10, 1, 1, false), 300).amended.outcomes, [EditOutcome::Added]);
    assert_eq!(kept.amend(&row(9, 10, 1, 2, false), 300).amended.import, Applied);
    assert_eq!(kept.members().len(), 3);
    let mark = kept.mark.expect("a mark");
    assert_eq!((mark.done, mark.revision, mark.live), (3, revision, Revision(0)));
    assert_eq!(kept.amend(&row(3, 10, 2, 0, false), 300).amended.import, LiveTaps);

    // After an import of everything, a tap that removes the last member.
    let mut kept = Kept::default();
    kept.amend(&row(1, 10, 1, 0, false), 100);
    kept.tap(Verb::Unset, 1, 200);
    assert_eq!(kept.amend(&row(1, 10, 2, 0, false), 300).amended.import, LiveTaps);
}

#[test]
fn rules_come_in_with_the_last_rows_of_an_import() {
    use EditOutcome::{Lost, Moved, Unchanged};
    let locked = Rules { locked: true, ..Rules::default() };
    let ruled = |rows: Vec<MemberEdit>, once, rules: &Rules| Amendment {
        rules: Some(rules.clone()),
        ..amendment(rows, once)
    };
    let mut kept = Kept::default();
    let first = kept.amend(&ruled(vec![put(1, 5)], step(1, 0, false), &locked), 100);
    assert_eq!((first.amended.rules, first.rules.as_ref()), (Moved, Some(&locked)));
    // One entry for the member and one for the lock; the mark has the revision of the lock.
    assert_eq!(first.changes.len(), 2);
    assert_eq!(kept.mark.expect("a mark").revision, first.changes[1].revision);
    let same = kept.amend(&ruled(vec![put(2, 5)], step(2, 0, false), &locked), 200);
    assert_eq!((same.amended.import, same.amended.rules), (ImportOutcome::Applied, Unchanged));
    // A moderator unlocks: no file locks again, whether it is the same one or merges.
    let unlock = RulesEdit { post: id(), edit: Edit::Lock(false), actor: None };
    kept.post.rule(&unlock, Micros(300), Revision(0));
    let again = kept.amend(&ruled(vec![put(2, 5)], step(2, 0, false), &locked), 400);
    assert_eq!((again.amended.import, again.rules), (ImportOutcome::Done, None));
    let merged = kept.amend(&ruled(vec![put(3, 5)], step(3, 0, true), &locked), 400);
    assert_eq!((merged.amended.rules, merged.rules), (Lost, None));
    assert!(!kept.is_locked());

    // Rules are all that the post has, and then it has nothing.
    let mut kept = Kept::default();
    let bare = |source, rules: &Rules| ruled(Vec::new(), step(source, 0, false), rules);
    assert_eq!(kept.amend(&bare(1, &locked), 100).post, PostWrite::Write);
    let dry = Amendment { dry_run: true, ..bare(2, &Rules::default()) };
    assert_eq!(kept.amend(&dry, 200).amended.rules, Moved);
    assert!(kept.is_locked());
    let emptied = kept.amend(&bare(2, &Rules::default()), 200);
    assert_eq!((emptied.post, emptied.mark), (PostWrite::Empty, MarkWrite::Delete));
}
