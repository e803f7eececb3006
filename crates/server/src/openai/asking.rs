//! Asks whatever a request names as its model: one of the registry, or a bot.

use longtrainer::{
    BotChat, BotId, Detail, DirectAnswer, Error, Grammar, InferenceError, LongTrainer, Message,
    ModelRequest, Prompt, ResponseOptions,
};

use super::error::OpenAiError;
use super::format::Shape;
use super::sampling::SamplingFields;
use super::tools::Tools;

/// A checked question.
pub(super) struct Ask {
    pub(super) model: String,
    pub(super) messages: Vec<Message>,
    pub(super) detail: Option<Detail>,
    pub(super) max_tokens: Option<usize>,
    pub(super) sampling: SamplingFields,
    pub(super) stop: Vec<String>,
    pub(super) shape: Option<Shape>,
    pub(super) top_logprobs: Option<usize>,
}

/// The id in a model's name, if it is that of a bot.
pub(super) fn bot_named(model: &str) -> Option<Result<BotId, OpenAiError>> {
    model.starts_with("bot-").then(|| {
        let id = model.parse::<BotId>();
        id.map_err(|_| OpenAiError::no_such_model(model))
    })
}

impl Ask {
    /// What was said last, which the model is to answer.
    pub(super) fn question(&self) -> &str {
        self.messages.last().map_or("", |last| &last.content)
    }

    /// Asks. It blocks while a model is loaded or passages are found.
    pub(super) fn begin(
        self,
        trainer: &LongTrainer,
        tools: Option<&Tools>,
    ) -> Result<DirectAnswer, OpenAiError> {
        match bot_named(&self.model) {
            Some(bot) => self.ask_bot(trainer, &bot?, tools),
            None => self.ask_model(trainer, tools),
        }
    }

    fn ask_bot(
        self,
        trainer: &LongTrainer,
        bot: &BotId,
        tools: Option<&Tools>,
    ) -> Result<DirectAnswer, OpenAiError> {
        let called = self.messages.iter().any(|one| !one.tool_calls.is_empty());
        if tools.is_some() || called {
            let message = "tools: a bot answers from its documents and calls no functions";
            return Err(OpenAiError::unsupported("tools", message));
        }
        let options = ResponseOptions {
            max_tokens: self.max_tokens,
            sampling: Some(self.sampling.over(&trainer.defaults().sampling)?),
            stop: self.stop,
            schema: self.shape.map(|shape| shape.schema),
            top_logprobs: self.top_logprobs,
            detail: self.detail,
            ..ResponseOptions::default()
        };
        let messages = self.messages;
        Ok(trainer.ask_bot(bot, BotChat { messages, options })?)
    }

    fn ask_model(
        mut self,
        trainer: &LongTrainer,
        tools: Option<&Tools>,
    ) -> Result<DirectAnswer, OpenAiError> {
        let grammar = self.grammar(tools)?;
        if let Some(tools) = tools {
            tools.tell(&mut self.messages);
        }
        if let Some(shape) = &self.shape {
            shape.instruct(&mut self.messages);
        }
        let request = ModelRequest {
            max_tokens: self.max_tokens,
            sampling: Some(self.sampling.over(&trainer.defaults().sampling)?),
            stop: self.stop,
            grammar,
            top_logprobs: self.top_logprobs,
            detail: self.detail,
            ..ModelRequest::new(Prompt::Chat(self.messages))
        };
        let asked = trainer.ask_model(&self.model, request);
        asked.map_err(
            |error| match (is_about_grammar(&error), tools, &self.shape) {
                (true, Some(_), _) => OpenAiError::from(error).about("tools"),
                (true, None, Some(shape)) => OpenAiError::from(error).about(shape.param),
                _ => error.into(),
            },
        )
    }

    fn grammar(&self, tools: Option<&Tools>) -> Result<Option<Grammar>, OpenAiError> {
        match (tools, &self.shape) {
            (Some(_), Some(_)) => {
                let message = "response_format: an answer that may be a call of a function cannot be \
                               kept to a schema as well; set tool_choice to none or leave one out";
                Err(OpenAiError::unsupported("response_format", message))
            }
            (Some(tools), None) => Ok(Some(tools.grammar())),
            (None, Some(shape)) => Ok(Some(shape.grammar())),
            (None, None) => Ok(None),
        }
    }
}

fn is_about_grammar(error: &Error) -> bool {
    matches!(error, Error::Inference(InferenceError::Grammar { .. }))
}
