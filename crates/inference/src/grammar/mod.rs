//! Answers in a given shape: which tokens may come next.
//!
//! A grammar is compiled before the first token, so whatever is wrong with it is an error by then: it
//! cannot be read, it allows no text at all, it allows none that ends, or it is too large. Compiling
//! and the walk through the grammar are llguidance's. What it does not look for is looked for here:
//! limits of size, whole numbers that do not fit into its floats, and rules without an end. JSON whose
//! tokens run short is brought to its end.

mod closing;
mod compile;
mod endings;
mod guide;
mod least;
mod schema;
mod source;
mod validate;
mod vocabulary;
mod way_out;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use llguidance::api::ParserLimits;
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{InferenceCapabilities, TokEnv};
use llguidance::{ParserFactory, panic_utils};

use crate::tokenizer::GgufTokenizer;
use crate::{Error, Grammar, Result};

pub(crate) use guide::Guide;
pub use validate::{JsonProblem, validate_json};
use way_out::WayOut;

/// Compiles grammars for the vocabulary of one model. Making it takes a fraction of a second and
/// some memory, so it is made for the first request that needs it.
pub(crate) struct GuideFactory {
    parsers: Arc<ParserFactory>,
    /// How JSON comes to its end.
    ways: Arc<WayOut>,
    /// Compilations that are under way, those that nobody waits for any more among them.
    compiling: Arc<AtomicUsize>,
}

impl std::fmt::Debug for GuideFactory {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("GuideFactory")
            .finish_non_exhaustive()
    }
}

impl GuideFactory {
    /// Reads the vocabulary.
    ///
    /// # Errors
    ///
    /// [`Error::Grammar`] for a vocabulary that grammars cannot be used with.
    pub(crate) fn new(tokenizer: &GgufTokenizer) -> Result<Self> {
        let made = panic_utils::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let environment: TokEnv = Arc::new(vocabulary::environment(tokenizer)?);
            let slices = SlicedBiasComputer::json_slices();
            let capabilities = InferenceCapabilities::default();
            let mut parsers = ParserFactory::new(&environment, capabilities, &slices)?;
            parsers.quiet();
            *parsers.limits_mut() = limits();
            Ok((parsers, WayOut::new(environment)))
        }));
        let (parsers, ways) = made.map_err(|problem| Error::Grammar {
            kind: "grammar",
            problem: first_line(&problem.to_string()),
        })?;
        Ok(Self {
            parsers: Arc::new(parsers),
            ways: Arc::new(ways),
            compiling: Arc::default(),
        })
    }

    /// Compiles a grammar for one answer.
    ///
    /// # Errors
    ///
    /// [`Error::Grammar`] for grammars that cannot be read, cannot be met or are too large.
    pub(crate) fn compile(&self, grammar: &Grammar) -> Result<Guide> {
        compile::in_time(&self.parsers, &self.compiling, grammar, &self.ways)
    }
}

/// A grammar within these compiles and steps in milliseconds; one that goes beyond them is refused
/// instead of taking as long as it likes.
fn limits() -> ParserLimits {
    ParserLimits {
        // Symbols are numbered in 16 bits.
        max_grammar_size: 60_000,
        // Some kilobytes each.
        max_lexer_states: 50_000,
        verbose_errors: false,
        ..ParserLimits::default()
    }
}

/// Characters of a message that are passed on; some repeat the grammar.
const LONGEST_MESSAGE: usize = 300;

/// What a person can use of a message: not the state of the parser, nor where a panic came from.
fn first_line(message: &str) -> String {
    let end = ["\n<", "<non-verbose"]
        .iter()
        .filter_map(|mark| message.find(mark))
        .min();
    let message = message[..end.unwrap_or(message.len())].trim();
    let lines = message.lines().map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).take(3).collect();
    let said = lines.join("; ");
    match said.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &said[..end]),
        None => said,
    }
}

#[cfg(test)]
mod tests;
