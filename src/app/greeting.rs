//! The first lines that the service prints.

use std::net::SocketAddr;

use super::say;
use crate::config::Config;

const EXAMPLE_POST: &str = "0192f0c1-2345-7890-abcd-ef0123456789";

/// Says where the service listens, in one write. A Unix socket has no address.
pub(super) fn greet(address: Option<SocketAddr>, admin: Option<SocketAddr>, config: &Config) {
    let mut text = match address {
        None => format!("Listening on {}\n", config.listen),
        Some(address) => {
            let token = if config.auth.is_some() { " -H 'Authorization: Bearer KEY'" } else { "" };
            let at = format!("http://{address}{}", config.base_path.join(""));
            format!(
                "Listening on http://{address}\n\
                 Try: curl -w '\\n' -X PUT{token} \
                 {at}/v1/posts/{EXAMPLE_POST}/reactions/like/users/42\n\
                 Docs: {at}/docs\n"
            )
        }
    };
    if let (true, Some(address)) = (config.demo, address) {
        text += &format!("Demo: http://{address}{}\n", config.base_path.join("/demo"));
    }
    match (&config.admin_listen, admin) {
        (_, Some(address)) => {
            text += &format!("Metrics: http://{address}{}\n", config.base_path.join("/metrics"));
        }
        (Some(listen), None) => text += &format!("Metrics: {listen}\n"),
        (None, None) => {}
    }
    // A full disk must not end the service.
    let _ = say(&text);
}
