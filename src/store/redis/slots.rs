//! Which node of a cluster serves which slots.

use std::ops::RangeInclusive;

use deadpool_redis::redis::Value;

use super::address::Node;
use super::keys;
use crate::domain::Partition;

/// What one node of a cluster said of all of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SlotMap {
    ranges: Vec<(RangeInclusive<u16>, Node)>,
}

impl SlotMap {
    /// Reads the reply to CLUSTER SLOTS: per range its first and last slot, then the primary, as
    /// host and port. A node that does not know its own host leaves it out: it is where it was
    /// `asked`.
    pub(super) fn read(reply: &Value, asked: &Node) -> Option<Self> {
        let Value::Array(ranges) = reply else { return None };
        let range = |range: &Value| {
            let Value::Array(parts) = range else { return None };
            let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = parts.as_slice()
            else {
                return None;
            };
            let [host, Value::Int(port), ..] = primary.as_slice() else { return None };
            let host = match host {
                Value::BulkString(host) if !host.is_empty() => {
                    String::from_utf8(host.clone()).ok()?
                }
                Value::SimpleString(host) if !host.is_empty() => host.clone(),
                _ => asked.host.clone(),
            };
            let node = Node { host, port: u16::try_from(*port).ok()? };
            Some((u16::try_from(*first).ok()?..=u16::try_from(*last).ok()?, node))
        };
        ranges.iter().map(range).collect::<Option<_>>().map(|ranges| Self { ranges })
    }

    /// The node that has this slot, if any has.
    pub(super) fn owner(&self, slot: u16) -> Option<&Node> {
        self.ranges.iter().find(|(range, _)| range.contains(&slot)).map(|(_, node)| node)
    }

    /// Whether this node has a slot.
    pub(super) fn has(&self, node: &Node) -> bool {
        self.ranges.iter().any(|(_, owner)| owner == node)
    }

    /// The node that has each partition.
    pub(super) fn by_partition(&self) -> impl Iterator<Item = Option<&Node>> {
        Partition::all().map(|partition| self.owner(keys::slot(partition)))
    }

    /// Every node that has a partition, with the first that it has.
    pub(super) fn nodes(&self) -> Vec<(&Node, Partition)> {
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
        let map = SlotMap::read(&Value::Array(reply), &node("asked", 9)).expect("a map");
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
        assert!(SlotMap::read(&Value::Nil, &asked).is_none());
        assert!(SlotMap::read(&Value::Array(vec![Value::Int(1)]), &asked).is_none());
        let negative = Value::Array(vec![range(-1, 5, "a", 1)]);
        assert!(SlotMap::read(&negative, &asked).is_none());
        assert_eq!(SlotMap::read(&Value::Array(vec![]), &asked), Some(SlotMap::default()));
    }
}
