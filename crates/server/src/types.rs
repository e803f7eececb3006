//! The JSON bodies of requests and answers. Names are the documented ones; what is ours beside
//! them only adds. A request's unknown fields are refused, so that a misspelt one is not ignored.

use std::path::PathBuf;
use std::time::Duration;

use longtrainer::{
    AddReport, Answer, BotOptions, BotRecord, BuildReport, DocumentRecord, DocumentSummary,
    FinishReason, HistoryUse, Metadata, ResponseOptions, Retrieval, RetrievalUse,
    RetrievedDocument, TrainReport, TurnRecord, UploadedFile, Usage,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::api_error::ApiError;
use crate::request_id;
use crate::stream::Form;

/// Why a request is not answered.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// The reason, for a person.
    #[schema(example = "there is no bot \"bot-6a9f0c3e-0000-4000-8000-000000000000\"")]
    detail: String,
    /// The id of the request, under which the server's log has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl ErrorBody {
    pub(crate) fn new(detail: String) -> Self {
        Self {
            detail,
            request_id: request_id::current(),
        }
    }
}

/// The server runs.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`.
    #[schema(example = "ok")]
    pub(crate) status: &'static str,
    /// The server's version.
    pub(crate) version: &'static str,
}

/// Whether the server is ready for questions.
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// `ready` or `not ready`.
    #[schema(example = "ready")]
    pub(crate) status: &'static str,
    /// Why it is not.
    pub(crate) reasons: Vec<String>,
}

/// The body of a route that takes none.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoFields {}

/// Something was done to what is named; the ids stand beside it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Done<I> {
    /// `ok` or `deleted`.
    #[schema(example = "ok")]
    pub(crate) status: &'static str,
    #[serde(flatten)]
    pub(crate) ids: I,
}

/// Names a bot.
#[derive(Serialize, ToSchema)]
pub(crate) struct OfBot {
    /// The bot.
    #[schema(example = "bot-6a9f0c3e-4f0e-4b7e-9d5b-0b8f8a2f1c11")]
    pub(crate) bot_id: String,
}

/// Names a chat.
#[derive(Serialize, ToSchema)]
pub(crate) struct OfChat {
    /// The chat.
    #[schema(example = "chat-6a9f0c3e-4f0e-4b7e-9d5b-0b8f8a2f1c11")]
    pub(crate) chat_id: String,
}

/// Names a vision chat.
#[derive(Serialize, ToSchema)]
pub(crate) struct OfVisionChat {
    /// The vision chat.
    #[schema(example = "vision-6a9f0c3e-4f0e-4b7e-9d5b-0b8f8a2f1c11")]
    pub(crate) vision_chat_id: String,
}

/// Names a document of a bot.
#[derive(Serialize, ToSchema)]
pub(crate) struct OfDocument {
    /// The bot.
    #[schema(example = "bot-6a9f0c3e-4f0e-4b7e-9d5b-0b8f8a2f1c11")]
    pub(crate) bot_id: String,
    /// The document.
    pub(crate) document_id: u64,
    /// Chunks that went with it.
    pub(crate) chunks: usize,
}

/// All bots, oldest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct BotList {
    /// The bots.
    pub(crate) bots: Vec<BotRecord>,
}

/// Settings to change with a build; what is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BuildRequest {
    /// System prompt with a `{context}` placeholder.
    #[schema(example = "Answer from this context: {context}")]
    prompt_template: Option<String>,
    /// Not in this version: `true` is answered with 501.
    agent_mode: Option<bool>,
    /// Not in this version: a tool is answered with 501.
    tools: Option<Vec<Value>>,
    /// Passages per retrieval, from 1 to 1000.
    #[schema(minimum = 1, maximum = 1000, example = 3)]
    num_k: Option<usize>,
    /// Whether a question is also searched for in other words.
    ensemble: Option<bool>,
    /// Most characters of a chunk.
    #[schema(example = 2048)]
    chunk_size: Option<usize>,
    /// Characters that neighbouring chunks share.
    #[schema(example = 200)]
    chunk_overlap: Option<usize>,
}

impl BuildRequest {
    pub(crate) fn into_options(self) -> Result<BotOptions, ApiError> {
        if self.agent_mode == Some(true) {
            return Err(ApiError::not_implemented(
                "agent_mode: this version has no agents",
            ));
        }
        if self.tools.is_some_and(|tools| !tools.is_empty()) {
            return Err(ApiError::not_implemented(
                "tools: this version has no tools",
            ));
        }
        Ok(BotOptions {
            prompt_template: self.prompt_template,
            num_k: self.num_k,
            ensemble: self.ensemble,
            chunk_size: self.chunk_size,
            chunk_overlap: self.chunk_overlap,
            ..BotOptions::default()
        })
    }
}

