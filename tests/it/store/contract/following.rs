//! Law 13: following the change log.

use super::*;

/// A follower of the change log.
struct Follower {
    watched: watch::Sender<BTreeSet<Partition>>,
    news: mpsc::Receiver<News>,
}

impl Follower {
    fn of(store: &AnyStore) -> Self {
        let (watched, watch) = watch::channel(BTreeSet::new());
        let (teller, news) = mpsc::channel(64);
        let store = store.clone();
        tokio::spawn(async move { store.follow(watch, teller).await });
        Self { watched, news }
    }

    fn watch(&self, posts: &[PostId]) {
        let _ = self.watched.send_replace(posts.iter().map(PostId::partition).collect());
    }

    async fn next(&mut self) -> News {
        let next = tokio::time::timeout(Duration::from_secs(20), self.news.recv());
        next.await.expect("nothing is heard").expect("the follower has ended")
    }

    /// Reads news until each of these posts was reported, by itself or with its partition.
    async fn until_heard(&mut self, posts: &[PostId]) {
        let mut left: HashSet<PostId> = posts.iter().copied().collect();
        while !left.is_empty() {
            match self.next().await {
                News::Following(these) => left.retain(|post| !these.contains(&post.partition())),
                News::Changed(these) => left.retain(|post| !these.contains(post)),
                News::Lost(..) => {}
            }
        }
    }

    async fn is_silent_for(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.news.recv()).await.is_err()
    }
}

pub(super) async fn law_13_who_follows_hears_of_every_change(store: AnyStore) {
    // More posts than partitions.
    let posts: Vec<PostId> = (0..300).map(|_| post()).collect();
    let mut follower = Follower::of(&store);
    act(&store, Verb::Set, posts[0], 1, "like").await;
    follower.watch(&posts);
    follower.until_heard(&posts).await;
    for round in 0..3 {
        let taps = posts.iter().map(|post| act(&store, Verb::Toggle, *post, 7 + round, "like"));
        futures_util::future::join_all(taps).await;
        // The follower hears of every change, and can read each change that it hears of.
        follower.until_heard(&posts).await;
    }
    // A post that the follower watches later, or again, is followed from then on.
    let late = post();
    follower.watch(&[]);
    follower.watch(&[late]);
    let told = act(&store, Verb::Set, late, 7, "like").await;
    follower.until_heard(&[late]).await;
    assert!(summary(&store, late, None, 0).await.revision >= told.revision);
}

pub(super) async fn law_13_what_is_too_much_is_told_as_following_anew(store: AnyStore) {
    let post = post();
    let mut follower = Follower::of(&store);
    follower.watch(&[post]);
    follower.until_heard(&[post]).await;
    let taps = (1..=1000).map(|user| act(&store, Verb::Set, post, user, "like"));
    let last = futures_util::future::join_all(taps).await.pop().unwrap();
    // However the store groups the news, the last change is among them. So a reader that reads at
    // each news ends with everything.
    let heard = async {
        while summary(&store, post, None, 0).await.reactions.first().map(|r| r.count) != Some(1000)
        {
            follower.next().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), heard).await.expect("it heard of everything");
    assert!(last.changed);
    // From now on, single changes are news of their own again.
    while !follower.is_silent_for(Duration::from_millis(500)).await {}
    act(&store, Verb::Set, post, 1001, "like").await;
    assert_eq!(follower.next().await, News::Changed(vec![post]));
}

pub(super) async fn law_13_what_is_not_watched_is_silent(store: AnyStore) {
    let watched = post();
    let other = std::iter::repeat_with(post).find(|p| p.partition() != watched.partition());
    let other = other.unwrap();
    let mut follower = Follower::of(&store);
    act(&store, Verb::Set, other, 1, "like").await;
    assert!(follower.is_silent_for(Duration::from_millis(200)).await);
    follower.watch(&[watched]);
    assert_eq!(follower.next().await, News::Following(vec![watched.partition()]));
    act(&store, Verb::Set, other, 2, "like").await;
    act(&store, Verb::Set, watched, 2, "like").await;
    assert_eq!(follower.next().await, News::Changed(vec![watched]));
    // A tap without effect changes nothing.
    act(&store, Verb::Set, watched, 2, "like").await;
    follower.watch(&[]);
    act(&store, Verb::Set, other, 3, "like").await;
    assert!(follower.is_silent_for(Duration::from_millis(300)).await);
}
