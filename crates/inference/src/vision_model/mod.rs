//! A text model that sees: pictures go through a vision tower and stand in the prompt as soft tokens.
//!
//! The text model stays what it is, and serves other requests in the same batches meanwhile. A picture
//! is looked at once: what the tower made of it is kept under its hash, and its soft tokens keep their
//! numbers, so a follow-up question costs no vision work and finds the keys and values of the picture in
//! the prefix cache.
//!
//! Whatever can be refused is refused when a request comes: new pictures are decoded then, to see that
//! they can be. Looking at them takes longer, and is done by a thread that the tower belongs to, in the
//! order of their coming; it stops between frames when nobody waits for the answer any more.

mod eyes;
mod features;
mod looker;
mod options;
mod soft_numbers;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use async_channel::Sender;
use longtrainer_images::{Detail, Picture};

use crate::prompt::PicturePrompt;
use crate::soft::SoftSpan;
use crate::text_model::CheckedRequest;
use crate::vision::{VisionCheckpoint, VisionTower, load_tower};
use crate::{
    Adapter, Error, GenerateRequest, GgufTextModel, Message, Result, StreamItem, TextModel,
    TextModelInfo, TextStream,
};

use eyes::Eyes;
use features::Features;
use looker::Looker;
pub use options::VisionModelOptions;

/// A text model with a vision tower before it. Dropping it ends the streams whose pictures were not
/// looked at yet with [`Error::EngineStopped`].
#[derive(Debug)]
pub struct VisionModel {
    info: TextModelInfo,
    text: Arc<GgufTextModel>,
    adapter: Option<Adapter>,
    eyes: Arc<Eyes>,
    looker: Looker,
}

impl VisionModel {
    /// Puts a vision half before a text model. `vision` is a folder as published on the hub, of which
    /// only the vision half is read, or llama.cpp's `mmproj` file. `adapter` is what changes the text
    /// model for the requests that come through here, unless they bring their own.
    ///
    /// # Errors
    ///
    /// Those of [`VisionCheckpoint::open`] and [`load_tower`]; [`Error::VisionMismatch`] if the tower was
    /// made for text models of another width; [`Error::AdapterMismatch`] likewise; [`Error::Threads`].
    pub fn load(
        name: &str,
        text: Arc<GgufTextModel>,
        vision: &Path,
        adapter: Option<Adapter>,
        options: &VisionModelOptions,
    ) -> Result<Self> {
        let checkpoint = VisionCheckpoint::open(vision)?;
        check_width(name, &checkpoint, &text)?;
        if let Some(adapter) = &adapter {
            text.check_adapter(adapter)?;
        }
        let tower = load_tower(
            &checkpoint,
            &options.device,
            options.threads,
            options.precision,
        )?;
        Self::with_tower(name, text, (tower, vision), adapter, options)
    }

    /// Puts a tower, with where it came from, before a text model of its width.
    fn with_tower(
        name: &str,
        text: Arc<GgufTextModel>,
        (tower, path): (Arc<dyn VisionTower>, &Path),
        adapter: Option<Adapter>,
        options: &VisionModelOptions,
    ) -> Result<Self> {
        let eyes = Arc::new(Eyes::new(name, tower, path, options)?);
        Ok(Self {
            info: TextModelInfo {
                model: name.to_owned(),
                ..text.info().clone()
            },
            looker: Looker::start(name, Arc::clone(&eyes), Arc::clone(&text))?,
            text,
            adapter,
            eyes,
        })
    }

    /// The prompt of some messages, with places for their pictures.
    fn prompt(&self, messages: &[Message], detail: Option<Detail>) -> Result<PicturePrompt> {
        let layouts = pictures(messages)
            .map(|picture| self.eyes.layout(picture, detail))
            .collect::<Result<Vec<_>>>()?;
        self.text.prompts().picture_tokens(messages, &layouts)
    }
}

impl TextModel for VisionModel {
    fn info(&self) -> &TextModelInfo {
        &self.info
    }

    fn sees(&self) -> bool {
        true
    }

    fn count_tokens(&self, messages: &[Message], detail: Option<Detail>) -> Result<usize> {
        Ok(self.prompt(messages, detail)?.tokens.len())
    }

    fn generate(&self, mut request: GenerateRequest) -> Result<TextStream> {
        if request.text.is_some() {
            return Err(Error::InvalidRequest {
                field: "text",
                value: "given".to_owned(),
                expected: "left out: this model looks at the pictures of messages",
            });
        }
        if request.adapter.is_none() {
            request.adapter.clone_from(&self.adapter);
        }
        let checked = self.text.check(&request)?;
        let prompt = self.prompt(&request.messages, request.detail)?;
        self.text
            .check_fits(prompt.tokens.len(), request.max_tokens)?;
        let (events, receiver) = async_channel::unbounded();
        let question = Question {
            checked,
            prompt,
            pictures: pictures(&request.messages).cloned().collect(),
            detail: request.detail,
            events,
        };
        match self.eyes.known(&question) {
            Some(features) => question.ask(&self.text, &features)?,
            None => {
                self.eyes.check_pictures(&question)?;
                self.looker.look(question)?;
            }
        }
        Ok(TextStream::new(receiver))
    }

    /// Of the vision half alone: the text model is counted where it is held.
    fn memory_bytes(&self) -> usize {
        self.eyes.memory_bytes()
    }
}

/// A request whose pictures may still have to be looked at.
struct Question {
    checked: CheckedRequest,
    prompt: PicturePrompt,
    pictures: Vec<Picture>,
    detail: Option<Detail>,
    events: Sender<Result<StreamItem>>,
}

impl Question {
    /// Queues the request with what the tower made of its pictures, in their order.
    fn ask(self, text: &GgufTextModel, features: &[Arc<Features>]) -> Result<()> {
        let mut tokens = self.prompt.tokens;
        for span in &self.prompt.frames {
            let places = &mut tokens[span.start..span.start + span.len];
            for (place, number) in places.iter_mut().zip(features[span.picture].frame(span)) {
                *place = number;
            }
        }
        let soft = features.iter().map(|features| SoftSpan {
            first: features.first(),
            rows: features.rows(),
        });
        text.submit(self.checked, tokens, soft.collect(), self.events)
    }
}

fn pictures(messages: &[Message]) -> impl Iterator<Item = &Picture> {
    messages.iter().flat_map(|message| &message.pictures)
}

fn check_width(name: &str, vision: &VisionCheckpoint, text: &GgufTextModel) -> Result<()> {
    let (vision_width, text_width) = (vision.config().text_width, text.hidden_width());
    if vision_width == text_width {
        return Ok(());
    }
    Err(Error::VisionMismatch {
        vision: name.to_owned(),
        vision_width,
        text: text.info().model.clone(),
        text_width,
    })
}
