//! Who watches what, and what is to be read for them.
//!
//! A *topic* is a post with as many of its newest users as its watchers want. It is read when
//! somebody new watches it, and when it has changed; then at most every [`PACE`].

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::inbox::{Event, Inbox, Put};
use super::recheck::Recheck;
use super::stats::LiveStats;
use crate::domain::{PARTITIONS, Partition, PostId};
use crate::store::News;

/// At most one event of a post in this time.
const PACE: Duration = Duration::from_millis(100);

/// The wait after a read that failed.
const RETRY: Duration = Duration::from_millis(100);

/// A stream whose posts may have changed for this long without being read is closed.
const STALE: Duration = Duration::from_secs(3);

/// The most posts of one read.
const MOST_POSTS: usize = 100;

/// A post, and how many of its newest users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Topic {
    pub(super) post: PostId,
    pub(super) recent: usize,
}

/// How a topic stands.
#[derive(Debug, Default)]
struct Standing {
    watchers: Vec<Watcher>,
    /// A read is on its way.
    reading: bool,
    /// Somebody has joined who has no snapshot yet.
    joined: bool,
    /// Since when it may be other than its watchers were told.
    stale_since: Option<Instant>,
    /// No event before this time.
    quiet_until: Option<Instant>,
    /// No read before this time.
    retry_at: Option<Instant>,
}

#[derive(Debug)]
struct Watcher {
    inbox: Arc<Inbox>,
    slot: u8,
    /// The number of the last read that had begun when it joined: only later ones are news to it.
    joined_after: u64,
}

/// Posts that are to be read together. They share a partition, so they also fail together.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) posts: Vec<PostId>,
    pub(super) recent: usize,
    number: u64,
    /// Told to all watchers, and not only to those who have just joined; since when each post may
    /// have changed.
    public: Option<Vec<Instant>>,
}

#[derive(Debug)]
pub(super) struct Board {
    topics: HashMap<Topic, Standing>,
    partitions: Vec<Room>,
    /// Topics that somebody waits for, or that may have changed.
    restless: HashSet<Topic>,
    watched: BTreeSet<Partition>,
    watched_anew: bool,
    recheck: Recheck,
    /// How many reads have begun.
    reads: u64,
    stats: Arc<LiveStats>,
    pub(super) closed: bool,
}

/// The watched posts of a partition.
#[derive(Debug, Default)]
struct Room {
    followed: bool,
    /// Each with the numbers of newest users that are wanted.
    posts: HashMap<PostId, Vec<usize>>,
}

/// What is to be done now.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) reads: Vec<Read>,
    /// Which partitions are to be followed, if that has changed.
    pub(super) watched: Option<BTreeSet<Partition>>,
    /// When there will be more, if nothing happens before.
    pub(super) next: Option<Instant>,
}

impl Board {
    pub(super) fn new(stats: Arc<LiveStats>) -> Self {
        Self {
            topics: HashMap::new(),
            partitions: (0..PARTITIONS).map(|_| Room::default()).collect(),
            restless: HashSet::new(),
            watched: BTreeSet::new(),
            watched_anew: false,
            recheck: Recheck::new(Instant::now()),
            reads: 0,
            stats,
            closed: false,
        }
    }

    pub(super) fn join(&mut self, topics: &[Topic], inbox: &Arc<Inbox>, now: Instant) {
        for (slot, topic) in (0_u8..).zip(topics) {
            let room = &mut self.partitions[topic.post.partition().index()];
            let standing = self.topics.entry(*topic).or_insert_with(|| {
                room.posts.entry(topic.post).or_default().push(topic.recent);
                self.watched_anew |= self.watched.insert(topic.post.partition());
                Standing::default()
            });
            standing.watchers.push(Watcher {
                inbox: Arc::clone(inbox),
                slot,
                joined_after: self.reads,
            });
            standing.joined = true;
            if !room.followed {
                standing.stale_since.get_or_insert(now);
            }
            self.restless.insert(*topic);
        }
    }