/// What a build did.
#[derive(Serialize, ToSchema)]
pub(crate) struct Built {
    /// Always `ok`.
    status: &'static str,
    /// The bot.
    bot_id: String,
    /// Documents made searchable by this build.
    documents: usize,
    /// Their chunks.
    chunks: usize,
    /// Documents that were searchable before.
    already_built: usize,
    /// How long it took, in milliseconds.
    elapsed_ms: f64,
}

impl Built {
    pub(crate) fn new(bot_id: String, report: &BuildReport) -> Self {
        Self {
            status: "ok",
            bot_id,
            documents: report.documents,
            chunks: report.chunks,
            already_built: report.already_built,
            elapsed_ms: milliseconds(report.elapsed),
        }
    }
}

/// A bot's new system prompt.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PromptRequest {
    /// System prompt with a `{context}` placeholder.
    #[schema(example = "Answer from this context: {context}")]
    pub(crate) prompt_template: String,
}

/// A file of this machine.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PathRequest {
    /// Its path, in a directory that the operator allowed.
    #[schema(value_type = String, example = "/srv/documents/report.pdf")]
    pub(crate) path: PathBuf,
    /// Not in this version: `true` is answered with 501.
    #[serde(default)]
    use_unstructured: bool,
    /// Whether the job also builds the bot.
    #[serde(default)]
    pub(crate) build: bool,
}

impl PathRequest {
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        match self.use_unstructured {
            true => Err(ApiError::not_implemented(
                "use_unstructured: the formats are read by this program's own loaders",
            )),
            false => Ok(()),
        }
    }
}

/// A bot's documents, in order of their ids.
#[derive(Serialize, ToSchema)]
pub(crate) struct DocumentList {
    /// The documents.
    pub(crate) documents: Vec<DocumentSummary>,
}

/// A document with its text.
#[derive(Serialize, ToSchema)]
pub(crate) struct DocumentBody {
    /// The document.
    document_id: u64,
    /// Its text.
    page_content: String,
    /// Where it came from: `source`, and for some formats `page` or `row`.
    #[schema(value_type = Object)]
    metadata: Metadata,
    /// When it was added.
    #[schema(format = DateTime)]
    added_at: String,
    /// Number of its chunks; `null` while it waits for the next build.
    chunks: Option<u64>,
}

impl From<DocumentRecord> for DocumentBody {
    fn from(document: DocumentRecord) -> Self {
        Self {
            document_id: document.document_id,
            page_content: document.page_content,
            metadata: document.metadata,
            added_at: document.added_at.to_string(),
            chunks: document.chunks.map(|span| span.count),
        }
    }
}

/// What was stored of what was to be added.
#[derive(Serialize, ToSchema)]
pub(crate) struct Added {
    /// Documents that are new.
    added: usize,
    /// Documents that the bot had before.
    already_there: usize,
}

impl From<AddReport> for Added {
    fn from(report: AddReport) -> Self {
        Self {
            added: report.added.len(),
            already_there: report.already_there,
        }
    }
}

/// A text in the place of another.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplaceRequest {
    /// The text.
    pub(crate) page_content: String,
    /// `None`: that of the document whose place it takes.
    #[schema(value_type = Option<Object>)]
    pub(crate) metadata: Option<Metadata>,
}

/// Names the document that took the place of another.
#[derive(Serialize, ToSchema)]
pub(crate) struct Replaced {
    /// The bot.
    #[schema(example = "bot-6a9f0c3e-4f0e-4b7e-9d5b-0b8f8a2f1c11")]
    pub(crate) bot_id: String,
    /// The id of the new document; ids are never used twice.
    pub(crate) document_id: Option<u64>,
    /// The document whose place it took.
    pub(crate) replaced: u64,
}

/// What to search for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchRequest {
    /// The text.
    #[schema(example = "Who keeps the lighthouse?")]
    pub(crate) query: String,
}

/// Passages, best first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Passages {
    /// The passages.
    documents: Vec<Passage>,
    /// What was searched for beside the query, if anything was.
    #[serde(skip_serializing_if = "is_default")]
    retrieval: RetrievalUse,
}

