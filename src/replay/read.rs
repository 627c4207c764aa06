//! `run.json` read again. It may come from anywhere, so its size is bounded and whatever it is not is
//! said.

use serde_json::Value as Json;

use super::{Bundle, KIND, SCHEMA_VERSION};

/// Largest file that is read, in bytes.
pub const LARGEST: u64 = 64 << 20;

/// Why a text is no bundle that can be replayed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Its end is missing.
    #[error("it ends in the middle, at line {0}: it was cut off")]
    Truncated(usize),
    /// It is no JSON.
    #[error("it is not JSON: {0}")]
    NotJson(String),
    /// It is something else.
    #[error("it is JSON, but not what a run of envrun writes: `kind` is not `{KIND}`")]
    NotABundle,
    /// Another version wrote it.
    #[error("it has version {found} of the format, and this envrun reads version {SCHEMA_VERSION}{}", .by.as_deref().map(|by| format!("; envrun {by} wrote it")).unwrap_or_default())]
    Version {
        /// Its version, as it says it.
        found: String,
        /// Version of the envrun that wrote it, if it says so.
        by: Option<String>,
    },
    /// A field is missing or is not what it should be.
    #[error("it is not complete: {0}")]
    Shape(String),
}

/// Reads a bundle.
///
/// # Errors
/// It is none, or one of another version.
pub fn read(text: &[u8]) -> Result<Bundle, ReadError> {
    let json: Json = serde_json::from_slice(text).map_err(|error| match error.is_eof() {
        true => ReadError::Truncated(error.line()),
        false => ReadError::NotJson(error.to_string()),
    })?;
    if json.get("kind").and_then(Json::as_str) != Some(KIND) {
        return Err(ReadError::NotABundle);
    }
    let version = json.get("schema").cloned().unwrap_or_default();
    if version.as_u64() != Some(u64::from(SCHEMA_VERSION)) {
        return Err(ReadError::Version {
            found: version.to_string(),
            by: json.get("envrun").and_then(Json::as_str).map(str::to_owned),
        });
    }
    let bundle: Bundle =
        serde_json::from_value(json).map_err(|error| ReadError::Shape(error.to_string()))?;
    match bundle
        .project
        .model
        .get("services")
        .and_then(Json::as_object)
    {
        Some(services) if !services.is_empty() => Ok(bundle),
        _ => Err(ReadError::Shape("its model has no services".to_owned())),
    }
}