    pub(super) fn leave(&mut self, topics: &[Topic], inbox: &Arc<Inbox>) {
        for topic in topics {
            let Some(standing) = self.topics.get_mut(topic) else { continue };
            let own = |watcher: &Watcher| Arc::ptr_eq(&watcher.inbox, inbox);
            if let Some(place) = standing.watchers.iter().position(own) {
                standing.watchers.swap_remove(place);
            }
            if standing.watchers.is_empty() {
                self.topics.remove(topic);
                let room = &mut self.partitions[topic.post.partition().index()];
                if let Some(wanted) = room.posts.get_mut(&topic.post) {
                    wanted.retain(|recent| *recent != topic.recent);
                    if wanted.is_empty() {
                        room.posts.remove(&topic.post);
                    }
                    if room.posts.is_empty() {
                        self.watched_anew |= self.watched.remove(&topic.post.partition());
                    }
                }
            }
        }
    }

    /// Takes in what was heard from the log.
    pub(super) fn hear(&mut self, news: News, now: Instant) {
        match news {
            News::Changed(posts) => posts.into_iter().for_each(|post| self.stir(post, now)),
            News::Following(partitions) => {
                partitions.into_iter().for_each(|partition| self.stir_all(partition, true, now));
            }
            News::Lost(partitions) => {
                partitions.into_iter().for_each(|partition| self.stir_all(partition, false, now));
            }
        }
    }

    fn stir_all(&mut self, partition: Partition, followed: bool, now: Instant) {
        self.partitions[partition.index()].followed = followed;
        self.stir_watched(partition, now);
    }

    fn stir_watched(&mut self, partition: Partition, now: Instant) {
        let room = &self.partitions[partition.index()];
        let posts: Vec<PostId> = room.posts.keys().copied().collect();
        posts.into_iter().for_each(|post| self.stir(post, now));
    }

    /// A post may be other than its watchers were told.
    fn stir(&mut self, post: PostId, now: Instant) {
        let Some(wanted) = self.partitions[post.partition().index()].posts.get(&post) else {
            return;
        };
        for &recent in wanted {
            let topic = Topic { post, recent };
            if let Some(standing) = self.topics.get_mut(&topic) {
                standing.stale_since.get_or_insert(now);
                self.restless.insert(topic);
            }
        }
    }

    /// What is due. Streams that could not be told the truth for too long are closed.
    pub(super) fn round(&mut self, now: Instant) -> Round {
        let rooms = &self.partitions;
        let turn = self.recheck.turn(now, |partition| rooms[partition.index()].posts.len());
        turn.into_iter().for_each(|partition| self.stir_watched(partition, now));
        let (topics, partitions) = (&mut self.topics, &self.partitions);
        let mut due: HashMap<(Partition, usize, bool), Vec<(PostId, Instant)>> = HashMap::new();
        let mut next = (!self.watched.is_empty()).then_some(self.recheck.at);
        let stats = &self.stats;
        self.restless.retain(|topic| {
            let Some(standing) = topics.get_mut(topic) else { return false };
            let partition = topic.post.partition();
            let followed = partitions[partition.index()].followed;
            if standing.is_stale(now) {
                standing.close(stats);
            }
            match standing.due(followed) {
                Due::At(at) if at.is_none_or(|at| at <= now) => {
                    let public = standing.begin(followed, now);
                    let since = public.unwrap_or(now);
                    let group = (partition, topic.recent, public.is_some());
                    due.entry(group).or_default().push((topic.post, since));
                }
                Due::At(at) => next = next.into_iter().chain(at).min(),
                Due::Never => {}
            }
            let stale_at = standing.stale_since.map(|since| since + STALE);
            next = next.into_iter().chain(stale_at).min();
            standing.reading || standing.joined || standing.stale_since.is_some()
        });
        let reads = due.into_iter().flat_map(|((_, recent, public), posts)| {
            let chunks: Vec<_> = posts.chunks(MOST_POSTS).map(<[_]>::to_vec).collect();
            chunks.into_iter().map(move |posts| {
                let (posts, since): (Vec<_>, Vec<_>) = posts.into_iter().unzip();
                (posts, recent, public.then_some(since))
            })
        });
        let reads = reads
            .map(|(posts, recent, public)| {
                self.reads += 1;
                Read { posts, recent, number: self.reads, public }
            })
            .collect();
        let anew = std::mem::take(&mut self.watched_anew);
        let watched = anew.then(|| self.watched.clone());
        Round { reads, watched, next }
    }

