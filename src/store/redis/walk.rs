//! A walk over all posts, by SCAN, server by server.
//!
//! SCAN comes by every key that is there all the while, but only at one server process: another one
//! orders its keys otherwise. And if a partition moves to a server that the walk has left, the walk
//! misses it. So the cursor names what it holds for. When that has changed, the walk begins anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use deadpool_redis::redis::{self, Value};

use super::RedisCore;
use super::cluster::Server;
use super::keys::fingerprint;
use super::value::text;
use crate::domain::{Partition, PostId};
use crate::store::{StoreError, WalkCursor, WalkPage, WalkedPost};

/// How many keys a page looks at, whatever its caller asks for: it blocks Redis for less than a
/// millisecond.
const MOST_KEYS: usize = 2000;

/// A cursor: `SERVER-MAP-RUN-SCAN`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    /// The number of the server in the map.
    server: usize,
    /// A hash of the map: which server has which partition.
    map: u32,
    /// A hash of the run id of the server's process; 0 if unknown.
    run: u32,
    /// The cursor of SCAN.
    scan: u64,
}

impl Place {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let place = Self {
            server: parts.next()?.parse().ok()?,
            map: parts.next()?.parse().ok()?,
            run: parts.next()?.parse().ok()?,
            scan: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(place)
    }

    fn cursor(&self) -> WalkCursor {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = write!(text, "{}-{}-{}-{}", self.server, self.map, self.run, self.scan);
        WalkCursor(text)
    }
}

/// Reads a page.
pub(super) async fn page(
    core: &RedisCore,
    after: Option<WalkCursor>,
    limit: usize,
) -> Result<WalkPage, StoreError> {
    let asked = match &after {
        Some(cursor) => Some(Place::read(&cursor.0).ok_or_else(WalkCursor::odd)?),
        None => None,
    };
    // Between two servers the map must be the present one.
    let fresh = asked.as_ref().is_none_or(|place| place.scan == 0);
    let servers = core.pools.servers(fresh).await?;
    let map = fingerprint(servers.iter().map(Server::to_string));
    let mut place = asked.filter(|place| place.map == map && place.server < servers.len());
    let place = place.get_or_insert(Place { map, ..Place::default() });
    let Some(server) = servers.get(place.server) else {
        return Err(StoreError::Unavailable("no node of the cluster answers".into()));
    };
    let run = fingerprint(core.pools.run_id(server.first).await?);
    if place.run != run {
        (place.run, place.scan) = (run, 0);
    }
    let count = limit.clamp(10, MOST_KEYS);
    let (scan, keys) = scan(core, server.first, place.scan, count).await?;
    place.scan = scan;
    let mut next = Some(place.cursor());
    if scan == 0 {
        let is_last = place.server + 1 == servers.len();
        next = Some(Place { server: place.server + 1, map, ..Place::default() }.cursor());
        if is_last {
            let now = core.pools.servers(true).await?;
            let same = fingerprint(now.iter().map(Server::to_string)) == map;
            next = (!same).then(|| Place { map: 0, ..Place::default() }.cursor());
        }
    }
    Ok(WalkPage { posts: posts(core, &keys), next })
}

/// One SCAN. Returns the cursor and the keys.
async fn scan(
    core: &RedisCore,
    at: Partition,
    cursor: u64,
    count: usize,
) -> Result<(u64, Vec<Value>), StoreError> {
    let mut commands = redis::pipe();
    let scan =
        commands.cmd("SCAN").arg(cursor).arg("MATCH").arg(core.lanes.settings.keys.of_posts());
    scan.arg("COUNT").arg(count);
    let ((next, keys),): ((u64, Vec<Value>),) =
        core.pools.query(at, &commands, "the keys of posts").await?;
    Ok((next, keys))
}

/// The posts of some keys, each once.
fn posts(core: &RedisCore, keys: &[Value]) -> Vec<WalkedPost> {
    let mut found: BTreeMap<PostId, WalkedPost> = BTreeMap::new();
    for (post, reaction) in
        keys.iter().filter_map(|key| core.lanes.settings.keys.read_post(text(key)?))
    {
        let blank = WalkedPost { post, own: false, seen: Vec::new() };
        let walked = found.entry(post).or_insert(blank);
        match reaction {
            None => walked.own = true,
            Some(reaction) if !walked.seen.contains(&reaction) => walked.seen.push(reaction),
            Some(_) => {}
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let place = Place { server: 2, map: 7, run: u32::MAX, scan: u64::MAX };
        assert_eq!(Place::read(&place.cursor().0), Some(place));
        for other in ["", "1-2-3", "1-2-3-4-5", "1-2-3-x", "a b"] {
            assert_eq!(Place::read(other), None, "{other}");
        }
    }
}
