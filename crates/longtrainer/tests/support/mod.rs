//! Models that need no weights: an embedder that counts words and a text model that says what a
//! test tells it to say, and remembers what it was asked.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part"
)]

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use longtrainer::{
    BotId, BotOptions, Defaults, Document, Embedder, EmbedderInfo, FinishReason, GenerateRequest,
    Generation, LinkOptions, LongTrainer, Message, Metadata, Picture, StreamItem, TextModel,
    TextModelInfo, TextStream, TokenChoice, TokenLogprob, TokenizedText, Usage,
};

use longtrainer::models::RegistryOptions;

const DIMENSION: usize = 256;
/// Tokens at both ends of a text.
const START: u32 = 1001;
const END: u32 = 1002;

/// Texts with words in common are near each other.
pub struct WordEmbedder {
    info: EmbedderInfo,
    /// Number of texts embedded so far.
    pub embedded: Mutex<usize>,
    /// The texts of the last call.
    pub last: Mutex<Vec<String>>,
    /// Calls that are let through; those after wait.
    let_through: Mutex<Option<usize>>,
    goes_on: Condvar,
}

impl WordEmbedder {
    pub fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            info: EmbedderInfo {
                model: name.to_owned(),
                dimension: DIMENSION,
                max_tokens: 1 << 20,
                sha256: format!("sha256 of {name}"),
                device: "cpu".to_owned(),
            },
            embedded: Mutex::new(0),
            last: Mutex::default(),
            let_through: Mutex::default(),
            goes_on: Condvar::new(),
        })
    }

    /// Lets so many calls through and has those after wait.
    pub fn pause_after(&self, calls: usize) {
        *self.let_through.lock().unwrap() = Some(calls);
    }

    /// Lets all calls through.
    pub fn resume(&self) {
        *self.let_through.lock().unwrap() = None;
        self.goes_on.notify_all();
    }

    fn wait(&self) {
        let left = self.let_through.lock().unwrap();
        let mut left = self
            .goes_on
            .wait_while(left, |left| *left == Some(0))
            .unwrap();
        if let Some(left) = &mut *left {
            *left -= 1;
        }
    }
}

impl Embedder for WordEmbedder {
    fn info(&self) -> &EmbedderInfo {
        &self.info
    }

    /// A word is a token, between two more; its number is its component of a vector.
    fn tokenize(&self, texts: &[&str]) -> longtrainer_inference::Result<Vec<TokenizedText>> {
        let most = self.info.max_tokens;
        let tokenized = texts.iter().map(|text| {
            let words = words(text).map(|word| component(word) as u32);
            let tokens: Vec<u32> = [START].into_iter().chain(words).chain([END]).collect();
            TokenizedText {
                is_cut: tokens.len() > most,
                tokens: tokens.into_iter().take(most).collect(),
            }
        });
        Ok(tokenized.collect())
    }

    fn embed_tokens(&self, texts: Vec<Vec<u32>>) -> longtrainer_inference::Result<Vec<Vec<f32>>> {
        let framed = |text: &Vec<u32>| text.first() == Some(&START) && text.last() == Some(&END);
        if !texts.iter().all(framed) {
            return Err(longtrainer_inference::Error::InvalidRequest {
                field: "tokens",
                value: "a list".to_owned(),
                expected: "between the special tokens",
            });
        }
        *self.embedded.lock().unwrap() += texts.len();
        let within =
            |text: &Vec<u32>| vector_of(text[1..text.len() - 1].iter().map(|one| *one as usize));
        Ok(texts.iter().map(within).collect())
    }

    fn embed(&self, texts: &[&str]) -> longtrainer_inference::Result<Vec<Vec<f32>>> {
        self.wait();
        *self.embedded.lock().unwrap() += texts.len();
        *self.last.lock().unwrap() = texts.iter().map(|text| (*text).to_owned()).collect();
        Ok(texts.iter().map(|text| word_vector(text)).collect())
    }
}

