//! A walk over all posts, by SCAN, server by server.
//!
//! SCAN comes by every key that is there all the while, but only at one server process: another one
//! orders its keys otherwise. And if a partition moves to a server that the walk has left, the walk
//! misses it. So the cursor names what it holds for. When that has changed, the walk begins anew.
//!
//! While a slot moves, its keys go one by one to a server that the walk may have left. So at its
//! end the walk goes once more to each server that gets a slot then: a key that the walk has not
//! met at the giver is there by now.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use deadpool_redis::redis::{self, Value};

use super::RedisCore;
use super::cluster::Server;
use super::keys::fingerprint;
use super::value::text;
use crate::domain::PostId;
use crate::store::{StoreError, WalkCursor, WalkPage, WalkedPost};

/// How many keys a page looks at, whatever its caller asks for: it blocks Redis for less than a
/// millisecond.
const MOST_KEYS: usize = 2000;

/// A cursor: `SERVER-MAP-RUN-SCAN`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    /// The number of the server in the map; then those that get slots.
    server: usize,
    /// A hash of the map: which server has which partition, and which get slots.
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
    let mut servers = core.pools.servers(fresh).await?;
    let (owners, begin) = (servers.len(), hash(&servers));
    if asked.as_ref().is_some_and(|place| place.server >= owners) {
        servers.extend(core.pools.receivers(&servers).await?);
    }
    let map = hash(&servers);
    let mut place = asked.filter(|place| place.map == map && place.server < servers.len());
    let place = place.get_or_insert(Place { map: begin, ..Place::default() });
    let Some(server) = servers.get(place.server) else {
        return Err(StoreError::Unavailable("no node of the cluster answers".into()));
    };
    let run = fingerprint(core.pools.run_id(server).await?);
    if place.run != run {
        (place.run, place.scan) = (run, 0);
    }
    let count = limit.clamp(10, MOST_KEYS);
    let (scan, keys) = scan(core, server, place.scan, count).await?;
    place.scan = scan;
    let mut next = Some(place.clone());
    if scan == 0 {
        let behind = Place { server: place.server + 1, map: place.map, ..Place::default() };
        let is_last = behind.server == if place.map == begin { owners } else { servers.len() };
        next = if is_last { after_all(core, place, begin).await? } else { Some(behind) };
    }
    let next = next.map(|place| place.cursor());
    Ok(WalkPage { posts: posts(core, &keys), damaged: Vec::new(), next })
}

/// Where the walk goes on after the last server. `begin`: the hash of the map without those that
/// get slots.
async fn after_all(
    core: &RedisCore,
    place: &Place,
    begin: u32,
) -> Result<Option<Place>, StoreError> {
    let mut servers = core.pools.servers_anew().await?;
    if hash(&servers) != begin {
        return Ok(Some(Place::default()));
    }
    let owners = servers.len();
    servers.extend(core.pools.receivers(&servers).await?);
    let (server, map) = (owners, hash(&servers));
    let all = map == place.map || servers.len() == owners;
    Ok((!all).then_some(Place { server, map, ..Place::default() }))
}

/// A hash of what the walk goes by.
fn hash(servers: &[Server]) -> u32 {
    fingerprint(servers.iter().map(Server::to_string))
}

/// One SCAN. Returns the cursor and the keys.
async fn scan(
    core: &RedisCore,
    at: &Server,
    cursor: u64,
    count: usize,
) -> Result<(u64, Vec<Value>), StoreError> {
    let mut commands = redis::pipe();
    let scan =
        commands.cmd("SCAN").arg(cursor).arg("MATCH").arg(core.lanes.settings.keys.of_posts());
    scan.arg("COUNT").arg(count);
    let ((next, keys),): ((u64, Vec<Value>),) =
        core.pools.query_server(at, &commands, "the keys of posts").await?;
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
