//! Reading one answer as it streams, and telling its sources and what it cost.

use std::io;

use futures_lite::{StreamExt, future};
use longtrainer::{
    Answer, Chunk, FinishReason, ResponseStream, RetrievalUse, RetrievedDocument, Usage,
};

use crate::chat_name::AnyChatId;
use crate::interrupt::Interrupts;
use crate::notes::Notes;
use crate::output::Output;
use crate::source_line::place_of;

/// How the reading ended.
pub(crate) enum Outcome {
    Answered(Box<Answer>),
    /// Ctrl-C: what had been said by then is stored as a cancelled turn.
    Cancelled,
}

/// What can happen next.
enum Event {
    Item(Option<longtrainer::Result<Chunk>>),
    Interrupted,
}

/// Reads an answer to its end, or until Ctrl-C; `on_text` gets each piece.
pub(crate) fn read(
    mut stream: ResponseStream,
    chat_id: &AnyChatId,
    interrupts: &Interrupts,
    mut on_text: impl FnMut(&str) -> io::Result<()>,
) -> anyhow::Result<Outcome> {
    let watch = interrupts.watch();
    loop {
        let interrupted = async {
            watch.interrupted().await;
            Event::Interrupted
        };
        let next = async { Event::Item(StreamExt::next(&mut stream).await) };
        match future::block_on(future::or(interrupted, next)) {
            Event::Item(Some(item)) => match item? {
                Chunk::Sources(_) => {}
                Chunk::Text(piece) => {
                    if let Err(error) = on_text(&piece) {
                        stream.cancel();
                        return Err(error.into());
                    }
                }
                Chunk::Done(answer) => return Ok(Outcome::Answered(answer)),
            },
            Event::Item(None) => {
                let chat_id = chat_id.to_string();
                return Err(longtrainer::Error::AnswerBrokeOff { chat_id }.into());
            }
            Event::Interrupted => {
                stream.cancel();
                return Ok(Outcome::Cancelled);
            }
        }
    }
}

/// Reads an answer to its end, or until Ctrl-C, and prints it as it comes. However it ends, what
/// follows stands on a line of its own.
pub(crate) fn show(
    stream: ResponseStream,
    chat_id: &AnyChatId,
    interrupts: &Interrupts,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let mut is_within_line = false;
    let outcome = read(stream, chat_id, interrupts, |piece| {
        is_within_line = !piece.ends_with('\n');
        output.piece(piece)
    });
    if is_within_line {
        output.line("")?;
    }
    outcome
}

/// The passages of an answer, a line each.
pub(crate) fn print_sources(output: &mut Output, sources: &[RetrievedDocument]) -> io::Result<()> {
    if sources.is_empty() {
        return output.line("Sources: none");
    }
    output.line("Sources:")?;
    for source in sources {
        output.line(&format!(
            "  {} (score {:.3})",
            place_of(&source.metadata),
            source.score
        ))?;
    }
    Ok(())
}

/// What a person should know of how passages were found.
pub(crate) fn tell_retrieval(retrieval: &RetrievalUse, notes: Notes) {
    if let Some(reason) = &retrieval.phrasing_error {
        notes.warn(format_args!(
            "the question was searched for in its own words only: {reason}"
        ));
    }
    for phrasing in &retrieval.phrasings {
        notes.detail(format_args!("also searched for: {phrasing}"));
    }
}

/// What a person should know of how the answer was made.
pub(crate) fn tell(answer: &Answer, notes: Notes) {
    tell_retrieval(&answer.retrieval, notes);
    if answer.history.left_out > 0 {
        notes.say(format_args!(
            "note: the model was not shown the {} oldest turns of this chat: they do not fit",
            answer.history.left_out
        ));
    }
    if answer.history.pictures_left_out > 0 {
        notes.say(format_args!(
            "note: {} earlier pictures went with those turns",
            answer.history.pictures_left_out
        ));
    }
    for missing in &answer.missing_pictures {
        notes.warn(format_args!(
            "the model was not shown {} of turn {}: {}",
            missing.name, missing.turn, missing.reason
        ));
    }
    if answer.finish_reason == FinishReason::Length {
        notes.say(format_args!(
            "note: the answer was cut off at {} tokens; --max-tokens allows more",
            answer.usage.completion_tokens
        ));
    }
    notes.detail(format_args!(
        "{} prompt tokens, {} answer tokens, {:.1} tokens/s, first token after {:.0} ms",
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
        tokens_per_second(&answer.usage),
        milliseconds_to_first_token(&answer.usage),
    ));
}

/// Tokens made a second, the first one apart: it belongs to the reading of the prompt. Zero if
/// there was at most one.
pub(crate) fn tokens_per_second(usage: &Usage) -> f64 {
    let seconds = usage.decode_time.as_secs_f64();
    match seconds > 0.0 {
        true => usage.completion_tokens.saturating_sub(1) as f64 / seconds,
        false => 0.0,
    }
}

/// Milliseconds from the request to the first token.
pub(crate) fn milliseconds_to_first_token(usage: &Usage) -> f64 {
    usage.time_to_first_token.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn speed_leaves_the_first_token_out() {
        let usage = |completion_tokens, seconds| Usage {
            completion_tokens,
            decode_time: Duration::from_secs(seconds),
            ..Usage::default()
        };
        assert_eq!(tokens_per_second(&usage(21, 2)), 10.0);
        assert_eq!(tokens_per_second(&usage(1, 0)), 0.0);
        assert_eq!(tokens_per_second(&usage(0, 1)), 0.0);
    }
}
