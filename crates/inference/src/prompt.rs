//! From messages to the tokens of a prompt: template, control tokens, beginning-of-text token, and the
//! places of pictures.

mod pictures;

use crate::hub_folder::chat_template;
use crate::model_file::ModelFile;
use crate::template::{CHATML_TOKENS, ChatTemplate, Pictures};
use crate::tokenizer::{ControlTokens, GgufTokenizer};
use crate::{Error, Message, RawText, Result};

use pictures::Delimiters;
#[allow(unused_imports, reason = "a vision model builds its prompts with it")]
pub(crate) use pictures::{FrameSpan, PictureLayout, PicturePrompt};

const TEMPLATE_KEY: &str = "tokenizer.chat_template";

/// Template and tokenizer of a model.
#[derive(Debug)]
pub(crate) struct PromptBuilder {
    template: ChatTemplate,
    tokenizer: GgufTokenizer,
    /// What stands around frames, in vocabularies that know it.
    delimiters: Option<Delimiters>,
}

impl PromptBuilder {
    /// Reads both. A model without a template gets ChatML if its vocabulary has ChatML's tokens, and
    /// is an error otherwise.
    pub(crate) fn from_gguf(model: &str, file: &ModelFile) -> Result<Self> {
        let tokenizer = GgufTokenizer::from_gguf(model, file)?;
        let source = match file.folder() {
            Some(folder) => chat_template(folder)?,
            None => file.string(TEMPLATE_KEY)?.map(str::to_owned),
        };
        if source.is_none() && !CHATML_TOKENS.iter().all(|token| tokenizer.has_token(token)) {
            return Err(file.bad(format!(
                "{TEMPLATE_KEY} is missing, and the vocabulary has no ChatML tokens to fall back to"
            )));
        }
        let template = ChatTemplate::new(
            model,
            source.as_deref(),
            tokenizer.bos_text(),
            tokenizer.eos_text(),
        )?;
        Ok(Self {
            delimiters: Delimiters::of(&tokenizer),
            template,
            tokenizer,
        })
    }

    /// The tokenizer.
    pub(crate) fn tokenizer(&self) -> &GgufTokenizer {
        &self.tokenizer
    }

    /// Tokens of the prompt that these messages make; their pictures are left out.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] without messages, [`Error::Template`] when the template refuses
    /// them.
    pub(crate) fn tokens(&self, messages: &[Message]) -> Result<Vec<u32>> {
        check_any(messages)?;
        let controls = self.tokenizer.control_texts();
        let rendered = self.template.render(messages, controls, Pictures::None)?;
        let marked = self
            .tokenizer
            .encode_marked(&rendered.text, rendered.mark)?;
        let tokens = self.with_leading_token(marked);
        if tokens.is_empty() {
            return Err(Error::InvalidRequest {
                field: "messages",
                value: "an empty prompt".to_owned(),
                expected: "messages of which the model's template makes some text",
            });
        }
        Ok(tokens)
    }

    /// Tokens of a text that goes to the model as it stands.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for tokens that are not in the vocabulary, and for no token at all.
    pub(crate) fn raw_tokens(&self, text: &RawText) -> Result<Vec<u32>> {
        let tokens = match text {
            RawText::Text(text) => {
                let tokens = self.tokenizer.encode(text, ControlTokens::Read)?;
                self.with_leading_token(tokens)
            }
            RawText::Tokens(tokens) => tokens.clone(),
        };
        let unknown = |token: &&u32| **token as usize >= self.tokenizer.len();
        let invalid = |value: String, expected| Error::InvalidRequest {
            field: "prompt",
            value,
            expected,
        };
        if let Some(token) = tokens.iter().find(unknown) {
            return Err(invalid(
                format!("with token {token}"),
                "tokens of the vocabulary",
            ));
        }
        match tokens.is_empty() {
            true => Err(invalid("empty".to_owned(), "some text")),
            false => Ok(tokens),
        }
    }

    /// Many templates write the beginning-of-text token themselves; it is never doubled.
    fn with_leading_token(&self, mut tokens: Vec<u32>) -> Vec<u32> {
        if let Some(leading) = self.tokenizer.leading_token()
            && tokens.first() != Some(&leading)
        {
            tokens.insert(0, leading);
        }
        tokens
    }
}

fn check_any(messages: &[Message]) -> Result<()> {
    match messages.is_empty() {
        false => Ok(()),
        true => Err(Error::InvalidRequest {
            field: "messages",
            value: "empty".to_owned(),
            expected: "at least one message",
        }),
    }
}

#[cfg(test)]
mod tests;
