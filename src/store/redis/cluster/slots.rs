//! Which node of a cluster serves which slots.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;

use deadpool_redis::redis::Value;

use crate::domain::Partition;
use crate::store::redis::keys;
use crate::store::redis::net::Node;
use crate::store::redis::value::text;

/// One node's view of all slots.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SlotMap {
    ranges: Vec<Range>,
}

#[derive(Debug, PartialEq, Eq)]
struct Range {
    slots: RangeInclusive<u16>,
    owner: Node,
    /// The configuration epoch of the owner. A node that takes slots over first takes a greater
    /// epoch, so of two claims to a slot the one with the greater epoch is the later. 0 if unknown.
    epoch: u64,
}

impl SlotMap {
    /// Reads the reply to CLUSTER SLOTS: for each range its first and last slot, then the primary,
    /// as host, port and id. A node that does not know its own host omits it; then it is the host
    /// `asked`. The epochs come from CLUSTER NODES, if the user may run it.
    pub(crate) fn read(slots: &Value, nodes: Option<&str>, asked: &Node) -> Option<Self> {
        let Value::Array(ranges) = slots else { return None };
        let epochs: HashMap<&str, u64> =
            nodes.into_iter().flat_map(str::lines).filter_map(epoch).collect();
        let range = |range: &Value| {
            let Value::Array(parts) = range else { return None };
            let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = parts.as_slice()
            else {
                return None;
            };
            let [host, Value::Int(port), rest @ ..] = primary.as_slice() else { return None };
            let host = text(host).filter(|host| !host.is_empty()).unwrap_or(&asked.host);
            let id = rest.first().and_then(text);
            Some(Range {
                slots: u16::try_from(*first).ok()?..=u16::try_from(*last).ok()?,
                owner: Node { host: host.to_owned(), port: u16::try_from(*port).ok()? },
                epoch: id.and_then(|id| epochs.get(id)).copied().unwrap_or(0),
            })
        };
        ranges.iter().map(range).collect::<Option<_>>().map(|ranges| Self { ranges })
    }

    fn range(&self, slot: u16) -> Option<&Range> {
        self.ranges.iter().find(|range| range.slots.contains(&slot))
    }

    /// The node that has this slot, if any.
    pub(crate) fn owner(&self, slot: u16) -> Option<&Node> {
        self.range(slot).map(|range| &range.owner)
    }

    /// Whether this node has a slot.
    pub(crate) fn has(&self, node: &Node) -> bool {
        self.owners().any(|owner| owner == node)
    }

    /// The owner of each range.
    pub(crate) fn owners(&self) -> impl Iterator<Item = &Node> {
        self.ranges.iter().map(|range| &range.owner)
    }

    /// Whether it is older than `other` for a partition: it names no owner, or one with an earlier
    /// claim.
    pub(crate) fn is_behind(&self, other: &Self) -> bool {
        let claim = |map: &Self, partition| map.range(keys::slot(partition)).map(|it| it.epoch);
        Partition::all().any(|partition| claim(self, partition) < claim(other, partition))
    }

    /// The node of each partition.
    pub(crate) fn by_partition(&self) -> impl Iterator<Item = Option<&Node>> {
        Partition::all().map(|partition| self.owner(keys::slot(partition)))
    }

    /// Every node that has a partition, with its first one.
    pub(crate) fn nodes(&self) -> Vec<(&Node, Partition)> {
        let mut found: Vec<(&Node, Partition)> = Vec::new();
        for (partition, node) in Partition::all().zip(self.by_partition()) {
            if let Some(node) = node
                && found.iter().all(|(known, _)| *known != node)
            {
                found.push((node, partition));
            }
        }
        found
    }
}

/// A line of the reply to CLUSTER NODES: the node's id and configuration epoch.
fn epoch(line: &str) -> Option<(&str, u64)> {
    let mut fields = line.split_ascii_whitespace();
    Some((fields.next()?, fields.nth(5)?.parse().ok()?))
}

/// The nodes to which a node is moving slots of partitions now, by its reply to CLUSTER NODES: it
/// says so of itself alone.
pub(crate) fn receivers(nodes: &str, asked: &Node) -> BTreeSet<Node> {
    let lines: Vec<Vec<&str>> =
        nodes.lines().map(|line| line.split_ascii_whitespace().collect()).collect();
    let is_own =
        |line: &&Vec<&str>| line.get(2).is_some_and(|it| it.split(',').any(|it| it == "myself"));
    let Some(own) = lines.iter().find(is_own) else { return BTreeSet::new() };
    // With `cluster-preferred-endpoint-type hostname`, a cluster names hosts instead of addresses.
    let by_name = own.get(1).and_then(|it| name_of(it)).is_some_and(|name| name == asked.host);
    let partitions: BTreeSet<u16> = Partition::all().map(keys::slot).collect();
    let target = |field: &&str| {
        let (slot, id) = field.strip_prefix('[')?.strip_suffix(']')?.split_once("->-")?;
        partitions.contains(&slot.parse().ok()?).then_some(id.to_owned())
    };
    let node = |id: String| {
        let line = lines.iter().find(|line| line.first() == Some(&id.as_str()))?;
        let (address, _) = line.get(1)?.split_once('@')?;
        let (host, port) = address.rsplit_once(':')?;
        let name = name_of(line.get(1)?).filter(|name| by_name && !name.is_empty());
        Some(Node { host: name.unwrap_or(host).to_owned(), port: port.parse().ok()? })
    };
    own.iter().filter_map(target).filter_map(node).collect()
}

