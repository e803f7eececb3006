//! Chats made through the library, with a model that needs no weights.

use std::sync::Arc;
use std::time::Duration;

use longtrainer::{
    BotOptions, FinishReason, GenerateRequest, Generation, LongTrainer, Message, ResponseOptions,
    StreamItem, TextModel, TextModelInfo, TextStream, Usage,
};
use longtrainer_inference::Result;

use crate::world::World;

/// Says the question back, having looked at its pictures.
pub(crate) struct Echo(TextModelInfo);

impl TextModel for Echo {
    fn info(&self) -> &TextModelInfo {
        &self.0
    }

    fn sees(&self) -> bool {
        true
    }

    fn count_tokens(
        &self,
        messages: &[Message],
        _detail: Option<longtrainer::Detail>,
    ) -> Result<usize> {
        Ok(messages.len())
    }

    fn generate(&self, request: GenerateRequest) -> Result<TextStream> {
        let (sender, receiver) = async_channel::unbounded();
        let usage = Usage {
            time_to_first_token: Duration::from_millis(1),
            ..Usage::default()
        };
        let answer = format!("Echo: {}", request.messages.last().unwrap().content);
        let end = Generation {
            finish_reason: FinishReason::Stop,
            usage,
        };
        for item in [StreamItem::Text(answer), StreamItem::Done(end)] {
            sender.send_blocking(Ok(item)).unwrap();
        }
        Ok(TextStream::new(receiver))
    }
}

/// The library over this world's data folder. No command may run while it is open.
pub(crate) fn trainer(world: &World) -> LongTrainer {
    let model = Arc::new(Echo(TextModelInfo {
        model: "echo".to_owned(),
        context_length: 10_000,
        device: "cpu".to_owned(),
    }));
    LongTrainer::builder(world.data())
        .text_model(model.clone())
        .vision_model(model)
        .build()
        .unwrap()
}

/// A bot with a text chat of these questions and a vision chat: their ids.
pub(crate) fn chats(world: &World, questions: &[&str]) -> (String, String, String) {
    let trainer = trainer(world);
    let bot = trainer.initialize_bot_id().unwrap();
    trainer.create_bot(&bot, BotOptions::default()).unwrap();
    let chat = trainer.new_chat(&bot).unwrap();
    for question in questions {
        trainer
            .get_response(question, &bot, &chat, ResponseOptions::default())
            .unwrap();
    }
    let vision = trainer.new_vision_chat(&bot).unwrap();
    (bot.to_string(), chat.to_string(), vision.to_string())
}
