//! Compiling in a thread of its own: grammars are read by recursion, deeper than the stack of a
//! caller may go, and must not take longer than somebody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use llguidance::{Matcher, ParserFactory, panic_utils};

use super::closing::Endings;
use super::least::longest_part;
use super::way_out::WayOut;
use super::{Guide, endings, first_line, source};
use crate::{Error, Grammar, Result};

/// A grammar that takes longer is refused.
const PATIENCE: Duration = Duration::from_secs(10);
/// Grammars that may be compiled at once.
const AT_ONCE: usize = 8;
/// Stack of the thread. It takes memory only as far as it is used.
const STACK: usize = 256 << 20;

/// What is wrong with a grammar, in words.
type Problem = String;

/// Compiles a grammar, or gives up.
pub(super) fn in_time(
    parsers: &Arc<ParserFactory>,
    compiling: &Arc<AtomicUsize>,
    grammar: &Grammar,
    ways: &Arc<WayOut>,
) -> Result<Guide> {
    let kind = source::kind(grammar);
    let failed = |problem: Problem| Error::Grammar { kind, problem };
    let turn = Turn::take(compiling)
        .ok_or_else(|| failed(format!("{AT_ONCE} grammars are being read at the moment")))?;
    let (done, result) = mpsc::sync_channel(1);
    let (parsers, ways, grammar) = (Arc::clone(parsers), Arc::clone(ways), grammar.clone());
    let work = move || {
        let compiled = compile(&parsers, &grammar);
        let endings = || endings(ways, &grammar);
        let compiled = compiled.and_then(|matcher| Guide::new(matcher, kind, endings()));
        drop(turn);
        // Nobody waits any more when it took too long.
        let _ = done.send(compiled);
    };
    let thread = thread::Builder::new()
        .name("grammar".to_owned())
        .stack_size(STACK);
    thread
        .spawn(work)
        .map_err(|error| failed(error.to_string()))?;
    match result.recv_timeout(PATIENCE) {
        Ok(compiled) => compiled.map_err(failed),
        Err(RecvTimeoutError::Timeout) => {
            Err(failed(format!("reading it takes more than {PATIENCE:?}")))
        }
        Err(RecvTimeoutError::Disconnected) => Err(failed("reading it failed".to_owned())),
    }
}

fn compile(parsers: &ParserFactory, grammar: &Grammar) -> Result<Matcher, Problem> {
    let compiled = panic_utils::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let source = source::read(grammar).map_err(anyhow::Error::msg)?;
        let parser = parsers.create_parser(source)?;
        endings::check(parser.parser.grammar(), parsers.limits())?;
        Ok(Matcher::new(Ok(parser)))
    }));
    compiled.map_err(|error| first_line(&format!("{error:#}")))
}

/// Only JSON is brought to its end: of other grammars nobody can say what is lost with an end.
fn endings(ways: Arc<WayOut>, grammar: &Grammar) -> Option<Endings> {
    match grammar {
        Grammar::JsonSchema(schema) => Some(Endings {
            ways,
            longest_part: longest_part(schema),
        }),
        _ => None,
    }
}

/// One of the compilations that may be under way.
struct Turn(Arc<AtomicUsize>);

impl Turn {
    fn take(count: &Arc<AtomicUsize>) -> Option<Self> {
        let turn = Self(Arc::clone(count));
        let before = count.fetch_add(1, Ordering::Relaxed);
        (before < AT_ONCE).then_some(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