    /// Hands out what was read; without it, tries again later.
    pub(super) fn deliver(&mut self, read: &Read, events: Option<&[Event]>, now: Instant) {
        for (i, &post) in read.posts.iter().enumerate() {
            let topic = Topic { post, recent: read.recent };
            let Some(standing) = self.topics.get_mut(&topic) else { continue };
            standing.reading = false;
            let Some(event) = events.and_then(|events| events.get(i)) else {
                standing.failed(read.public.as_ref().map(|since| since[i]), now);
                self.restless.insert(topic);
                continue;
            };
            if read.public.is_some() {
                standing.quiet_until = Some(now + PACE);
            }
            for watcher in &standing.watchers {
                let begun_before = watcher.joined_after >= read.number;
                if begun_before || read.public.is_none() && !watcher.inbox.lacks(watcher.slot) {
                    continue;
                }
                match watcher.inbox.put(watcher.slot, event) {
                    Put::Replaced => self.stats.superseded.add(1),
                    Put::WentBack => self.stats.closed_stale.add(1),
                    Put::Queued | Put::Known => {}
                }
            }
        }
    }

    /// Ends all streams; from now on there are none.
    pub(super) fn close(&mut self) {
        self.closed = true;
        for watcher in self.topics.values().flat_map(|standing| &standing.watchers) {
            watcher.inbox.close();
        }
    }
}

/// When a topic is to be read.
enum Due {
    /// At once, or at this time.
    At(Option<Instant>),
    /// When something happens.
    Never,
}

impl Standing {
    fn due(&self, followed: bool) -> Due {
        if self.reading {
            Due::Never
        } else if self.joined {
            Due::At(self.retry_at)
        } else if followed && self.stale_since.is_some() {
            // The later of the two.
            Due::At(self.quiet_until.max(self.retry_at))
        } else {
            Due::Never
        }
    }

    /// A read begins. If its result is for all watchers, says since when they have waited for it.
    fn begin(&mut self, followed: bool, now: Instant) -> Option<Instant> {
        self.reading = true;
        self.joined = false;
        self.retry_at = None;
        let quiet = self.quiet_until.is_some_and(|until| until > now);
        if quiet || !followed {
            return None;
        }
        self.stale_since.take()
    }

    fn failed(&mut self, since: Option<Instant>, now: Instant) {
        self.joined = self.watchers.iter().any(|watcher| watcher.inbox.lacks(watcher.slot));
        self.stale_since = since.into_iter().chain(self.stale_since).min();
        self.retry_at = Some(now + RETRY);
    }

    fn is_stale(&self, now: Instant) -> bool {
        self.stale_since.is_some_and(|since| since + STALE <= now)
    }

    fn close(&mut self, stats: &LiveStats) {
        self.stale_since = None;
        self.joined = false;
        let closed = self.watchers.iter().filter(|watcher| watcher.inbox.close());
        stats.closed_stale.add(closed.count() as u64);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::domain::Revision;

    /// A read that began before somebody joined may be older than what that one has been told.
    #[test]
    fn a_snapshot_is_read_after_the_stream_was_asked_for() {
        let mut board = Board::new(Arc::default());
        let (now, post) = (Instant::now(), "0192f0c1-2345-7890-abcd-ef0123456789");
        let topics = [Topic { post: post.parse().expect("a post id"), recent: 0 }];
        let (early, late) = (Arc::new(Inbox::new(1)), Arc::new(Inbox::new(1)));
        let event = |revision| Event {
            revision: Revision(revision),
            text: Bytes::from_static(b"text"),
            blank: false,
        };
        board.join(&topics, &early, now);
        let first = board.round(now).reads;
        board.join(&topics, &late, now);
        assert!(board.round(now).reads.is_empty(), "one read of a topic at a time");
        board.deliver(&first[0], Some(&[event(1)]), now);
        assert!(!early.lacks(0) && late.lacks(0));
        let second = board.round(now).reads;
        board.deliver(&second[0], Some(&[event(2)]), now);
        assert!(!late.lacks(0));
        // Where something may have been missed, everything watched is read.
        let partition = topics[0].post.partition();
        for _ in 0..2 {
            let later = now + PACE;
            board.hear(News::Following(vec![partition]), later);
            let reads = board.round(later).reads;
            board.deliver(&reads[0], Some(&[event(3)]), now);
        }
        // What no log tells of is read, too.
        let (begun, mut at) = (now + PACE, now + PACE);
        while board.round(at).reads.is_empty() {
            at = board.round(at).next.expect("a later look");
            assert!(at <= begun + Duration::from_secs(30), "it is not read again");
        }
        board.leave(&topics, &early);
        board.leave(&topics, &late);
        assert_eq!(board.round(now).watched, Some(BTreeSet::new()), "nobody is there any more");
    }
}
