//! A text model from a GGUF file, behind the crate's seam.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_channel::Sender;

use crate::adapter::{AdapterBinder, AppliedAdapter, Place};
use crate::decoder::{Decoder, DecoderConfig, KvCache};
use crate::device::SelectedDevice;
use crate::engine::{Engine, EngineOptions, Job, LanguageModel, Part, Scores};
use crate::error::{ComputeError, invalid};
use crate::grammar::{Guide, GuideFactory};
use crate::kernel_decoder::{DecoderCache, KernelDecoder};
use crate::model_file::ModelFile;
use crate::prompt::PromptBuilder;
use crate::soft::{self, SoftSpan};
use crate::threads;
use crate::{
    Adapter, Error, GenerateRequest, Grammar, Message, Result, Sampling, StreamItem, TextModel,
    TextModelInfo, TextStream, sampling,
};

/// The most tokens that are told beside a chosen one.
const MOST_LOGPROBS: usize = 100;

/// How a text model is run. The default is the processor, with all its threads and the model's whole
/// context.
#[derive(Debug, Clone, Default)]
pub struct TextModelOptions {
    /// Where.
    pub device: SelectedDevice,
    /// Threads of the processor that a step may use; `None` uses all. The answer does not depend on
    /// it.
    pub threads: Option<usize>,
    /// Tokens that prompt and answer may have together; `None` takes what the model was trained
    /// for, which is also the most.
    pub context_length: Option<usize>,
    /// How requests share the model.
    pub engine: EngineOptions,
    /// On the processor, matrices in f32, f16 or bf16 are rounded to bytes while they are read, as Q8_0
    /// has them: about half the memory of bf16. Quantised ones stay as they are.
    pub round_weights: bool,
}

/// A text model that runs on a thread of its own. Dropping it stops the thread; unfinished streams
/// end with [`Error::EngineStopped`].
#[derive(Debug)]
pub struct GgufTextModel {
    info: TextModelInfo,
    prompts: Arc<PromptBuilder>,
    /// Made for the first request that needs it: it takes a moment and some memory.
    guides: Mutex<Option<Arc<GuideFactory>>>,
    adapters: AdapterBinder,
    hidden_width: usize,
    engine: Engine,
}

/// What a request asks for beside its prompt, checked.
#[derive(Debug)]
pub(crate) struct CheckedRequest {
    adapter: Option<AppliedAdapter>,
    cache_scope: Option<Arc<str>>,
    sampling: Sampling,
    max_tokens: usize,
    stop: Vec<String>,
    stop_tokens: Vec<u32>,
    guide: Option<Guide>,
    top_logprobs: Option<usize>,
    submitted: Instant,
}

impl CheckedRequest {
    /// Who shares what is made for it.
    pub(crate) fn cache_scope(&self) -> Option<&Arc<str>> {
        self.cache_scope.as_ref()
    }
}

impl GgufTextModel {
    /// Loads a GGUF file, or a folder as published on the hub: `config.json`, weights in safetensors (one
    /// file, or several with their index) and `tokenizer.json`. Weights, tokenizer and chat template all
    /// come from it. Of a model that sees, this is the half that reads.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], [`Error::BadModel`] and [`Error::BadTensor`] for files that are missing, cut
    /// off or damaged, [`Error::Unsupported`] for kinds of models that this crate cannot run,
    /// [`Error::Config`], [`Error::Template`] and [`Error::Tokenizer`] for those parts, [`Error::InvalidRequest`] for
    /// options out of range.
    pub fn load(name: &str, path: &Path, options: &TextModelOptions) -> Result<Self> {
        threads::check(options.threads)?;
        let started = Instant::now();
        let file = ModelFile::open(path)?.with_rounded_weights(options.round_weights);
        let prompts = Arc::new(PromptBuilder::from_gguf(name, &file)?);
        let config = DecoderConfig::from_gguf(&file)?;
        check_vocabulary(&file, &prompts, &config)?;
        let info = TextModelInfo {
            model: name.to_owned(),
            context_length: context_length(options.context_length, config.context_length)?,
            device: options.device.name().to_owned(),
        };
        let backend = Backend::load(name, &file, options)?;
        let architecture = file.required_string("general.architecture")?;
        let adapters = AdapterBinder::new(name, architecture, config.clone(), backend.place());
        let engine = backend.start(&info, &prompts, options)?;
        tracing::info!(model = name, device = info.device, elapsed = ?started.elapsed(), "loaded");
        Ok(Self {
            info,
            prompts,
            guides: Mutex::default(),
            adapters,
            hidden_width: config.hidden,
            engine,
        })
    }

    /// Values of a row of a soft token.
    pub(crate) fn hidden_width(&self) -> usize {
        self.hidden_width
    }

    /// Template and tokenizer.
    pub(crate) fn prompts(&self) -> &Arc<PromptBuilder> {
        &self.prompts
    }

