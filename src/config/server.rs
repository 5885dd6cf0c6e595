//! `[server]`: where the service listens, and which host names it accepts.

use std::time::Duration;

use clap::{ArgAction, Args};

use super::{Listen, OrNone, units};
use crate::http::{BasePath, HostName, Network};

/// Where the service listens, and to which host names it answers.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "server")]
pub struct ServerConfig {
    /// Where to listen: IP:PORT, `localhost`, `localhost:PORT` or `unix:PATH`
    ///
    /// Port 0 takes a free one; `localhost` alone is port 8080. The file of a Unix socket gets the
    /// rights that the umask leaves.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: Listen,

    /// Where to answer `/metrics` and `/readyz`, and nothing else: an address as for `--listen`, or
    /// `none`
    ///
    /// With an address, these two are only there. onetap keeps a thread and connections for them,
    /// so that no load at `--listen` delays them. `/metrics` needs a key with the scope `admin`
    /// here, too, if `[auth]` names keys. With `none` they are with all other calls, at `--listen`.
    #[arg(long, default_value = "none", value_name = "ADDRESS")]
    pub admin_listen: OrNone<Listen>,

    /// Allow `--listen` on an address that other machines can reach, although every caller may do
    /// everything
    #[arg(long, action = ArgAction::Set, default_value = "false")]
    pub insecure_no_auth: bool,

    /// A name that callers may use for the service, such as `forum.example`, without a port; repeat
    /// it, or separate names by commas [default: loopback names and the address listened on]
    ///
    /// The service accepts every IP address if it listens on `0.0.0.0` or `::`, and every name on a
    /// Unix socket. Other names get 403 `foreign_host`, because a web page can make its own name
    /// mean 127.0.0.1 (DNS rebinding). `/healthz`, `/readyz` and `/metrics` accept every name.
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    pub allowed_host: Vec<HostName>,

    /// The path below which onetap answers, such as `/reactions`
    ///
    /// All calls, pages and files are there, `/healthz` and `/metrics` too. The proxy passes on the
    /// whole path.
    #[arg(long, value_name = "PATH", default_value = "/")]
    pub base_path: BasePath,

    /// How long a cache that many share may keep counts that name no viewer
    ///
    /// A second is enough to take the load of a popular page off the store. Browsers ask each time.
    /// 0s: caches ask each time, too.
    #[arg(long, default_value = "0s", value_name = "DURATION", value_parser = units::cache)]
    pub cache_counts: Duration,

    /// A proxy in front of onetap: an address or a network, such as `10.0.0.0/8`; repeat it, or
    /// separate them by commas [default: none]
    ///
    /// For the rate limits a client's address is the rightmost address in `X-Forwarded-For` that is
    /// none of these, if the connection comes from one of these. If you name at
    /// least one proxy, connections over a Unix socket count as coming from a proxy, too.
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    pub trusted_proxies: Vec<Network>,

    /// Threads that answer requests, each with two connections to Redis of its own (in a cluster,
    /// two to each node) [default: one per core]
    #[arg(long, value_parser = units::count(1..=1024))]
    pub threads: Option<u32>,

    /// Serve the demo at `/demo`
    #[arg(long, action = ArgAction::Set, default_value = "true")]
    pub demo: bool,

    /// Refuse every write with 503 `read_only`, in this process alone
    ///
    /// `PUT /v1/read-only` does so in all processes.
    #[arg(long, action = ArgAction::Set, default_value = "false")]
    pub read_only: bool,

    /// How long a stop waits for requests in flight
    ///
    /// SIGTERM and SIGINT stop the service; SIGHUP too, if there is no file to read again.
    #[arg(long, alias = "shutdown-grace-ms", default_value = "10s",
          value_name = "DURATION", value_parser = units::timeout)]
    pub shutdown_grace: Duration,
}
