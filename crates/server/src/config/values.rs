//! Values as people write them, in the file, in variables and behind flags.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// A value that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct InvalidValue {
    text: String,
    expected: &'static str,
}

macro_rules! as_text {
    ($name:ident, $expected:literal) => {
        impl FromStr for $name {
            type Err = InvalidValue;

            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                Self::read(text.trim()).ok_or_else(|| InvalidValue {
                    text: text.to_owned(),
                    expected: $expected,
                })
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidValue;

            fn try_from(text: String) -> Result<Self, InvalidValue> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}

/// An address to listen on: `localhost` or an address in figures. Another name could come to mean
/// another machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Host(pub IpAddr);

as_text!(Host, "localhost or an IP address");

impl Host {
    fn read(text: &str) -> Option<Self> {
        match text.eq_ignore_ascii_case("localhost") {
            true => Some(Self(IpAddr::V4(Ipv4Addr::LOCALHOST))),
            false => text.parse().ok().map(Self),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A time, as `30s` or `1m 30s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(pub Duration);

as_text!(Time, "a duration such as `30s` or `1m 30s`");

impl Time {
    fn read(text: &str) -> Option<Self> {
        let duration: SignedDuration = text.parse().ok()?;
        Duration::try_from(duration).ok().map(Self)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let duration = SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX);
        write!(formatter, "{duration:#}")
    }
}

/// A number of bytes, as `2MiB` or `65536`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(pub usize);

as_text!(Size, "a size such as `2MiB`");

impl Size {
    fn read(text: &str) -> Option<Self> {
        let size: ByteSize = text.parse().ok()?;
        usize::try_from(size.as_u64()).ok().map(Self)
    }
}

impl fmt::Display for Size {
    /// In whole units where there are any, so that what is written is what is read.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];
        let whole = units
            .into_iter()
            .find(|(_, bits)| self.0 > 0 && self.0.trailing_zeros() >= *bits);
        let (unit, bits) = whole.unwrap_or(("B", 0));
        write!(formatter, "{}{unit}", self.0 >> bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        for bytes in [0, 1, 1000, 1024, 3 << 20, (1 << 20) + 1, 1 << 31] {
            assert_eq!(Size(bytes).to_string().parse(), Ok(Size(bytes)));
        }
        for millis in [0, 1, 1500, 90_000, 86_400_000] {
            let time = Time(Duration::from_millis(millis));
            assert_eq!(time.to_string().parse(), Ok(time));
        }
        assert_eq!("LocalHost".parse(), Ok(Host(Ipv4Addr::LOCALHOST.into())));
        assert_eq!("::1".parse::<Host>().unwrap().to_string(), "::1");
        assert_eq!(Size(2 << 20).to_string(), "2MiB");
    }

    #[test]
    fn what_is_none_is_told() {
        assert!("example.org".parse::<Host>().is_err());
        for time in ["", "soon", "-1s", "30"] {
            let error = time.parse::<Time>().unwrap_err();
            assert!(error.to_string().contains("30s"), "{error}");
        }
        assert!("-1".parse::<Size>().is_err() && "big".parse::<Size>().is_err());
    }
}
