//! Bodies of requests: what is harmless is taken out, what asks how tokens are chosen goes aside, and
//! what then is not known is refused by name.

use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::OpenAiError;
use super::harmless;
use super::sampling::SamplingFields;
use crate::body::JsonBody;

/// The body of one route.
pub(super) trait Fields: DeserializeOwned {
    /// Fields of [`harmless`] that OpenAI has on this route.
    const HARMLESS: &'static [&'static str];
    /// Whether it takes the fields of [`SamplingFields`], and which of OpenAI's it lacks.
    const SAMPLES: bool = true;
}

/// A checked body.
pub(super) struct OpenAiBody<T> {
    pub(super) fields: T,
    pub(super) sampling: SamplingFields,
}

impl<S: Sync, T: Fields> FromRequest<S> for OpenAiBody<T> {
    type Rejection = OpenAiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, OpenAiError> {
        let JsonBody(mut members) =
            JsonBody::<Map<String, Value>>::from_request(request, state).await?;
        forget_nulls(&mut members);
        harmless::take(&mut members, T::HARMLESS)?;
        let mut sampling = Map::new();
        if T::SAMPLES {
            for name in SamplingFields::NAMES {
                if let Some(value) = members.remove(*name) {
                    sampling.insert((*name).to_owned(), value);
                }
            }
        }
        Ok(Self {
            sampling: read(sampling)?,
            fields: read(members)?,
        })
    }
}

/// OpenAI's clients send `null` for what is not set, in bodies and in the messages that they got from a
/// server.
fn forget_nulls(members: &mut Map<String, Value>) {
    members.retain(|_, value| !value.is_null());
    for list in ["messages", "input"] {
        let Some(Value::Array(items)) = members.get_mut(list) else {
            continue;
        };
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            item.retain(|_, value| !value.is_null());
        }
    }
}

fn read<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, OpenAiError> {
    serde_path_to_error::deserialize(Value::Object(members)).map_err(|error| {
        let path = error.path().to_string();
        let told = error.into_inner().to_string();
        let named = told.strip_prefix("unknown field `");
        match named.and_then(|rest| rest.split('`').next()) {
            Some(field) => {
                let param = place(&path, field);
                let message =
                    format!("{param}: this server does not know or honour this field here");
                OpenAiError::field(param, message).coded("unknown_parameter")
            }
            None if path == "." => OpenAiError::new(axum::http::StatusCode::BAD_REQUEST, told),
            None => OpenAiError::field(path.clone(), format!("{path}: {told}")),
        }
    })
}

/// Where a field is; what reads the body may name it already, or only what is around it.
fn place(path: &str, field: &str) -> String {
    match path {
        "." | "" => field.to_owned(),
        path if path == field || path.ends_with(&format!(".{field}")) => path.to_owned(),
        path => format!("{path}.{field}"),
    }
}
