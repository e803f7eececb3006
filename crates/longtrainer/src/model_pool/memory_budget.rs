//! How much memory the models may take together.

use std::str::FromStr;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

const EXPECTED: &str = "a size above zero such as `6GiB` or `500MB`, or `unlimited`";

/// How much memory all models may take together, embedders and text models. As text it is a size
/// such as `6GiB` or `500MB`, or `unlimited`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum MemoryBudget {
    /// As much as they need.
    #[default]
    Unlimited,
    /// So many bytes.
    Bytes(u64),
}

impl MemoryBudget {
    /// A budget of nothing would refuse every model, which nobody means.
    pub(crate) fn check(self) -> Result<()> {
        match self {
            Self::Bytes(0) => Err(invalid("0")),
            _ => Ok(()),
        }
    }

    /// The most bytes.
    pub(super) fn limit(self) -> u64 {
        match self {
            Self::Unlimited => u64::MAX,
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl FromStr for MemoryBudget {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.trim() == "unlimited" {
            return Ok(Self::Unlimited);
        }
        match text.parse::<ByteSize>() {
            Ok(size) if size.as_u64() > 0 => Ok(Self::Bytes(size.as_u64())),
            _ => Err(invalid(text)),
        }
    }
}

impl TryFrom<String> for MemoryBudget {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<MemoryBudget> for String {
    /// To the byte, unlike what a person would be shown.
    fn from(budget: MemoryBudget) -> Self {
        match budget {
            MemoryBudget::Unlimited => "unlimited".to_owned(),
            MemoryBudget::Bytes(bytes) => format!("{bytes} B"),
        }
    }
}

fn invalid(text: &str) -> Error {
    Error::InvalidSetting {
        name: "memory_budget",
        value: format!("{text:?}"),
        expected: EXPECTED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let gib = 1 << 30;
        for (text, bytes) in [
            ("6GiB", 6 * gib),
            ("1.5 GiB", gib + gib / 2),
            ("500MB", 500_000_000),
            ("4096", 4096),
            ("9007199254740993 B", 9_007_199_254_740_993),
        ] {
            let budget: MemoryBudget = text.parse().unwrap();
            assert_eq!(budget, MemoryBudget::Bytes(bytes), "{text}");
            assert_eq!(
                String::from(budget).parse::<MemoryBudget>().unwrap(),
                budget
            );
        }
        assert_eq!(
            "unlimited".parse::<MemoryBudget>().unwrap(),
            MemoryBudget::Unlimited
        );
    }

    #[test]
    fn other_texts_are_refused_and_repeated() {
        for text in [
            "",
            "0",
            "0GiB",
            "-1GiB",
            "much",
            "6 parsecs",
            "NaN",
            "inf GiB",
        ] {
            let error = text.parse::<MemoryBudget>().unwrap_err().to_string();
            assert!(
                error.contains(&format!("memory_budget is {text:?}")),
                "{error}"
            );
        }
        assert!(MemoryBudget::Bytes(0).check().is_err());
        assert!(MemoryBudget::Bytes(1).check().is_ok());
    }
}
