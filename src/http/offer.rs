//! The answer to `GET /v1/palettes`. The palettes change with a reload only, so onetap encodes the
//! answer once.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::HeaderValue;
use uuid::Uuid;

use super::dto::PalettesAnswer;
use crate::domain::Palettes;

/// The palettes as JSON, and the ETag of this JSON.
#[derive(Debug)]
pub(super) struct Offer {
    palettes: Arc<Palettes>,
    pub(super) body: Bytes,
    pub(super) tag: HeaderValue,
}

impl Offer {
    /// Encodes the palettes.
    pub(super) fn new(palettes: Arc<Palettes>) -> Self {
        let body = serde_json::to_vec(&PalettesAnswer::new(&palettes));
        let body = body.expect("they are plain data");
        let tag = format!("\"{}\"", Uuid::new_v5(&Uuid::NAMESPACE_OID, &body).simple());
        let tag = HeaderValue::try_from(tag).expect("hex digits in quotes");
        Self { palettes, body: body.into(), tag }
    }

    /// Whether these are its palettes.
    pub(super) fn is_of(&self, palettes: &Arc<Palettes>) -> bool {
        Arc::ptr_eq(&self.palettes, palettes)
    }
}
