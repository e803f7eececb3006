//! `POST /v1/embeddings`.

use axum::Json;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use longtrainer::{Embedded, EmbeddingInput};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::asking::bot_named;
use super::body::{Fields, OpenAiBody};
use super::description::{NoModel, Refused, UnknownModel};
use super::error::OpenAiError;
use super::one_or_many::TextsOrTokens;
use crate::api_error::ApiError;
use crate::scoped::Scoped;

/// Most texts of a request, as with OpenAI.
const MOST: usize = 2048;

/// Texts to embed. See <https://platform.openai.com/docs/api-reference/embeddings/create>.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EmbeddingRequest {
    /// A model.
    #[schema(example = "all-MiniLM-L6-v2")]
    model: String,
    /// A text, several texts, or the same as tokens.
    #[schema(value_type = Value, example = "Who keeps the lighthouse?")]
    input: TextsOrTokens,
    /// Whether the vectors are lists of numbers or text.
    #[serde(default)]
    encoding_format: Encoding,
    /// How long the vectors must be, which is up to the model.
    dimensions: Option<usize>,
    /// Ours: whether texts that are longer than the model looks at are cut instead of refused.
    #[serde(default)]
    truncate: bool,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Float,
    /// Of 32-bit floats, the least byte first.
    Base64,
}

impl Fields for EmbeddingRequest {
    const HARMLESS: &'static [&'static str] = &["user"];
    const SAMPLES: bool = false;
}

/// Texts as vectors, in the order of the texts.
#[derive(Serialize, ToSchema)]
pub(super) struct EmbeddingList {
    /// Always `list`.
    object: &'static str,
    /// The vectors.
    data: Vec<Entry>,
    /// The model.
    model: String,
    /// What it cost.
    #[schema(value_type = Object)]
    usage: Value,
}

/// A text as a vector.
#[derive(Serialize, ToSchema)]
#[schema(as = Embedding)]
struct Entry {
    /// Always `embedding`.
    object: &'static str,
    /// Which text, from 0.
    index: usize,
    /// The vector.
    embedding: Vector,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EmbeddingVector)]
#[serde(untagged)]
enum Vector {
    Floats(Vec<f32>),
    Base64(String),
}

/// Embeds texts
#[utoipa::path(
    post,
    path = "/v1/embeddings",
    operation_id = "create_embeddings",
    tag = "openai",
    request_body = EmbeddingRequest,
    responses(
        (status = 200, description = "The vectors", body = EmbeddingList),
        Refused,
        UnknownModel,
        NoModel,
    ),
)]
pub(super) async fn create(
    Scoped(state): Scoped,
    body: OpenAiBody<EmbeddingRequest>,
) -> Result<Json<EmbeddingList>, OpenAiError> {
    let request = body.fields;
    if bot_named(&request.model).is_some() {
        let message = "model: a bot answers and does not embed; name an embedding model";
        return Err(OpenAiError::field("model", message));
    }
    let input = checked(request.input)?;
    let model = request.model.clone();
    let embedded = state
        .call(move |trainer| {
            let embedded = trainer.embed(&model, input, request.truncate);
            Ok::<_, ApiError>(embedded.map_err(in_openais_words))
        })
        .await??;
    check_dimensions(&embedded, request.dimensions)?;
    Ok(Json(EmbeddingList {
        object: "list",
        model: request.model,
        usage: json!({"prompt_tokens": embedded.tokens, "total_tokens": embedded.tokens}),
        data: entries(embedded.vectors, request.encoding_format),
    }))
}

/// Texts or tokens, at least one of them and none of them empty.
fn checked(input: TextsOrTokens) -> Result<EmbeddingInput, OpenAiError> {
    let (number, has_empty, input) = match input {
        TextsOrTokens::Text(text) => (1, text.is_empty(), EmbeddingInput::Texts(vec![text])),
        TextsOrTokens::Texts(texts) => {
            let has_empty = texts.iter().any(String::is_empty);
            (texts.len(), has_empty, EmbeddingInput::Texts(texts))
        }
        TextsOrTokens::Tokens(tokens) => {
            let has_empty = tokens.is_empty();
            (1, has_empty, EmbeddingInput::Tokens(vec![tokens]))
        }
        TextsOrTokens::ManyTokens(texts) => {
            let has_empty = texts.iter().any(Vec::is_empty);
            (texts.len(), has_empty, EmbeddingInput::Tokens(texts))
        }
    };
    let problem = match number {
        0 => "there must be at least one text".to_owned(),
        _ if has_empty => "a text is empty".to_owned(),
        number if number > MOST => format!("{number} texts, but at most {MOST} are taken"),
        _ => return Ok(input),
    };
    Err(OpenAiError::field("input", format!("input: {problem}")))
}

/// Clients that send tokens mostly send those of OpenAI's models, which would be other words here.
fn in_openais_words(error: longtrainer::Error) -> OpenAiError {
    use longtrainer::{Error, InferenceError};
    match &error {
        Error::Inference(InferenceError::InvalidRequest {
            field: "tokens", ..
        }) => {
            let message = format!(
                "input: {error}. Send texts instead; LangChain does so with \
                 check_embedding_ctx_length=False"
            );
            OpenAiError::field("input", message)
        }
        _ => error.into(),
    }
}

fn check_dimensions(embedded: &Embedded, asked: Option<usize>) -> Result<(), OpenAiError> {
    let dimension = embedded.vectors.first().map(Vec::len);
    match (asked, dimension) {
        (Some(asked), Some(dimension)) if asked != dimension => {
            let message = format!(
                "dimensions: this model's vectors have {dimension}, and cannot have {asked}"
            );
            Err(OpenAiError::unsupported("dimensions", message))
        }
        _ => Ok(()),
    }
}

fn entries(vectors: Vec<Vec<f32>>, encoding: Encoding) -> Vec<Entry> {
    let entry = |(index, vector): (usize, Vec<f32>)| Entry {
        object: "embedding",
        index,
        embedding: match encoding {
            Encoding::Float => Vector::Floats(vector),
            Encoding::Base64 => {
                let bytes: Vec<u8> = vector.iter().flat_map(|one| one.to_le_bytes()).collect();
                Vector::Base64(STANDARD.encode(bytes))
            }
        },
    };
    vectors.into_iter().enumerate().map(entry).collect()
}