impl From<Retrieval> for Passages {
    fn from(found: Retrieval) -> Self {
        Self {
            documents: passages(found.documents),
            retrieval: found.retrieval,
        }
    }
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A passage found for a question.
#[derive(Serialize, ToSchema)]
pub(crate) struct Passage {
    /// Its text.
    content: String,
    /// Where its document came from: `source`, and for some formats `page` or `row`.
    #[schema(value_type = Object)]
    metadata: Metadata,
    /// Similarity to the question: greater is nearer.
    score: f32,
    /// Its document.
    document_id: u64,
    /// The chunk of the document.
    chunk_id: u64,
}

impl From<RetrievedDocument> for Passage {
    fn from(found: RetrievedDocument) -> Self {
        Self {
            content: found.page_content,
            metadata: found.metadata,
            score: found.score,
            document_id: found.document_id,
            chunk_id: found.chunk_id,
        }
    }
}

/// Passages as JSON has them.
pub(crate) fn passages(found: Vec<RetrievedDocument>) -> Vec<Passage> {
    found.into_iter().map(Passage::from).collect()
}

/// Which turn of a chat comes first.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum OrderName {
    #[default]
    Newest,
    Oldest,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderQuery {
    /// Which turn comes first.
    #[serde(default)]
    #[param(inline)]
    order: OrderName,
}

impl From<OrderQuery> for longtrainer::Order {
    fn from(query: OrderQuery) -> Self {
        match query.order {
            OrderName::Newest => Self::Newest,
            OrderName::Oldest => Self::Oldest,
        }
    }
}

/// The new name of a chat.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenameRequest {
    /// `null` takes the name away; it must be written, so that `{}` does not.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required, example = "Lighthouses")]
    pub(crate) title: Option<String>,
}

/// The turns of a chat.
#[derive(Serialize, ToSchema)]
pub(crate) struct Messages<M> {
    /// The turns, in the order asked for.
    pub(crate) messages: Vec<M>,
}

/// A stored turn with the documented ids.
#[derive(Serialize, ToSchema)]
pub(crate) struct Message {
    /// The bot.
    pub(crate) bot_id: String,
    /// The chat.
    pub(crate) chat_id: String,
    #[serde(flatten)]
    pub(crate) turn: TurnRecord,
}

/// A file whose text is sent along with a question. No file is read.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentFile {
    /// Its name.
    name: String,
    /// What kind of file it is, in the sender's words.
    #[serde(rename = "type")]
    kind: String,
    /// Where it came from.
    url: Option<String>,
    /// Its text.
    extracted_text: Option<String>,
}

impl From<SentFile> for UploadedFile {
    fn from(file: SentFile) -> Self {
        Self {
            name: file.name,
            kind: file.kind,
            url: file.url,
            extracted_text: file.extracted_text,
        }
    }
}

/// A question in a chat.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// The question.
    #[schema(example = "Who keeps the lighthouse?")]
    pub(crate) query: String,
    /// Whether the answer comes as chunks of plain text.
    #[serde(default)]
    pub(crate) stream: bool,
    /// Not in this version: `true` is answered with 501.
    #[serde(default)]
    web_search: bool,
    /// Files whose texts the answer may draw on.
    uploaded_files: Option<Vec<SentFile>>,
    /// A JSON Schema: the answer is then data that meet it.
    #[schema(value_type = Option<Object>)]
    schema: Option<Value>,
}

impl Question {
    /// Refuses what cannot be honoured. Chunks of plain text are the documented stream, which takes no
    /// schema: its reader would not learn whether the data are whole. Events tell.
    pub(crate) fn check(&self, form: Form) -> Result<(), ApiError> {
        if self.schema.is_some() && form == Form::PlainText {
            return Err(ApiError::unprocessable(
                "schema and stream cannot be used together; with Accept: text/event-stream they can",
            ));
        }
        check_web_search(self.web_search)
    }

    pub(crate) fn into_parts(self) -> (String, ResponseOptions) {
        let uploaded_files = sent_files(self.uploaded_files);
        (
            self.query,
            ResponseOptions {
                uploaded_files,
                schema: self.schema,
                ..ResponseOptions::default()
            },
        )
    }
}

pub(crate) fn check_web_search(wanted: bool) -> Result<(), ApiError> {
    match wanted {
        true => Err(ApiError::not_implemented(
            "web_search: this server does not search the web",
        )),
        false => Ok(()),
    }
}

pub(crate) fn sent_files(files: Option<Vec<SentFile>>) -> Vec<UploadedFile> {
    files
        .unwrap_or_default()
        .into_iter()
        .map(UploadedFile::from)
        .collect()
}

/// An answer in its documented forms: text, or data if a schema was sent.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum AnswerForm {
    /// Text.
    Text(String),
    /// Data, if a schema was sent.
    Data(StructuredAnswer),
}

