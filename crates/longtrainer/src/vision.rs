//! Questions about pictures.
//!
//! A vision chat is a text chat whose questions come with pictures and whose model sees: history,
//! passages, trimming and streams are those of [`crate::response`]. Pictures stay with the questions
//! that they were shown with, so a later question sees them, too, for as long as its turn is in the
//! prompt.
//!
//! People send pictures that cannot be read far more often than questions that cannot be asked, and
//! want to see in the chat what became of them. So here whatever goes wrong once bot and chat are
//! found is stored as a failed turn, and the chat goes on.

mod image_input;
mod recall;
mod shown;

use longtrainer_store::BotRecord;

use crate::error::Result;
use crate::ids::{BotId, VisionChatId};
use crate::response::{Answer, Asked, Queued, ResponseOptions, ResponseStream, TurnDraft};
use crate::trainer::{Inner, LongTrainer};

pub use image_input::ImageInput;
pub use recall::MissingPicture;
pub(crate) use shown::ShownPictures;

impl LongTrainer {
    /// Asks about pictures in a vision chat and waits for the whole answer. The model sees them in
    /// their order, and those of the chat's earlier questions; a question may come without any. A bot
    /// that has no documents, or was not built, is asked all the same.
    ///
    /// ```no_run
    /// # use longtrainer::{BotId, LongTrainer, ResponseOptions};
    /// # fn look(trainer: &LongTrainer, bot_id: &BotId) -> longtrainer::Result<()> {
    /// let chat_id = trainer.new_vision_chat(bot_id)?;
    /// let options = ResponseOptions::default();
    /// let answer = trainer.get_vision_response(
    ///     "What is in these pictures?",
    ///     ["front.jpg", "back.png"],
    ///     bot_id,
    ///     &chat_id,
    ///     options,
    /// )?;
    /// println!("{}", answer.text);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`LongTrainer::stream_vision_response`], and whatever ends the answer before it is whole.
    pub fn get_vision_response(
        &self,
        query: &str,
        image_paths: impl IntoIterator<Item = impl Into<ImageInput>>,
        bot_id: &BotId,
        vision_chat_id: &VisionChatId,
        options: ResponseOptions,
    ) -> Result<Answer> {
        self.stream_vision_response(query, image_paths, bot_id, vision_chat_id, options)?
            .whole()
    }

    /// [`LongTrainer::get_vision_response`] whose answer comes piece by piece, for a thread to read.
    ///
    /// # Errors
    ///
    /// A question without text and unknown ids leave no turn. All else is stored as a failed turn
    /// with its reason: [`Error::TooManyPictures`](crate::Error::TooManyPictures),
    /// [`Error::Picture`](crate::Error::Picture) for one that cannot be read or is none,
    /// [`Error::ModelDoesNotSee`](crate::Error::ModelDoesNotSee), those of finding the vision model's
    /// files, a prompt that does not fit.
    pub fn stream_vision_response(
        &self,
        query: &str,
        image_paths: impl IntoIterator<Item = impl Into<ImageInput>>,
        bot_id: &BotId,
        vision_chat_id: &VisionChatId,
        options: ResponseOptions,
    ) -> Result<ResponseStream> {
        let asked = Asked::new(query, options)?;
        let bot = self.bot_of_chat(bot_id, vision_chat_id.as_str())?;
        let images: Vec<ImageInput> = image_paths.into_iter().map(Into::into).collect();
        let mut shown = ShownPictures::named(&images);
        let queued = shown
            .read(&images, self.inner.defaults.max_pictures)
            .and_then(|()| self.look(&asked, &shown, &bot, bot_id, vision_chat_id));
        let draft = TurnDraft::vision(
            vision_chat_id,
            &asked,
            shown,
            self.inner.keeps_pictures(&bot),
        );
        match queued {
            Ok(queued) => self.serve(draft, queued),
            Err(error) => Err(draft.fail(&*self.inner.store, "", &[], error)),
        }
    }

    /// [`LongTrainer::stream_vision_response`] for a task to read, since a [`ResponseStream`] is a
    /// stream, too. What is said of [`LongTrainer::aget_response`] holds here: it blocks until the
    /// prompt is queued.
    pub fn aget_vision_response(
        &self,
        query: &str,
        image_paths: impl IntoIterator<Item = impl Into<ImageInput>>,
        bot_id: &BotId,
        vision_chat_id: &VisionChatId,
        options: ResponseOptions,
    ) -> Result<ResponseStream> {
        self.stream_vision_response(query, image_paths, bot_id, vision_chat_id, options)
    }

    /// Puts the question with its pictures to the bot's vision model.
    fn look(
        &self,
        asked: &Asked,
        shown: &ShownPictures,
        bot: &BotRecord,
        bot_id: &BotId,
        chat_id: &VisionChatId,
    ) -> Result<Queued> {
        let model = self.inner.vision_model_of(bot)?;
        let past = self.inner.recall(chat_id)?;
        self.inner
            .queue(asked, shown.pictures(), bot_id, bot, model, past)
    }
}

impl Inner {
    fn keeps_pictures(&self, bot: &BotRecord) -> bool {
        bot.settings
            .keep_pictures
            .unwrap_or(self.defaults.keep_pictures)
    }
}