    /// Refuses what can be refused of a request without its prompt: numbers, grammar, adapter. Its
    /// time counts from here.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`], [`Error::Grammar`], [`Error::AdapterMismatch`].
    pub(crate) fn check(&self, request: &GenerateRequest) -> Result<CheckedRequest> {
        let submitted = Instant::now();
        self.check_numbers(request)?;
        let guide = request.grammar.as_ref();
        let adapter = request.adapter.as_ref();
        Ok(CheckedRequest {
            guide: guide.map(|grammar| self.guide(grammar)).transpose()?,
            adapter: adapter
                .map(|adapter| self.adapters.apply(adapter))
                .transpose()?,
            cache_scope: request.cache_scope.clone(),
            sampling: request.sampling.clone(),
            max_tokens: request.max_tokens,
            stop: request.stop.clone(),
            stop_tokens: request.stop_tokens.clone(),
            top_logprobs: request.top_logprobs,
            submitted,
        })
    }

    /// That an adapter fits.
    ///
    /// # Errors
    ///
    /// [`Error::AdapterMismatch`].
    pub(crate) fn check_adapter(&self, adapter: &Adapter) -> Result<()> {
        self.adapters.apply(adapter).map(drop)
    }

    /// Queues a request whose prompt is ready, from any thread: its tokens, and the rows of those that
    /// are [soft](mod@crate::soft). The answer goes to `events`; if nobody reads there any more, the work is
    /// cancelled.
    ///
    /// # Errors
    ///
    /// [`Error::PromptTooLong`], [`Error::InvalidRequest`] for a prompt without tokens or with a soft
    /// one that has no row, and those of a full queue. Nothing was then sent to `events`.
    pub(crate) fn submit(
        &self,
        request: CheckedRequest,
        prompt: Vec<u32>,
        soft: Vec<SoftSpan>,
        events: Sender<Result<StreamItem>>,
    ) -> Result<()> {
        if prompt.is_empty() {
            return Err(invalid("prompt", "empty", "at least one token"));
        }
        self.check_fits(prompt.len(), request.max_tokens)?;
        soft::check(&prompt, &soft, self.hidden_width())?;
        self.engine.submit(Job {
            prompt,
            soft,
            adapter: request.adapter,
            cache_scope: request.cache_scope,
            sampling: request.sampling,
            max_tokens: request.max_tokens,
            stop: request.stop,
            stop_tokens: request.stop_tokens,
            guide: request.guide,
            top_logprobs: request.top_logprobs,
            events,
            submitted: request.submitted,
            span: tracing::Span::current(),
        })
    }

    fn check_numbers(&self, request: &GenerateRequest) -> Result<()> {
        sampling::check(&request.sampling, self.prompts.tokenizer().len())?;
        if request.max_tokens == 0 {
            return Err(invalid("max_tokens", "0", "1 or more"));
        }
        if request.stop.iter().any(String::is_empty) {
            return Err(invalid(
                "stop",
                "an empty string",
                "strings of at least one character",
            ));
        }
        if let Some(count) = request.top_logprobs
            && count > MOST_LOGPROBS
        {
            return Err(invalid("top_logprobs", count, "at most 100"));
        }
        Ok(())
    }

    /// What keeps an answer in its shape.
    fn guide(&self, grammar: &Grammar) -> Result<Guide> {
        let mut guides = self.guides.lock().unwrap_or_else(PoisonError::into_inner);
        let factory = match &*guides {
            Some(factory) => Arc::clone(factory),
            None => {
                let factory = GuideFactory::new(self.prompts.tokenizer())?;
                Arc::clone(guides.insert(Arc::new(factory)))
            }
        };
        drop(guides);
        factory.compile(grammar)
    }

    /// That prompt and answer fit the context.
    pub(crate) fn check_fits(&self, prompt_tokens: usize, max_tokens: usize) -> Result<()> {
        let context_length = self.info.context_length;
        if prompt_tokens.saturating_add(max_tokens) > context_length {
            return Err(Error::PromptTooLong {
                prompt_tokens,
                max_tokens,
                context_length,
            });
        }
        Ok(())
    }
}

impl TextModel for GgufTextModel {
    fn info(&self) -> &TextModelInfo {
        &self.info
    }

    fn count_tokens(
        &self,
        messages: &[Message],
        _detail: Option<longtrainer_images::Detail>,
    ) -> Result<usize> {
        refuse_pictures(messages)?;
        Ok(self.prompts().tokens(messages)?.len())
    }

    fn generate(&self, request: GenerateRequest) -> Result<TextStream> {
        refuse_pictures(&request.messages)?;
        let checked = self.check(&request)?;
        let prompt = match &request.text {
            Some(text) => self.prompts.raw_tokens(text)?,
            None => self.prompts.tokens(&request.messages)?,
        };
        let (events, receiver) = async_channel::unbounded();
        self.submit(checked, prompt, Vec::new(), events)?;
        Ok(TextStream::new(receiver))
    }

