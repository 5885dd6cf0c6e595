//! The page of the demo and its files, embedded in the binary.

use axum::http::HeaderValue;
use axum::response::Redirect;

use crate::http::web::{File, PAGE, SCRIPT, STYLE};

/// The demo's page loads scripts, styles and images from its own origin only (images also from data
/// URLs), and connects nowhere else.
const DEMO_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The page.
pub(super) static PAGE_OF_DEMO: File =
    File::with_policy(include_str!("../../web/demo/index.html"), PAGE, Some(DEMO_POLICY));
/// The script of the page.
pub(super) static SCRIPT_OF_DEMO: File =
    File::new(include_str!("../../web/dist/demo/demo.js"), SCRIPT);
/// The script of the phones and of the forum.
pub(super) static PHONES: File = File::new(include_str!("../../web/dist/demo/phones.js"), SCRIPT);
/// The style sheet of the page.
pub(super) static STYLE_OF_DEMO: File =
    File::new(include_str!("../../web/dist/demo/demo.css"), STYLE);

/// The page's files are relative to `/demo`, so its address has no slash at the end.
pub(super) async fn with_slash() -> Redirect {
    Redirect::permanent("../demo")
}
