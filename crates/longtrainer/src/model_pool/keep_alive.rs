//! How long a model stays in memory when nobody uses it.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// How long a model stays in memory when nobody uses it. As text it is a duration such as `10m`,
/// `1h 30m` or `0s`, or `forever`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum KeepAlive {
    /// Until its memory is needed for another model, or it is unloaded by name.
    #[default]
    Forever,
    /// This long after its last use; with zero it is unloaded at once.
    For(Duration),
}

impl KeepAlive {
    /// When a model that was last used at `last_used` is to go; never, if the clock does not reach
    /// that far.
    pub(super) fn end(self, last_used: Instant) -> Option<Instant> {
        match self {
            Self::Forever => None,
            Self::For(duration) => last_used.checked_add(duration),
        }
    }
}

impl FromStr for KeepAlive {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = || Error::InvalidSetting {
            name: "keep_alive",
            value: format!("{text:?}"),
            expected: "a duration such as `10m`, `1h 30m` or `0s`, or `forever`",
        };
        match text.trim() {
            "forever" => Ok(Self::Forever),
            // Zero of anything is nothing, so nobody has to give it a unit.
            "0" => Ok(Self::For(Duration::ZERO)),
            duration => {
                let duration: SignedDuration = duration.parse().map_err(|_| invalid())?;
                let duration = Duration::try_from(duration).map_err(|_| invalid())?;
                Ok(Self::For(duration))
            }
        }
    }
}

impl fmt::Display for KeepAlive {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forever => formatter.write_str("forever"),
            Self::For(duration) => match SignedDuration::try_from(*duration) {
                Ok(duration) => write!(formatter, "{duration:#}"),
                // Longer than the age of the universe, which no text stands for.
                Err(_) => formatter.write_str("forever"),
            },
        }
    }
}

impl TryFrom<String> for KeepAlive {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<KeepAlive> for String {
    fn from(keep_alive: KeepAlive) -> Self {
        keep_alive.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        for (text, seconds) in [
            ("10m", 600),
            ("1h 30m", 5400),
            ("0s", 0),
            ("45 seconds", 45),
        ] {
            let keep_alive: KeepAlive = text.parse().unwrap();
            assert_eq!(keep_alive, KeepAlive::For(Duration::from_secs(seconds)));
            assert_eq!(
                keep_alive.to_string().parse::<KeepAlive>().unwrap(),
                keep_alive
            );
        }
        assert_eq!("forever".parse::<KeepAlive>().unwrap(), KeepAlive::Forever);
        assert_eq!(
            "0".parse::<KeepAlive>().unwrap(),
            KeepAlive::For(Duration::ZERO)
        );
        let longest = KeepAlive::For(Duration::MAX).to_string();
        assert_eq!(longest.parse::<KeepAlive>().unwrap(), KeepAlive::Forever);
    }

    #[test]
    fn other_texts_are_refused_and_repeated() {
        for text in ["", "10", "-10m", "10 parsecs", "for ever", "1e9h", "1mo"] {
            let error = text.parse::<KeepAlive>().unwrap_err().to_string();
            assert!(
                error.contains(&format!("keep_alive is {text:?}")),
                "{error}"
            );
        }
    }
}
