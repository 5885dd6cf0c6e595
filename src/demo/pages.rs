//! The demo page and its files, in the binary.

use axum::http::HeaderValue;
use axum::response::Redirect;

use crate::http::web::{File, PAGE, SCRIPT, STYLE};

/// The demo loads nothing from elsewhere, runs no script but its own and sends nothing elsewhere.
const DEMO_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The demo.
pub(super) static PAGE_OF_DEMO: File =
    File::with_policy(include_str!("../../web/demo/index.html"), PAGE, Some(DEMO_POLICY));
/// What the demo does.
pub(super) static SCRIPT_OF_DEMO: File = File::new(include_str!("../../web/demo/demo.js"), SCRIPT);
/// The phones and the forum of the demo.
pub(super) static PHONES: File = File::new(include_str!("../../web/demo/phones.js"), SCRIPT);
/// How the demo looks.
pub(super) static STYLE_OF_DEMO: File = File::new(include_str!("../../web/demo/demo.css"), STYLE);

/// The demo has no slash behind it: its files are named from beside it.
pub(super) async fn with_slash() -> Redirect {
    Redirect::permanent("../demo")
}