/// The host name in an address of CLUSTER NODES: `ip:port@port,name,…`.
fn name_of(address: &str) -> Option<&str> {
    address.split(',').nth(1).filter(|name| !name.contains('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: i64, last: i64, host: &str, port: i64) -> Value {
        let node = vec![Value::BulkString(host.into()), Value::Int(port), Value::Nil];
        Value::Array(vec![Value::Int(first), Value::Int(last), Value::Array(node)])
    }

    fn node(host: &str, port: u16) -> Node {
        Node { host: host.into(), port }
    }

    #[test]
    fn every_partition_finds_its_node_and_a_gap_none() {
        let reply =
            vec![range(0, 5460, "a", 1), range(5461, 10_922, "", 2), range(11_000, 16_383, "c", 3)];
        let map = SlotMap::read(&Value::Array(reply), None, &node("asked", 9)).expect("a map");
        assert_eq!(map.owner(5460), Some(&node("a", 1)));
        assert_eq!(map.owner(5461), Some(&node("asked", 2)));
        assert_eq!(map.owner(10_999), None);
        assert!(map.has(&node("c", 3)) && !map.has(&node("c", 1)));
        let owners: Vec<_> = map.by_partition().collect();
        assert_eq!(owners.len(), crate::domain::PARTITIONS);
        assert_eq!(owners[85], Some(&node("a", 1)), "slot 5440");
        assert_eq!(owners[86], Some(&node("asked", 2)), "slot 5504");
        assert_eq!(owners[171], None, "slot 10944");
        let firsts: Vec<_> = map.nodes().iter().map(|(_, first)| first.index()).collect();
        assert_eq!(firsts, [0, 86, 172]);
    }

    #[test]
    fn what_is_no_map_is_none() {
        let asked = node("asked", 9);
        assert!(SlotMap::read(&Value::Nil, None, &asked).is_none());
        assert!(SlotMap::read(&Value::Array(vec![Value::Int(1)]), None, &asked).is_none());
        let negative = Value::Array(vec![range(-1, 5, "a", 1)]);
        assert!(SlotMap::read(&negative, None, &asked).is_none());
        assert_eq!(SlotMap::read(&Value::Array(vec![]), None, &asked), Some(SlotMap::default()));
    }

    /// As Redis 7.0 and Valkey 9.1 answer it, with and without a host name.
    #[test]
    fn epochs_are_those_of_the_owners() {
        let nodes = "07c3 127.0.0.1:30004@31004,name slave 67ed 0 1426238317239 9 connected\n\
                     67ed 127.0.0.1:30002@31002 master - 0 1426238316232 7 connected 0-8191\n\
                     292f 127.0.0.1:30003@31003,,shard-id=1 myself,master - 0 0 8 connected \
                     8192-16383 [8192->-67ed]\n";
        assert_eq!(
            nodes.lines().filter_map(epoch).collect::<Vec<_>>(),
            [("07c3", 9), ("67ed", 7), ("292f", 8)]
        );
        assert_eq!(epoch(""), None);
    }

    #[test]
    fn what_moves_is_named_by_the_node_that_gives_it() {
        let nodes = |name: &str| {
            format!(
                "67ed 10.0.0.2:30002@31002{name} master - 0 1426238316232 7 connected 0-8191 \
                 [100->-07c3]\n\
                 07c3 10.0.0.4:30004@31004{name} master - 0 1426238317239 9 connected\n\
                 292f 10.0.0.3:30003@31003{name} myself,master - 0 0 8 connected 8192-16383 \
                 [8192->-07c3] [8193->-67ed] [64-<-67ed] [8256->-gone]\n"
            )
        };
        // Slot 8193 has no partition, slot 64 comes, and nobody knows the last node.
        let asked = node("10.0.0.3", 30003);
        assert_eq!(receivers(&nodes(""), &asked), [node("10.0.0.4", 30004)].into());
        let named = nodes(",name,shard-id=1");
        assert_eq!(receivers(&named, &asked), [node("10.0.0.4", 30004)].into());
        assert_eq!(receivers(&named, &node("name", 30003)), [node("name", 30004)].into());
        assert!(receivers("", &asked).is_empty());
    }
}
