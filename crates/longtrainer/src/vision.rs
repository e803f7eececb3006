//! Vision answers. Their chats and records exist; the model that looks at pictures does not yet,
//! and a question about pictures says so.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::ids::{BotId, VisionChatId};
use crate::response::{Answer, ResponseOptions};
use crate::trainer::LongTrainer;

impl LongTrainer {
    /// Asks about pictures. Always [`Error::NoVisionModel`] in this version, once bot and chat
    /// have been found; nothing is stored.
    pub fn get_vision_response(
        &self,
        query: &str,
        _image_paths: &[PathBuf],
        bot_id: &BotId,
        vision_chat_id: &VisionChatId,
        _options: ResponseOptions,
    ) -> Result<Answer> {
        crate::question::check(query)?;
        self.bot_of_chat(bot_id, vision_chat_id.as_str())?;
        Err(Error::NoVisionModel)
    }
}
