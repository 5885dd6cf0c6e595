//! How much others use the same Redis.

use deadpool_redis::redis;

use super::RedisStore;

impl RedisStore {
    /// How many script calls the servers have run since they started, less those that this process
    /// has sent; None if they do not say. Only the difference of two such numbers says something.
    pub(in crate::store) async fn calls_of_others(&self) -> Option<i64> {
        let core = &self.shared;
        let mut commands = redis::pipe();
        commands.cmd("INFO").arg("commandstats");
        let mut all = 0;
        for server in core.pools.servers(false).await.ok()? {
            let asked = core.pools.query_server(&server, &commands, "INFO").await;
            let (info,): (String,) = asked.ok()?;
            all += script_calls(&info);
        }
        let own = i64::try_from(core.lanes.stats.batches_sent.get()).ok()?;
        Some(all - own)
    }
}

/// How many script calls an INFO counts. A server that has run none does not name them.
fn script_calls(info: &str) -> i64 {
    let calls = |line: &str| {
        let (number, _) = line.strip_prefix("cmdstat_evalsha:calls=")?.split_once(',')?;
        number.parse().ok()
    };
    info.lines().find_map(calls).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calls_of_scripts_are_read_from_an_info() {
        let info = "# Commandstats\r\ncmdstat_evalsha_ro:calls=7,usec=1\r\n\
                    cmdstat_evalsha:calls=6579,usec=11120684,usec_per_call=1690.33\r\n";
        assert_eq!(script_calls(info), 6579);
        assert_eq!(script_calls("# Commandstats\r\ncmdstat_get:calls=7,usec=1\r\n"), 0);
    }
}