fn word_vector(text: &str) -> Vec<f32> {
    vector_of(words(text).map(component))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

fn component(word: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    word.to_lowercase().hash(&mut hasher);
    hasher.finish() as usize % DIMENSION
}

fn vector_of(components: impl Iterator<Item = usize>) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSION];
    vector[0] = 0.01; // a text without words still has a direction
    for component in components {
        vector[component] += 1.0;
    }
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter().map(|x| x / norm).collect()
}

/// What the model does when asked.
#[derive(Clone)]
pub enum Behaviour {
    /// Says this, a word at a time.
    Say(String),
    /// Says this and is cut off by the limit of the request.
    SayAndBeCutOff(String),
    /// Says a word every few milliseconds until nobody listens.
    Ramble,
    /// Says more than any connection holds every few milliseconds until nobody listens.
    Flood,
    /// Takes no request: its queue is full.
    Busy,
    /// Says nothing for as long as somebody listens: a prompt that takes for ever to read.
    Ponder,
    /// Says "half an" and fails.
    FailMidway,
    /// Ends without a word and without an error, as a crashed engine would.
    BreakOff,
}

/// Tokens that a picture costs.
pub const TOKENS_A_PICTURE: usize = 64;

/// A token is a word; every message costs two more.
pub struct ScriptedModel {
    info: TextModelInfo,
    sees: bool,
    behaviour: Mutex<Behaviour>,
    next: Mutex<VecDeque<Behaviour>>,
    counted: Mutex<usize>,
    requests: Mutex<Vec<GenerateRequest>>,
    left: Arc<Mutex<usize>>,
}

impl ScriptedModel {
    pub fn new(context_length: usize) -> Arc<Self> {
        Self::named("scripted", false, context_length)
    }

    /// One that looks at pictures.
    pub fn seeing(context_length: usize) -> Arc<Self> {
        Self::named("eyes", true, context_length)
    }

    fn named(name: &str, sees: bool, context_length: usize) -> Arc<Self> {
        Arc::new(Self {
            sees,
            info: TextModelInfo {
                model: name.to_owned(),
                context_length,
                device: "cpu".to_owned(),
            },
            behaviour: Mutex::new(Behaviour::Say("an answer".to_owned())),
            next: Mutex::default(),
            counted: Mutex::default(),
            requests: Mutex::default(),
            left: Arc::default(),
        })
    }

    pub fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// What to do for the next request alone; called again, for the one after it.
    pub fn behave_once(&self, behaviour: Behaviour) {
        self.next.lock().unwrap().push_back(behaviour);
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<GenerateRequest> {
        self.requests.lock().unwrap().clone()
    }

    /// How often tokens were counted since the last time this was asked.
    pub fn counts(&self) -> usize {
        std::mem::take(&mut *self.counted.lock().unwrap())
    }

    /// The messages of the last request.
    pub fn last_messages(&self) -> Vec<Message> {
        self.requests
            .lock()
            .unwrap()
            .last()
            .unwrap()
            .messages
            .clone()
    }

    /// How many readers have left before the end.
    pub fn readers_left(&self) -> usize {
        *self.left.lock().unwrap()
    }
}

impl TextModel for ScriptedModel {
    fn info(&self) -> &TextModelInfo {
        &self.info
    }

    fn sees(&self) -> bool {
        self.sees
    }

    fn count_tokens(
        &self,
        messages: &[Message],
        _detail: Option<longtrainer_inference::Detail>,
    ) -> longtrainer_inference::Result<usize> {
        *self.counted.lock().unwrap() += 1;
        Ok(messages
            .iter()
            .map(|message| {
                let words = message.content.split_whitespace().count();
                words + 2 + TOKENS_A_PICTURE * message.pictures.len()
            })
            .sum())
    }

