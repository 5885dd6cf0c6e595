//! The answer to `GET /v1/palettes`. The palettes never change while the service runs, so onetap
//! encodes the answer once.

use axum::body::Bytes;
use axum::http::HeaderValue;
use uuid::Uuid;

use super::dto::PalettesAnswer;
use crate::domain::Palettes;

/// The palettes as JSON, and the ETag of this JSON.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) body: Bytes,
    pub(super) tag: HeaderValue,
}

impl Offer {
    /// Encodes the palettes.
    pub(super) fn new(palettes: &Palettes) -> Self {
        let body = serde_json::to_vec(&PalettesAnswer::new(palettes)).expect("they are plain data");
        let tag = format!("\"{}\"", Uuid::new_v5(&Uuid::NAMESPACE_OID, &body).simple());
        Self { body: body.into(), tag: HeaderValue::try_from(tag).expect("hex digits in quotes") }
    }
}
