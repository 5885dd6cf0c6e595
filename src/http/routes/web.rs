//! What browsers load: the client and its element, all of it in the binary; and how a file is
//! served.

use std::future::{Ready, ready};
use std::io::Write as _;
use std::sync::OnceLock;

use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use uuid::Uuid;

use super::summaries::is_held;

pub(crate) const SCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
pub(crate) const STYLE: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
pub(crate) const PAGE: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
// No type is registered for TypeScript; people open it, compilers read it from the disk.
const TYPES: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// A file that is served.
pub(crate) struct File {
    text: &'static str,
    kind: HeaderValue,
    policy: Option<HeaderValue>,
    packed: OnceLock<Packed>,
}

/// What is made of a file once.
struct Packed {
    gzip: Vec<u8>,
    tag: String,
}

/// A file as `web/build.mjs` has built it.
macro_rules! built {
    ($name:literal, $kind:expr) => {
        File::new(include_str!(concat!("../../../web/dist/", $name)), $kind)
    };
}

/// The client.
pub(in crate::http) static CLIENT: File = built!("onetap.js", SCRIPT);
/// What judges a tap by the palettes. The client loads it when a page asks for them.
pub(in crate::http) static CLIENT_PALETTES: File = built!("onetap-palettes.js", SCRIPT);
/// Its types.
pub(in crate::http) static CLIENT_TYPES: File = built!("onetap.d.ts", TYPES);
/// The element.
pub(in crate::http) static BAR: File = built!("onetap-bar.js", SCRIPT);
/// Its card of names, loaded when it is first touched.
pub(in crate::http) static BAR_CARD: File = built!("onetap-card.js", SCRIPT);
/// Its list of who reacted.
pub(in crate::http) static BAR_DIALOG: File = built!("onetap-dialog.js", SCRIPT);
/// The images of reactions that a page has.
pub(in crate::http) static BAR_IMAGES: File = built!("onetap-images.js", SCRIPT);
/// Its picker.
pub(in crate::http) static BAR_PICKER: File = built!("onetap-picker.js", SCRIPT);
/// Its types.
pub(in crate::http) static BAR_TYPES: File = built!("onetap-bar.d.ts", TYPES);
/// How its children look before it is there.
pub(in crate::http) static BAR_STYLE: File = built!("onetap-bar.css", STYLE);

/// Answers with the file.
pub(crate) fn file(
    file: &'static File,
) -> impl Fn(HeaderMap) -> Ready<Response> + Clone + Send + Sync + 'static {
    move |headers| ready(file.answer(&headers))
}

impl File {
    pub(crate) const fn new(text: &'static str, kind: HeaderValue) -> Self {
        Self::with_policy(text, kind, None)
    }

    pub(crate) const fn with_policy(
        text: &'static str,
        kind: HeaderValue,
        policy: Option<HeaderValue>,
    ) -> Self {
        Self { text, kind, policy, packed: OnceLock::new() }
    }

    fn packed(&self) -> &Packed {
        self.packed.get_or_init(|| {
            let bytes = self.text.as_bytes();
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            let gzip = encoder.write_all(bytes).and_then(|()| encoder.finish());
            let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, bytes).simple();
            Packed { gzip: gzip.expect("memory takes every byte"), tag: hash.to_string() }
        })
    }

    fn answer(&'static self, headers: &HeaderMap) -> Response {
        let packed = self.packed();
        let gzip = takes_gzip(headers);
        // Other bytes, another tag.
        let tag = format!("\"{}{}\"", packed.tag, if gzip { "-gzip" } else { "" });
        let mut response = if is_held(headers, &tag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else if gzip {
            packed.gzip.as_slice().into_response()
        } else {
            self.text.into_response()
        };
        let whole = response.status() == StatusCode::OK;
        let headers = response.headers_mut();
        if whole {
            headers.insert(CONTENT_TYPE, self.kind.clone());
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            if gzip {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
        }
        if let Some(policy) = &self.policy {
            headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
            // For browsers that do not know `frame-ancestors`.
            headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
            headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        }
        if let Ok(tag) = HeaderValue::try_from(tag) {
            headers.insert(ETAG, tag);
        }
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        // Asked for anew each time, and answered 304: page and script are of one release.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }
}

/// Whether Accept-Encoding names gzip, and not to refuse it.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let refused =
            parts.filter_map(|part| part.strip_prefix("q=")).any(|q| q.parse() == Ok(0.0));
        named && !refused
    })
}
