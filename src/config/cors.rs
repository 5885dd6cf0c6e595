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
    /// `*` is not allowed: with it, every web page could tap in the name of the person who opens
    /// it.
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    pub cors_origin: Vec<Origin>,
}