    fn generate(&self, request: GenerateRequest) -> longtrainer_inference::Result<TextStream> {
        for picture in request.messages.iter().flat_map(|one| &one.pictures) {
            assert!(self.sees, "a model that sees nothing was shown a picture");
            check_whole(picture)?;
        }
        let logprobs = request.top_logprobs;
        self.requests.lock().unwrap().push(request);
        let (sender, receiver) = async_channel::unbounded();
        let once = self.next.lock().unwrap().pop_front();
        let behaviour = once.unwrap_or_else(|| self.behaviour.lock().unwrap().clone());
        if matches!(behaviour, Behaviour::Busy) {
            return Err(longtrainer_inference::Error::QueueFull {
                model: self.info.model.clone(),
                waiting: 256,
            });
        }
        let left = Arc::clone(&self.left);
        std::thread::spawn(move || match behaviour {
            Behaviour::Say(text) => say(&sender, &text, FinishReason::Stop, logprobs),
            Behaviour::SayAndBeCutOff(text) => say(&sender, &text, FinishReason::Length, logprobs),
            Behaviour::Ramble => repeat(&sender, "and ", &left),
            Behaviour::Flood => repeat(&sender, &"and ".repeat(1 << 14), &left),
            Behaviour::Ponder => {
                while !sender.is_closed() {
                    std::thread::sleep(Duration::from_millis(2));
                }
                *left.lock().unwrap() += 1;
            }
            Behaviour::FailMidway => {
                let _ = sender.send_blocking(Ok(StreamItem::Text("half an".to_owned())));
                let error = longtrainer_inference::Error::EngineStopped {
                    model: "scripted".into(),
                };
                let _ = sender.send_blocking(Err(error));
            }
            Behaviour::BreakOff | Behaviour::Busy => drop(sender),
        });
        Ok(TextStream::new(receiver))
    }
}

/// Says this every few milliseconds until nobody listens.
fn repeat(sender: &Sender, text: &str, left: &Mutex<usize>) {
    while sender
        .send_blocking(Ok(StreamItem::Text(text.to_owned())))
        .is_ok()
    {
        std::thread::sleep(Duration::from_millis(2));
    }
    *left.lock().unwrap() += 1;
}

/// A model decodes what it looks at; here a picture is whole if its file is as long as a bitmap says.
fn check_whole(picture: &Picture) -> longtrainer_inference::Result<()> {
    let bytes = picture.bytes();
    let says = u32::from_le_bytes(bytes[2..6].try_into().unwrap());
    match bytes.len() == says as usize {
        true => Ok(()),
        false => Err(longtrainer_inference::Error::InvalidRequest {
            field: "picture",
            value: picture.name().to_owned(),
            expected: "whole",
        }),
    }
}

/// A bitmap of one pixel, as a file has it.
pub fn bitmap(colour: [u8; 3]) -> Vec<u8> {
    bitmap_of(1, 1, colour)
}

/// What begins like a bitmap of this size; only that of one pixel is whole.
pub fn bitmap_of(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
    let mut file = b"BM".to_vec();
    for number in [58, 0, 54, 40, width, height, 24 << 16 | 1, 0, 4, 0, 0, 0, 0] {
        file.extend(u32::to_le_bytes(number));
    }
    file.extend(colour);
    file.push(0);
    file
}

type Sender = async_channel::Sender<longtrainer_inference::Result<StreamItem>>;

fn say(sender: &Sender, text: &str, finish_reason: FinishReason, logprobs: Option<usize>) {
    for word in text.split_inclusive(' ') {
        if let Some(count) = logprobs {
            let choice = TokenChoice {
                chosen: logprob(word, -0.5),
                top: (0..count).map(|_| logprob("other", -1.0)).collect(),
            };
            let _ = sender.send_blocking(Ok(StreamItem::Token(choice)));
        }
        let _ = sender.send_blocking(Ok(StreamItem::Text(word.to_owned())));
    }
    let end = Generation {
        finish_reason,
        usage: Usage {
            prompt_tokens: 7,
            cached_tokens: 3,
            completion_tokens: text.split_inclusive(' ').count(),
            ..Usage::default()
        },
    };
    let _ = sender.send_blocking(Ok(StreamItem::Done(end)));
}

fn logprob(word: &str, logprob: f32) -> TokenLogprob {
    TokenLogprob {
        token: component(word) as u32,
        bytes: word.as_bytes().to_vec(),
        logprob,
    }
}

/// A trainer over a fresh directory, with its models at hand.
pub struct World {
    pub dir: tempfile::TempDir,
    pub embedder: Arc<WordEmbedder>,
    pub model: Arc<ScriptedModel>,
    /// The vision model.
    pub eyes: Arc<ScriptedModel>,
    pub trainer: LongTrainer,
    start: Start,
}

/// What a world begins with.
#[derive(Clone)]
struct Start {
    defaults: Defaults,
    sees: bool,
    offline: bool,
    links: LinkOptions,
}

impl World {
    pub fn new() -> Self {
        Self::with_context(4096)
    }

