//! Asks a server, beside the traffic of its connection, whether it is still a primary. A server
//! that becomes a replica refuses writes but still answers reads, soon with the data of another
//! server.

use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use tokio::time::sleep;

use super::server_checks;

/// The period between two questions: it bounds how long onetap passes on the reads of a demoted
/// server.
const PERIOD: Duration = Duration::from_secs(1);

/// Why onetap stops using the connection to a demoted server.
pub(crate) const DEMOTED: &str = "it has become a replica";

/// Calls `demoted` once the server says that it is not a primary any more. A server that does not
/// answer has said nothing; the calls on the connection then fail anyway.
pub(crate) async fn watch(mut connection: MultiplexedConnection, demoted: impl FnOnce()) {
    loop {
        sleep(PERIOD).await;
        if server_checks::role(&mut connection)
            .await
            .is_ok_and(|role| role != server_checks::PRIMARY)
        {
            return demoted();
        }
    }
}
