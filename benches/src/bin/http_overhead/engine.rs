//! The engine itself, through the library, as an in-process caller has it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use longtrainer::models::{RegistryOptions, Role};
use longtrainer::{
    EmbeddingInput, LongTrainer, Message, ModelRequest, Prompt, Role as Speaker, Sampling,
    StreamItem,
};

use crate::sample::PAUSE;
use crate::texts::Texts;

/// The same models as the server's, in this process.
pub(crate) struct Engine {
    trainer: LongTrainer,
    pub(crate) text_model: String,
    pub(crate) embedding_model: String,
    _data_dir: tempfile::TempDir,
}

/// An answer, and what it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) tokens: usize,
}

impl Engine {
    /// Loads the default models, set as the server sets them.
    pub(crate) fn open(models_dir: Option<PathBuf>) -> Result<Self> {
        let data_dir = tempfile::tempdir()?;
        let mut registry = RegistryOptions::from_env();
        registry.models_dir = models_dir.or(registry.models_dir);
        registry.offline = true;
        let trainer = LongTrainer::builder(data_dir.path())
            .registry(registry)
            .build()?;
        let name = |role| default_model(&trainer, role);
        let (text_model, embedding_model) = (name(Role::Text)?, name(Role::Embedding)?);
        trainer.load_model(&text_model, Role::Text)?;
        trainer.load_model(&embedding_model, Role::Embedding)?;
        Ok(Self {
            trainer,
            text_model,
            embedding_model,
            _data_dir: data_dir,
        })
    }

    /// A whole answer, each token of it the likeliest.
    pub(crate) fn answer(&self, question: &str, max_tokens: usize) -> Result<Answer> {
        let messages = vec![Message::new(Speaker::User, question)];
        let request = ModelRequest {
            max_tokens: Some(max_tokens),
            sampling: Some(Sampling {
                temperature: 0.0,
                ..self.trainer.defaults().sampling.clone()
            }),
            ..ModelRequest::new(Prompt::Chat(messages))
        };
        let mut text = String::new();
        for item in self.trainer.ask_model(&self.text_model, request)? {
            match item? {
                StreamItem::Text(piece) => text += &piece,
                StreamItem::Token(_) => {}
                StreamItem::Done(generation) => {
                    let tokens = generation.usage.completion_tokens;
                    return Ok(Answer { text, tokens });
                }
            }
        }
        Err(anyhow!("an answer ended without an end"))
    }

    /// How long each of some requests for one token took.
    pub(crate) fn times(&self, question: &str, requests: usize) -> Result<Vec<Duration>> {
        let time = |_| {
            thread::sleep(PAUSE);
            let started = Instant::now();
            self.answer(question, 1)?;
            Ok(started.elapsed())
        };
        (0..requests).map(time).collect()
    }

    /// The answers of several chats at once, each chat's questions one after the other.
    pub(crate) fn chats(&self, chats: &[Vec<String>], max_tokens: usize) -> Result<Vec<Answer>> {
        thread::scope(|scope| {
            let asking: Vec<_> = chats
                .iter()
                .map(|questions| scope.spawn(|| self.one_chat(questions, max_tokens)))
                .collect();
            let answers = asking
                .into_iter()
                .map(|chat| chat.join().map_err(panicked)?);
            Ok(answers.collect::<Result<Vec<_>>>()?.concat())
        })
    }

    fn one_chat(&self, questions: &[String], max_tokens: usize) -> Result<Vec<Answer>> {
        let answers = questions.iter();
        answers
            .map(|question| self.answer(question, max_tokens))
            .collect()
    }

    /// A text's vector.
    pub(crate) fn embed(&self, text: &str) -> Result<Vec<f32>> {
        let input = EmbeddingInput::Texts(vec![text.to_owned()]);
        let embedded = self.trainer.embed(&self.embedding_model, input, true)?;
        embedded.vectors.into_iter().next().context("no vector")
    }

    /// Embeds texts from number `first` on, by so many callers at once.
    pub(crate) fn embed_all(
        &self,
        texts: &Texts,
        first: usize,
        count: usize,
        callers: usize,
    ) -> Result<()> {
        let next = AtomicUsize::new(0);
        let work = || -> Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(());
                }
                self.embed(texts.get(first + number))?;
            }
        };
        thread::scope(|scope| {
            let calling: Vec<_> = (0..callers).map(|_| scope.spawn(work)).collect();
            let mut ended = calling.into_iter();
            ended.try_for_each(|caller| caller.join().map_err(panicked)?)
        })
    }
}

fn default_model(trainer: &LongTrainer, role: Role) -> Result<String> {
    let models = trainer.default_models().into_iter();
    let found = models.filter(|model| model.role == role);
    let names: Vec<_> = found.map(|model| model.name).collect();
    let name = names.into_iter().next();
    name.with_context(|| format!("there is no default model for {role}"))
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> anyhow::Error {
    anyhow!("a caller of the engine panicked")
}
