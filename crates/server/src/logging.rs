//! The log of a server program, to standard error: text for a person, JSON for a machine.
//!
//! What is said about a request stands in its span, with its id, method and route.

use std::fmt;
use std::io::{self, IsTerminal};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For a person.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// What goes wrong.
    Quiet,
    /// That, and a line for every request.
    #[default]
    Requests,
    /// That, and what the engine and the store are doing.
    Verbose,
    /// Everything.
    Debug,
}

impl Verbosity {
    /// What the usual flags ask for: `--quiet`, and `--verbose` so many times.
    pub fn new(quiet: bool, verbose: u8) -> Self {
        match (quiet, verbose) {
            (true, _) => Self::Quiet,
            (false, 0) => Self::Requests,
            (false, 1) => Self::Verbose,
            (false, _) => Self::Debug,
        }
    }

    fn filter(self) -> Targets {
        match self {
            Self::Quiet => Targets::new().with_default(LevelFilter::WARN),
            Self::Requests => Targets::new()
                .with_default(LevelFilter::WARN)
                .with_target(env!("CARGO_CRATE_NAME"), LevelFilter::INFO),
            Self::Verbose => Targets::new().with_default(LevelFilter::INFO),
            Self::Debug => Targets::new().with_default(LevelFilter::DEBUG),
        }
    }
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("neither text nor json".to_owned()),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// Starts the log of the whole program; called once.
///
/// # Errors
///
/// The program has a log already.
pub fn start_log(format: LogFormat, verbosity: Verbosity) -> Result<(), TryInitError> {
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(is_coloured()).boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(verbosity.filter()))
        .try_init()
}

/// A terminal is, unless its user asked for none; see <https://no-color.org>.
fn is_coloured() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !unwanted
}
