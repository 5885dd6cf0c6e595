//! Whether a server is still a primary, asked beside what its connection is for. A server that is
//! made a replica refuses writes, but goes on answering reads, soon with the data of another.

use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use tokio::time::sleep;

use super::server_checks;

/// How often it is asked: reads of a demoted server are passed on for little longer.
const PERIOD: Duration = Duration::from_secs(1);

/// Why the connection to a server that was demoted is of no more use.
pub(crate) const DEMOTED: &str = "it has become a replica";

/// Calls `demoted` once the server says that it is a primary no more. One that does not answer has
/// said nothing: then the calls on the connection come to nothing either.
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
