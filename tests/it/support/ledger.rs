//! A ledger of acknowledged taps. The crash tests ask it whether a store still has them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use onetap::domain::{Change, Form, Outcome, Partition, PostId, Reaction, Revision, Tap, UserId};
use onetap::store::{AnyStore, ReactorsQuery, Store as _, StoreError, SummaryQuery};

use super::power::random;
use super::{changes, keyed_tap, numbered_post, soon};

const FORMS: [Form; 5] =
    [Form::Toggle, Form::Set, Form::Unset, Form::ToggleFrom(true), Form::ToggleFrom(false)];

/// The taps that were sent, by their result.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) acknowledged: Vec<(Tap, Outcome)>,
    /// Taps of unknown outcome. Those with a key can be sent again to find out.
    pub(crate) in_doubt: Vec<Tap>,
    /// The number of taps that the store reported as not applied.
    pub(crate) refused: usize,
}

/// The number of posts of numbered taps.
const POSTS: u32 = 12;

fn tapped_post(n: u32) -> PostId {
    numbered_post(0x00C0_0000 + n)
}

/// The posts of numbered taps.
pub(crate) fn tapped_posts() -> Vec<PostId> {
    (0..POSTS).map(tapped_post).collect()
}

/// The tap with this number. There are few posts, users and reactions, so that taps meet. Four in
/// five have their own key.
pub(crate) fn numbered_tap(run: &str, n: u64) -> Tap {
    let mut seed = n;
    let mut below = |bound: u64| random(&mut seed) % bound;
    let post = tapped_post(u32::try_from(below(POSTS.into())).unwrap());
    let user = 1 + below(40);
    let name = ["like", "love", "👍"][usize::try_from(below(3)).unwrap()];
    let form = FORMS[usize::try_from(below(5)).unwrap()];
    if below(5) == 0 {
        return Tap { keyed: None, ..keyed_tap(form, post, user, name, "none") };
    }
    keyed_tap(form, post, user, name, &format!("{run}-{n}"))
}

impl Ledger {
    pub(crate) fn note(&mut self, tap: Tap, answer: Result<Outcome, StoreError>) {
        match answer {
            Ok(outcome) => self.acknowledged.push((tap, outcome)),
            Err(StoreError::OutcomeUnknown) => self.in_doubt.push(tap),
            Err(_) => self.refused += 1,
        }
    }

    /// Asserts that every acknowledged tap is there once, and that members, counts and log agree.
    pub(crate) async fn audit(&mut self, store: &AnyStore) {
        self.resolve_doubts(store).await;
        let changes = whole_log(store).await;
        let logged: HashMap<(PostId, Revision), &Change> =
            changes.iter().map(|change| ((change.post, change.revision), change)).collect();
        assert_eq!(logged.len(), changes.len(), "a revision was given out twice");
        for (tap, outcome) in self.acknowledged.iter().filter(|(_, outcome)| outcome.changed) {
            let found = logged.get(&(tap.post, outcome.revision));
            let change = found.unwrap_or_else(|| panic!("lost: {tap:?}, answered {outcome:?}"));
            let (_, reaction) = tap.act.one().expect("a tap on one reaction");
            assert_eq!(change.flag(), Some((tap.user, reaction, outcome.active)), "{tap:?}");
        }
        agrees_with_itself(store, &changes).await;
        // A record is of the same step as its tap.
        let keyed = self.acknowledged.iter().filter(|(tap, _)| tap.keyed.is_some());
        for (tap, outcome) in keyed.rev().take(300) {
            let again = store.tap(tap.clone(), soon()).await;
            assert_eq!(again, Ok(Outcome { replayed: true, ..outcome.clone() }), "{tap:?}");
        }
    }

    /// Sends the taps in doubt with a key again. Then their outcome is known.
    async fn resolve_doubts(&mut self, store: &AnyStore) {
        for tap in std::mem::take(&mut self.in_doubt) {
            if tap.keyed.is_some() {
                let outcome = store.tap(tap.clone(), soon()).await.unwrap();
                self.acknowledged.push((tap, Outcome { replayed: false, ..outcome }));
            }
        }
    }
}

/// The change logs of all partitions, each in its own order.
async fn whole_log(store: &AnyStore) -> Vec<Change> {
    let mut log = Vec::new();
    for partition in Partition::all() {
        let entries = changes(store, partition, usize::MAX).await.unwrap();
        assert!(entries.windows(2).all(|pair| pair[0].position < pair[1].position));
        log.extend(entries.into_iter().map(|entry| entry.change));
    }
    log
}

/// Asserts that a replay of the log gives the members, and that the counts are their numbers.
async fn agrees_with_itself(store: &AnyStore, changes: &[Change]) {
    let mut replayed: BTreeMap<PostId, (Revision, BTreeSet<(Reaction, UserId)>)> = BTreeMap::new();
    for change in changes {
        let (revision, members) =
            replayed.entry(change.post).or_insert((Revision(0), BTreeSet::new()));
        assert!(change.revision > *revision, "revisions rise in the log");
        *revision = change.revision;
        let (user, reaction, active) = change.flag().expect("a tap's entry");
        let member = (reaction.clone(), user);
        let flipped = if active { members.insert(member) } else { members.remove(&member) };
        assert!(flipped, "the log has a change that changed nothing: {change:?}");
    }
    for (post, (revision, members)) in replayed {
        let query = SummaryQuery { posts: vec![post], viewer: None, recent: 0 };
        let summary = store.summaries(query, soon()).await.unwrap().remove(0);
        let query = ReactorsQuery { post, reaction: None, after: None, limit: 100_000 };
        let listed = store.reactors(query, soon()).await.unwrap().reactors;
        let listed: BTreeSet<_> = listed.into_iter().map(|r| (r.reaction, r.user)).collect();
        assert_eq!(summary.revision, revision, "{post}");
        assert_eq!(listed, members, "{post}: the list and the log differ");
        for counted in &summary.reactions {
            let size = members.iter().filter(|(name, _)| *name == counted.reaction).count();
            assert_eq!(counted.count, size as u64, "{post} {}", counted.reaction);
        }
        let kinds: BTreeSet<_> = members.iter().map(|(name, _)| name).collect();
        assert_eq!(summary.reactions.len(), kinds.len(), "{post}: a count without members");
    }
}
