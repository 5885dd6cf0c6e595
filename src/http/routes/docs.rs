//! The description of the API, for machines and for people.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use axum::body::{Body, Bytes};
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, State};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::response::{IntoResponse, Redirect, Response};
use utoipa_swagger_ui::{Config, SwaggerFile};

use super::super::problem::Problem;
use super::super::state::Reactions;

static CONFIG: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::from("/openapi.json")));

/// The OpenAPI document.
pub(in crate::http) async fn document(text: &'static LazyLock<Bytes>) -> Response {
    ([(CONTENT_TYPE, "application/json")], Bytes::clone(text)).into_response()
}

/// A person who opens the service in a browser wants to know what it is.
pub(in crate::http) async fn root() -> Redirect {
    Redirect::temporary("/docs/")
}

/// The page's files are relative to `/docs/`, so the address needs the slash.
pub(in crate::http) async fn index() -> Redirect {
    Redirect::permanent("/docs/")
}

/// The page that shows the document, and its files. The binary contains them.
pub(in crate::http) async fn page(
    State(reactions): State<Arc<Reactions>>,
    params: Result<RawPathParams, RawPathParamsRejection>,
) -> Result<Response, Problem> {
    let params = params.map_err(|_| Problem::not_found())?;
    let file = params.iter().next().map_or("", |(_, file)| file);
    let found =
        utoipa_swagger_ui::serve(file, Arc::clone(&CONFIG)).map_err(|_| Problem::not_found())?;
    let SwaggerFile { bytes, content_type, gzpipped, .. } = found.ok_or_else(Problem::not_found)?;
    let kind = HeaderValue::try_from(content_type).map_err(|_| Problem::not_found())?;
    let mut response = match bytes {
        Cow::Borrowed(bytes) => ([(CONTENT_TYPE, kind)], Body::from(bytes)).into_response(),
        Cow::Owned(bytes) => reactions.answers.answer(kind, bytes).await?,
    };
    if gzpipped {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}
