//! What the service says of its rules: the palette of new posts, and why it refused a tap.

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Client, ClientError};
use crate::history::{FIELDS, Limit, Palette};

#[derive(Deserialize)]
struct PalettesAnswer {
    palettes: Palettes,
}

#[derive(Deserialize)]
struct Palettes {
    default: Map<String, Value>,
}

impl Client {
    /// The palette of posts without rules; None if the service has no such call, as before it had
    /// palettes.
    ///
    /// # Errors
    ///
    /// If there is no answer, or if it is not a palette.
    pub async fn palette(&mut self) -> Result<Option<Palette>, ClientError> {
        let answer = self.ask::<PalettesAnswer>(Method::GET, "/v1/palettes", None).await;
        let mut told = match answer {
            Ok((answer, _)) => answer.palettes.default,
            Err(ClientError::Status(StatusCode::NOT_FOUND, _)) => return Ok(None),
            Err(error) => return Err(error),
        };
        told.retain(|name, _| FIELDS.contains(&name.as_str()));
        let text = Value::Object(told);
        let palette = Palette::deserialize(&text);
        palette.map(Some).map_err(|error| ClientError::Unreadable(text.to_string(), error))
    }
}

impl ClientError {
    /// The rule of the post that refused the tap, if one did.
    pub fn limit(&self) -> Option<Limit> {
        let Self::Status(StatusCode::FORBIDDEN | StatusCode::UNPROCESSABLE_ENTITY, text) = self
        else {
            return None;
        };
        let mut problem: Value = serde_json::from_str(text).ok()?;
        serde_json::from_value(problem["code"].take()).ok()
    }
}