/// An answer that is data, or why it is none.
#[derive(Serialize, ToSchema)]
struct StructuredAnswer {
    /// `success` or `partial_success`.
    status: &'static str,
    /// The data.
    data: Option<Value>,
    /// What the model said, if it is not what the schema asks for.
    raw_llm_output: Option<String>,
    /// Why there are no data.
    error: Option<String>,
}

/// The answer to a question with a schema that the model's text does not meet: the documented form.
// Said to have no other fields, so that a whole answer is not one of these, too.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnstructuredBody {
    /// Why there are no data, and what the model said instead.
    answer: StructuredAnswer,
    /// Always empty.
    #[schema(value_type = Vec<String>)]
    web_sources: [String; 0],
}

impl UnstructuredBody {
    pub(crate) fn new(raw_output: String, error: String) -> Self {
        let answer = StructuredAnswer {
            status: "partial_success",
            data: None,
            raw_llm_output: Some(raw_output),
            error: Some(error),
        };
        Self {
            answer,
            web_sources: [],
        }
    }
}

/// A whole answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct AnswerBody {
    /// The answer: text, or data if a schema was sent.
    answer: AnswerForm,
    /// Links from a web search.
    web_sources: Vec<String>,
    /// The passages that the model was given, best first.
    sources: Vec<Passage>,
    /// What was searched for beside the question.
    retrieval: RetrievalUse,
    /// What the answer cost.
    usage: UsageBody,
    /// What the model saw of the chat.
    history: HistoryUse,
    /// Why the answer ends: `stop`, or `length` if it was cut off.
    #[schema(example = "stop")]
    finish_reason: &'static str,
    /// Its place in the chat, from 0.
    turn: u64,
}

impl From<Answer> for AnswerBody {
    fn from(answer: Answer) -> Self {
        let form = match answer.data {
            None => AnswerForm::Text(answer.text),
            data => AnswerForm::Data(StructuredAnswer {
                status: "success",
                data,
                raw_llm_output: None,
                error: None,
            }),
        };
        Self {
            answer: form,
            web_sources: answer.web_sources,
            sources: passages(answer.sources),
            retrieval: answer.retrieval,
            usage: answer.usage.into(),
            history: answer.history,
            finish_reason: finish_reason(answer.finish_reason),
            turn: answer.turn,
        }
    }
}

/// An answer, or why it is not the data that were asked for.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum WholeAnswer {
    /// The answer.
    Answer(AnswerBody),
    /// What the model said instead of data.
    Unstructured(UnstructuredBody),
}

/// Why an answer ends, in one word.
pub(crate) fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
    }
}

/// What an answer cost.
#[derive(Serialize, ToSchema)]
pub(crate) struct UsageBody {
    /// Tokens of the prompt.
    prompt_tokens: usize,
    /// Tokens of the answer.
    completion_tokens: usize,
    /// Both together.
    total_tokens: usize,
    /// From the question to the first token, in milliseconds.
    time_to_first_token_ms: f64,
    /// From the first token to the last, in milliseconds.
    decode_time_ms: f64,
}

impl From<Usage> for UsageBody {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            total_tokens: usage.prompt_tokens + usage.completion_tokens,
            time_to_first_token_ms: milliseconds(usage.time_to_first_token),
            decode_time_ms: milliseconds(usage.decode_time),
        }
    }
}

/// To a thousandth.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// The first event of a stream.
#[derive(Serialize, ToSchema)]
pub(crate) struct SourcesEvent {
    /// The passages that the model is given, best first.
    pub(crate) sources: Vec<Passage>,
}

/// Why a stream ends before its answer does.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorEvent {
    #[serde(flatten)]
    error: ErrorBody,
    /// The status that the same would have had before the stream began.
    status: u16,
}

impl From<&ApiError> for ErrorEvent {
    fn from(error: &ApiError) -> Self {
        Self {
            error: ErrorBody::new(error.detail().to_owned()),
            status: error.status().as_u16(),
        }
    }
}

/// A piece of text.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenEvent {
    /// The text.
    pub(crate) text: String,
}

/// What a training run did.
#[derive(Serialize, ToSchema)]
pub(crate) struct Trained {
    /// The same in words.
    message: String,
    /// The file of the turns taken, on the server's machine.
    #[schema(value_type = Option<String>)]
    csv_path: Option<PathBuf>,
    /// Turns taken.
    turns: usize,
}

impl From<TrainReport> for Trained {
    fn from(report: TrainReport) -> Self {
        Self {
            message: report.message,
            csv_path: report.csv_path,
            turns: report.turns,
        }
    }
}
