use super::*;

const WINDOW: Duration = Duration::from_secs(86_400);

fn limits(adding: u32, callers: usize, window: Duration) -> RateLimits {
    let adding = NonZeroU32::new(adding).expect("not zero");
    RateLimits::new(&RateOptions { adding, first: adding, reading: adding, window, callers })
}

fn user(id: u64) -> Client {
    Client::User(id.try_into().expect("a user"))
}

fn at(address: &str) -> Client {
    Client::Address(Some(address.parse().expect(address)))
}

fn one(limits: &RateLimits, deed: Deed, client: Client) -> bool {
    limits.take(deed, client, NonZeroU32::MIN).is_ok()
}

/// How many of 10,000 the limits let pass.
fn passed(limits: &RateLimits, deed: Deed, client: Client) -> usize {
    (0..10_000).filter(|_| one(limits, deed, client)).count()
}

#[test]
fn each_deed_of_each_caller_has_its_own_bucket() {
    let limits = limits(120, 100, WINDOW);
    for client in [user(1), user(2), at("192.0.2.1"), Client::Address(None)] {
        assert_eq!(passed(&limits, Deed::Adding, client), 120);
        assert_eq!(passed(&limits, Deed::Removing, client), 1200);
        assert_eq!(passed(&limits, Deed::Reading, client), 120);
    }
}

#[test]
fn a_refusal_says_when_to_come_back() {
    let limits = limits(120, 100, Duration::from_secs(60));
    let all = NonZeroU32::new(120).expect("not zero");
    assert_eq!(limits.take(Deed::Adding, user(1), all), Ok(()));
    let exceeded = limits.take(Deed::Adding, user(1), NonZeroU32::MIN).expect_err("empty");
    assert_eq!(
        exceeded,
        Exceeded { policy: "adding", quota: 120, window: 60, wait: 1 },
        "half a second for each"
    );
    let exceeded = limits.take(Deed::Adding, user(1), all).expect_err("empty");
    assert!((59..=60).contains(&exceeded.wait), "{exceeded:?}");
}

#[test]
fn more_than_a_full_bucket_takes_a_full_one() {
    let limits = limits(120, 100, WINDOW);
    assert_eq!(limits.take(Deed::Adding, user(1), NonZeroU32::MAX), Ok(()));
    assert!(!one(&limits, Deed::Adding, user(1)));
}

#[test]
fn addresses_of_ipv6_count_by_64_bits() {
    let limits = limits(120, 100, WINDOW);
    assert_eq!(passed(&limits, Deed::Reading, at("2001:db8:1:2::1")), 120);
    assert_eq!(passed(&limits, Deed::Reading, at("2001:db8:1:2:ffff:ffff:ffff:ffff")), 0);
    assert_eq!(passed(&limits, Deed::Reading, at("2001:db8:1:3::1")), 120);
    assert_eq!(passed(&limits, Deed::Reading, at("192.0.2.1")), 120);
    assert_eq!(passed(&limits, Deed::Reading, at("::ffff:192.0.2.1")), 0, "the same address");
    assert_eq!(passed(&limits, Deed::Reading, at("192.0.2.2")), 120);
}

/// The many ids of a flood lift nobody's limit, and share what one user may do.
#[test]
fn where_all_buckets_are_taken_newcomers_share_one() {
    let limits = limits(120, 4, WINDOW);
    for known in 1..=4 {
        assert_eq!(passed(&limits, Deed::Adding, user(known)), 120);
    }
    let newcomers = (5..=50).map(|id| passed(&limits, Deed::Adding, user(id)));
    assert_eq!(newcomers.sum::<usize>(), 120);
    for known in 1..=4 {
        assert_eq!(passed(&limits, Deed::Adding, user(known)), 0, "not evicted");
    }
    assert!(limits.stats().shared.get() > 900);
    assert_eq!(passed(&limits, Deed::Removing, user(5)), 1200, "buckets of another kind");
    assert_eq!(limits.adding.buckets.len(), 4);
}

#[test]
fn a_bucket_that_is_full_again_makes_room() {
    let limits = limits(1000, 2, Duration::from_secs(1));
    for id in 1..=3 {
        assert!(one(&limits, Deed::Adding, user(id)));
    }
    assert_eq!(limits.stats().shared.get(), 1, "two have one of their own");
    let begun = std::time::Instant::now();
    while limits.stats().shared.get() > 0 && begun.elapsed() < Duration::from_secs(10) {
        let before = limits.stats().shared.get();
        assert!(one(&limits, Deed::Adding, user(4)));
        if limits.stats().shared.get() == before {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no bucket was dropped");
}

#[test]
fn threads_together_get_no_more_than_one() {
    let limits = limits(120, 8, WINDOW);
    let counted = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| (1..=16).map(|id| count(&limits, user(id))).collect::<Vec<_>>())
            })
            .collect();
        let counts: Vec<Vec<usize>> =
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        (0..16).map(|i| counts.iter().map(|of| of[i]).sum::<usize>()).collect::<Vec<_>>()
    });
    let all: usize = counted.iter().sum();
    assert_eq!(all, 9 * 120, "8 buckets and the shared one: {counted:?}");
    assert_eq!(limits.adding.limiter.into_state_store().len(), 8);
}

fn count(limits: &RateLimits, client: Client) -> usize {
    (0..1000).filter(|_| one(limits, Deed::Adding, client)).count()
}

/// Sends 1,000 requests with so many reactions, and says how many the limits let pass.
fn first(limits: &RateLimits, client: Client, units: u32, are_first: bool) -> usize {
    let units = NonZeroU32::new(units).expect("not zero");
    let mut passed = 0;
    for _ in 0..1000 {
        let Ok(taken) = limits.take_first(client, units) else { continue };
        passed += 1;
        if !are_first {
            taken.give_back();
        }
    }
    passed
}

#[test]
fn only_first_reactions_use_up_their_bucket() {
    let limits = limits(120, 2, WINDOW);
    assert_eq!(first(&limits, user(1), 1, false), 1000, "all was given back");
    assert_eq!(first(&limits, user(1), 7, false), 1000);
    assert_eq!(first(&limits, user(1), 500, false), 1000, "as much as was taken, not more");
    assert_eq!(first(&limits, user(1), 7, true), 17);
    assert_eq!(first(&limits, user(1), 1, true), 1);
    let exceeded = limits.take_first(user(1), NonZeroU32::MIN).expect_err("empty");
    let Exceeded { policy, quota, window, wait } = exceeded;
    assert_eq!((policy, quota, window), ("first-reactions", 120, 3600));
    assert!((1..=30).contains(&wait), "{exceeded:?}");
    assert_eq!(passed(&limits, Deed::Adding, user(1)), 120, "a bucket of another kind");
}

/// What newcomers take of the bucket that they share stays taken: nobody knows any more whose it
/// was.
#[test]
fn nothing_is_given_back_to_those_who_share_a_bucket() {
    let limits = limits(120, 1, WINDOW);
    assert_eq!(first(&limits, user(1), 1, true), 120);
    assert_eq!(first(&limits, user(2), 1, false), 120);
    assert_eq!(first(&limits, user(1), 1, true), 0);
}
