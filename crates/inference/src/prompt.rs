//! From messages to the tokens of a prompt: template, control tokens, beginning-of-text token.

use crate::gguf::GgufFile;
use crate::template::{CHATML_TOKENS, ChatTemplate};
use crate::tokenizer::GgufTokenizer;
use crate::{Error, Message, Result};

const TEMPLATE_KEY: &str = "tokenizer.chat_template";

/// Template and tokenizer of a model.
#[derive(Debug)]
pub(crate) struct PromptBuilder {
    template: ChatTemplate,
    tokenizer: GgufTokenizer,
}

impl PromptBuilder {
    /// Reads both. A file without a template gets ChatML if its vocabulary has ChatML's tokens, and
    /// is an error otherwise.
    pub(crate) fn from_gguf(model: &str, file: &GgufFile) -> Result<Self> {
        let tokenizer = GgufTokenizer::from_gguf(model, file)?;
        let source = file.string(TEMPLATE_KEY)?;
        if source.is_none() && !CHATML_TOKENS.iter().all(|token| tokenizer.has_token(token)) {
            return Err(file.bad(format!(
                "{TEMPLATE_KEY} is missing, and the vocabulary has no ChatML tokens to fall back to"
            )));
        }
        let template =
            ChatTemplate::new(model, source, tokenizer.bos_text(), tokenizer.eos_text())?;
        Ok(Self {
            template,
            tokenizer,
        })
    }

    /// The tokenizer.
    pub(crate) fn tokenizer(&self) -> &GgufTokenizer {
        &self.tokenizer
    }

    /// Tokens of the prompt that these messages make.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] without messages, [`Error::Template`] when the template refuses
    /// them.
    pub(crate) fn tokens(&self, messages: &[Message]) -> Result<Vec<u32>> {
        if messages.is_empty() {
            return Err(Error::InvalidRequest {
                field: "messages",
                value: "empty".to_owned(),
                expected: "at least one message",
            });
        }
        let rendered = self
            .template
            .render(messages, self.tokenizer.control_texts())?;
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