    fn memory_bytes(&self) -> usize {
        self.engine.memory_bytes() + self.adapters.bytes()
    }
}

/// What computes the model: our kernels where they can, Candle on graphics cards and for what no
/// kernel knows.
pub(crate) enum Backend {
    /// Our kernels.
    Kernels(Box<KernelDecoder>),
    /// Candle.
    Candle(Box<Decoder>),
}

impl Backend {
    pub(crate) fn load(name: &str, file: &ModelFile, options: &TextModelOptions) -> Result<Self> {
        let device = options.device.device();
        if device.is_cpu() {
            match KernelDecoder::obstacle(file, &DecoderConfig::from_gguf(file)?) {
                None => {
                    let team = threads::team(name, options.threads)?;
                    let decoder = KernelDecoder::from_gguf(file, team)?;
                    return Ok(Self::Kernels(Box::new(decoder)));
                }
                Some(obstacle) => {
                    tracing::warn!(
                        model = name,
                        obstacle,
                        "no kernel for this model: Candle runs it"
                    );
                }
            }
        }
        options.device.check_room(name, file.tensor_bytes())?;
        let decoder = Decoder::from_gguf(file, device)?;
        Ok(Self::Candle(Box::new(decoder)))
    }

    /// Where adapters of the model belong.
    fn place(&self) -> Place {
        match self {
            Self::Kernels(decoder) => Place::Kernels(Arc::clone(decoder.team())),
            Self::Candle(decoder) => Place::Candle(decoder.device().clone()),
        }
    }

    /// Starts the engine that owns the model.
    fn start(
        self,
        info: &TextModelInfo,
        prompts: &Arc<PromptBuilder>,
        options: &TextModelOptions,
    ) -> Result<Engine> {
        let (name, context, engine) = (&info.model, info.context_length, &options.engine);
        let prompts = Arc::clone(prompts);
        match self {
            // Its threads are a team of their own.
            Self::Kernels(decoder) => Engine::start(name, *decoder, prompts, None, context, engine),
            Self::Candle(decoder) => {
                Engine::start(name, *decoder, prompts, options.threads, context, engine)
            }
        }
    }
}

impl LanguageModel for Decoder {
    type Cache = KvCache;

    fn new_cache(&self, tokens: usize) -> KvCache {
        Decoder::new_cache(self, tokens)
    }

    fn cache_kind(&self, tokens: usize) -> u64 {
        Decoder::cache_kind(self, tokens)
    }

    fn step(&self, parts: &mut [Part<'_, KvCache>]) -> Result<Vec<f32>, ComputeError> {
        Decoder::step(self, parts)
    }

    fn scores(&self, parts: &mut [Part<'_, KvCache>]) -> Result<Vec<Scores>, ComputeError> {
        Decoder::scores(self, parts)
    }

    fn block_bytes(&self) -> usize {
        Decoder::block_bytes(self)
    }

    fn cache_bytes(&self) -> usize {
        Decoder::cache_bytes(self)
    }

    fn weight_bytes(&self) -> usize {
        Decoder::weight_bytes(self)
    }
}

impl LanguageModel for KernelDecoder {
    type Cache = DecoderCache;

    fn new_cache(&self, tokens: usize) -> DecoderCache {
        KernelDecoder::new_cache(self, tokens)
    }

    fn cache_kind(&self, tokens: usize) -> u64 {
        KernelDecoder::cache_kind(self, tokens)
    }

    fn step(&self, parts: &mut [Part<'_, DecoderCache>]) -> Result<Vec<f32>, ComputeError> {
        KernelDecoder::step(self, parts)
    }

    fn block_bytes(&self) -> usize {
        self.pool().page_bytes()
    }

    fn cache_bytes(&self) -> usize {
        self.pool().bytes()
    }

    fn weight_bytes(&self) -> usize {
        KernelDecoder::weight_bytes(self)
    }
}

fn context_length(asked: Option<usize>, trained: usize) -> Result<usize> {
    match asked {
        Some(asked) if asked == 0 || asked > trained => Err(invalid(
            "context_length",
            asked,
            "between 1 and what the model was trained for",
        )),
        _ => Ok(asked.unwrap_or(trained)),
    }
}

fn refuse_pictures(messages: &[Message]) -> Result<()> {
    let pictures: usize = messages.iter().map(|message| message.pictures.len()).sum();
    match pictures {
        0 => Ok(()),
        count => Err(invalid(
            "pictures",
            count,
            "none: this model only reads text",
        )),
    }
}

/// Every token needs a row of the embedding; rows without a token are padding.
fn check_vocabulary(
    file: &ModelFile,
    prompts: &PromptBuilder,
    config: &DecoderConfig,
) -> Result<()> {
    let (tokens, rows) = (prompts.tokenizer().len(), config.vocabulary);
    if tokens > rows {
        let problem = format!("it has {rows} rows for {tokens} tokens");
        return Err(file.bad_tensor("token_embd.weight", problem));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