    pub fn with_context(context_length: usize) -> Self {
        Self::started(context_length, Defaults::default(), true)
    }

    /// One without a vision model.
    pub fn blind() -> Self {
        Self::started(4096, Defaults::default(), false)
    }

    pub fn with_defaults(defaults: Defaults) -> Self {
        Self::started(4096, defaults, true)
    }

    /// One without a vision model that may not use the network.
    pub fn offline() -> Self {
        let mut world = Self::blind();
        world.start.offline = true;
        world.restart()
    }

    /// One that follows links like this.
    pub fn with_links(links: LinkOptions) -> Self {
        let mut world = Self::new();
        world.start.links = links;
        world.restart()
    }

    fn started(context_length: usize, defaults: Defaults, sees: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let embedder = WordEmbedder::new("words");
        let model = ScriptedModel::new(context_length);
        let eyes = ScriptedModel::seeing(context_length);
        let start = Start {
            defaults,
            sees,
            offline: false,
            links: LinkOptions::default(),
        };
        let trainer = open(&dir, &embedder, &model, &eyes, &start);
        Self {
            dir,
            embedder,
            model,
            eyes,
            trainer,
            start,
        }
    }

    /// Closes the trainer and opens its directory again, as a restart would.
    pub fn restart(self) -> Self {
        drop(self.trainer);
        let trainer = open(
            &self.dir,
            &self.embedder,
            &self.model,
            &self.eyes,
            &self.start,
        );
        Self { trainer, ..self }
    }

    /// A built bot that knows these texts.
    pub fn bot(&self, texts: &[&str]) -> BotId {
        self.bot_with(texts, BotOptions::default())
    }

    /// The same with settings.
    pub fn bot_with(&self, texts: &[&str], options: BotOptions) -> BotId {
        let bot_id = self.trainer.initialize_bot_id().unwrap();
        self.trainer
            .pass_documents(documents(texts), &bot_id)
            .unwrap();
        self.trainer.create_bot(&bot_id, options).unwrap();
        bot_id
    }
}

fn open(
    dir: &tempfile::TempDir,
    embedder: &Arc<WordEmbedder>,
    model: &Arc<ScriptedModel>,
    eyes: &Arc<ScriptedModel>,
    start: &Start,
) -> LongTrainer {
    // The store may be held for a moment by the thread of an answer that is just being stored.
    for _ in 0..100 {
        let mut builder = LongTrainer::builder(dir.path())
            .defaults(start.defaults.clone())
            .links(start.links.clone())
            .embedder(embedder.clone() as Arc<dyn Embedder>)
            .text_model(model.clone() as Arc<dyn TextModel>);
        builder = match start.sees {
            true => builder.vision_model(eyes.clone() as Arc<dyn TextModel>),
            // What the demonstration model looks at, a text model reads: it is not here.
            false => builder.registry(RegistryOptions {
                models_dir: Some(dir.path().join("models")),
                offline: start.offline,
                ..RegistryOptions::default()
            }),
        };
        match builder.build() {
            Ok(trainer) => return trainer,
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    panic!("the data directory stays in use");
}

/// Documents of these texts, their sources numbered.
pub fn documents(texts: &[&str]) -> Vec<Document> {
    texts
        .iter()
        .enumerate()
        .map(|(number, text)| {
            let mut metadata = Metadata::new();
            metadata.insert("source".to_owned(), format!("text {number}").into());
            Document {
                page_content: (*text).to_owned(),
                metadata,
            }
        })
        .collect()
}

/// Waits for something that another thread is about to do.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never happened: {what}");
}
