//! The description of the API, for machines and for people.

use std::collections::BTreeMap;
use std::future::{Ready, ready};

use axum::http::HeaderValue;
use axum::response::Redirect;
use parking_lot::Mutex;

use super::super::base_path::BasePath;
use super::web::{File, PAGE, SCRIPT, STYLE};

/// The page loads and asks its own origin only. Its icon is a data URL.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The page that shows the document.
pub(in crate::http) static INDEX: File =
    File::with_policy(include_str!("../../../web/docs/index.html"), PAGE, Some(POLICY));
/// Its script.
pub(in crate::http) static SHOW: File =
    File::new(include_str!("../../../web/dist/docs/docs.js"), SCRIPT);
/// Its style sheet.
pub(in crate::http) static LOOK: File =
    File::new(include_str!("../../../web/dist/docs/docs.css"), STYLE);

/// The OpenAPI documents by base path. A process has one.
static DOCUMENTS: Mutex<BTreeMap<BasePath, &'static File>> = Mutex::new(BTreeMap::new());

/// The OpenAPI document as a file. It is made once and lives as long as the process.
pub(in crate::http) fn document(base: &BasePath, text: impl Fn() -> String) -> &'static File {
    let mut documents = DOCUMENTS.lock();
    documents.entry(base.clone()).or_insert_with(|| {
        let kind = HeaderValue::from_static("application/json");
        Box::leak(Box::new(File::new(text().leak(), kind)))
    })
}

/// A person who opens the service in a browser wants to know what it is.
pub(in crate::http) fn root(
    base: &BasePath,
) -> impl Fn() -> Ready<Redirect> + Clone + Send + Sync + use<> {
    let page = base.join("/docs/");
    move || ready(Redirect::temporary(&page))
}

/// The page's files are relative to `/docs/`, so the address needs the slash.
pub(in crate::http) async fn index() -> Redirect {
    Redirect::permanent("docs/")
}
