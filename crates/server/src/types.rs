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

use crate::api_error::ApiError;
use crate::stream::Form;

/// Why a request is not answered.
#[derive(Serialize)]
pub(crate) struct ErrorBody {
    pub(crate) detail: String,
}

#[derive(Serialize)]
pub(crate) struct Health {
    pub(crate) status: &'static str,
    pub(crate) version: &'static str,
}

/// The body of a route that takes none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoFields {}

/// Something was done to what is named; the ids stand beside it.
#[derive(Serialize)]
pub(crate) struct Done<I> {
    pub(crate) status: &'static str,
    #[serde(flatten)]
    pub(crate) ids: I,
}

#[derive(Serialize)]
pub(crate) struct OfBot {
    pub(crate) bot_id: String,
}

#[derive(Serialize)]
pub(crate) struct OfChat {
    pub(crate) chat_id: String,
}

#[derive(Serialize)]
pub(crate) struct OfVisionChat {
    pub(crate) vision_chat_id: String,
}

#[derive(Serialize)]
pub(crate) struct OfDocument {
    pub(crate) bot_id: String,
    pub(crate) document_id: u64,
    /// Chunks that went with it.
    pub(crate) chunks: usize,
}

#[derive(Serialize)]
pub(crate) struct BotList {
    pub(crate) bots: Vec<BotRecord>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BuildRequest {
    prompt_template: Option<String>,
    agent_mode: Option<bool>,
    tools: Option<Vec<Value>>,
    num_k: Option<usize>,
    ensemble: Option<bool>,
    chunk_size: Option<usize>,
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

#[derive(Serialize)]
pub(crate) struct Built {
    status: &'static str,
    bot_id: String,
    /// Documents made searchable by this build, and their chunks.
    documents: usize,
    chunks: usize,
    /// Documents that were searchable before.
    already_built: usize,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PromptRequest {
    pub(crate) prompt_template: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PathRequest {
    pub(crate) path: PathBuf,
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

#[derive(Serialize)]
pub(crate) struct DocumentList {
    pub(crate) documents: Vec<DocumentSummary>,
}

/// A document with its text.
#[derive(Serialize)]
pub(crate) struct DocumentBody {
    document_id: u64,
    page_content: String,
    metadata: Metadata,
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
#[derive(Serialize)]
pub(crate) struct Added {
    added: usize,
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
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplaceRequest {
    pub(crate) page_content: String,
    /// `None`: that of the document whose place it takes.
    pub(crate) metadata: Option<Metadata>,
}

#[derive(Serialize)]
pub(crate) struct Replaced {
    pub(crate) bot_id: String,
    /// The id of the new document; ids are never used twice.
    pub(crate) document_id: Option<u64>,
    pub(crate) replaced: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchRequest {
    pub(crate) query: String,
}

#[derive(Serialize)]
pub(crate) struct Passages {
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
#[derive(Serialize)]
pub(crate) struct Passage {
    content: String,
    metadata: Metadata,
    score: f32,
    document_id: u64,
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

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OrderName {
    #[default]
    Newest,
    Oldest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderQuery {
    #[serde(default)]
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenameRequest {
    /// `null` takes the name away; it must be written, so that `{}` does not.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) title: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Messages<M> {
    pub(crate) messages: Vec<M>,
}

/// A stored turn with the documented ids.
#[derive(Serialize)]
pub(crate) struct Message {
    pub(crate) bot_id: String,
    pub(crate) chat_id: String,
    #[serde(flatten)]
    pub(crate) turn: TurnRecord,
}

/// A file whose text is sent along with a question. No file is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentFile {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    url: Option<String>,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    pub(crate) query: String,
    #[serde(default)]
    pub(crate) stream: bool,
    #[serde(default)]
    web_search: bool,
    uploaded_files: Option<Vec<SentFile>>,
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
#[derive(Serialize)]
#[serde(untagged)]
enum AnswerForm {
    Text(String),
    Data(StructuredAnswer),
}

/// An answer that is data, or why it is none.
#[derive(Serialize)]
struct StructuredAnswer {
    status: &'static str,
    data: Option<Value>,
    raw_llm_output: Option<String>,
    error: Option<String>,
}

/// The answer to a question with a schema that the model's text does not meet: the documented form.
#[derive(Serialize)]
pub(crate) struct UnstructuredBody {
    answer: StructuredAnswer,
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
#[derive(Serialize)]
pub(crate) struct AnswerBody {
    answer: AnswerForm,
    web_sources: Vec<String>,
    sources: Vec<Passage>,
    /// What was searched for beside the question.
    retrieval: RetrievalUse,
    usage: UsageBody,
    history: HistoryUse,
    finish_reason: &'static str,
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

/// Why an answer ends, in one word.
pub(crate) fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
    }
}

#[derive(Serialize)]
pub(crate) struct UsageBody {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
    time_to_first_token_ms: f64,
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
#[derive(Serialize)]
pub(crate) struct SourcesEvent {
    pub(crate) sources: Vec<Passage>,
}

/// Why a stream ends before its answer does.
#[derive(Serialize)]
pub(crate) struct ErrorEvent {
    pub(crate) detail: String,
    /// The status that the same would have had before the stream began.
    pub(crate) status: u16,
}

/// A piece of text.
#[derive(Serialize)]
pub(crate) struct TokenEvent {
    pub(crate) text: String,
}

#[derive(Serialize)]
pub(crate) struct Trained {
    message: String,
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
