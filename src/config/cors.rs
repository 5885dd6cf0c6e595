//! `[cors]`: which web pages may call from browsers.

use clap::Args;

use crate::http::Origin;

/// Which web pages may call from browsers.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "cors")]
pub struct CorsConfig {
    /// An origin whose pages may call from browsers, such as `https://forum.example`; repeat it, or
    /// separate origins by commas [default: only pages of the service's own origin]
    ///
    /// Never `*`: it would let every page that anybody opens tap for them.
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    pub cors_origin: Vec<Origin>,
}
