//! What is checked before any work is done for a question.

use longtrainer_store::BotRecord;

use crate::error::{Error, Result};
use crate::ids::BotId;

/// No model's context holds more than this; refused before it is even tokenised.
const LIMIT: usize = 1 << 20;

/// A question must have text, and not more of it than any prompt can hold.
pub(crate) fn check(question: &str) -> Result<()> {
    if question.trim().is_empty() {
        return Err(Error::EmptyQuestion);
    }
    if question.len() > LIMIT {
        return Err(Error::QuestionTooLarge {
            bytes: question.len(),
            limit: LIMIT,
        });
    }
    Ok(())
}

/// A bot that was never built would answer without its documents, which nobody means.
pub(crate) fn check_built(bot_id: &BotId, bot: &BotRecord) -> Result<()> {
    match bot.built_at {
        Some(_) => Ok(()),
        None => Err(Error::NotBuilt {
            bot_id: bot_id.clone(),
        }),
    }
}
