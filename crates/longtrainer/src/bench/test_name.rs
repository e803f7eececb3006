//! The names of tests: `pp512`, `tg128`, `tg128@2048` for text models, as llama-bench calls them, and
//! `32x128`, rows by tokens, for embedding models.

use std::fmt;
use std::str::FromStr;

use super::error::BenchError;

const TEXT_NAMES: &str = "ppN (read N tokens), tgN (make N tokens), tgN@D (after D tokens) or BxtgN and BxtgN@D \
                          (in B contexts at once, 1024 at most)";
const EMBEDDING_NAMES: &str = "BxL (B rows of L tokens), with at most 65536 rows";
/// More would measure nothing else, and fill the memory.
const MOST_CONTEXTS: usize = 1024;
const MOST_ROWS: usize = 65_536;

/// A test of a text model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextTest {
    /// Reads tokens into an empty context.
    Prompt {
        /// How many.
        tokens: usize,
    },
    /// Makes tokens, one at a time.
    Generation {
        /// How many.
        tokens: usize,
        /// Tokens in the context before; reading them is not timed. With none there is one, because
        /// a model makes a token from a token.
        depth: usize,
        /// Contexts in which tokens are made side by side.
        rows: usize,
    },
}

impl TextTest {
    /// The tests that are run unless others are asked for.
    pub const USUAL: [Self; 4] = [
        Self::Prompt { tokens: 512 },
        Self::Prompt { tokens: 2048 },
        Self::Generation {
            tokens: 128,
            depth: 0,
            rows: 1,
        },
        Self::Generation {
            tokens: 128,
            depth: 2048,
            rows: 1,
        },
    ];

    /// Tokens that are timed, in each context.
    pub(super) fn timed(self) -> usize {
        match self {
            Self::Prompt { tokens } | Self::Generation { tokens, .. } => tokens,
        }
    }

    /// Contexts that are read or written.
    pub(super) fn rows(self) -> usize {
        match self {
            Self::Prompt { .. } => 1,
            Self::Generation { rows, .. } => rows,
        }
    }

    /// Tokens in the context before the clock starts.
    pub(super) fn untimed(self) -> usize {
        match self {
            Self::Prompt { .. } => 0,
            Self::Generation { depth, .. } => depth.max(1),
        }
    }
}

impl FromStr for TextTest {
    type Err = BenchError;

    fn from_str(name: &str) -> Result<Self, BenchError> {
        let test = match name.strip_prefix("pp") {
            Some(tokens) => count(tokens).map(|tokens| Self::Prompt { tokens }),
            None => generation(name),
        };
        test.ok_or_else(|| unknown(name, TEXT_NAMES))
    }
}

fn generation(name: &str) -> Option<TextTest> {
    let (rows, rest) = match name.split_once('x') {
        Some((rows, rest)) => (count(rows).filter(|rows| *rows <= MOST_CONTEXTS)?, rest),
        None => (1, name),
    };
    // One context is not counted, so that one test has one name.
    if rows == 1 && name.contains('x') {
        return None;
    }
    let rest = rest.strip_prefix("tg")?;
    let (tokens, depth) = match rest.split_once('@') {
        Some((tokens, depth)) => (count(tokens)?, count(depth)?),
        None => (count(rest)?, 0),
    };
    Some(TextTest::Generation {
        tokens,
        depth,
        rows,
    })
}

impl fmt::Display for TextTest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tokens, depth) = match self {
            Self::Prompt { tokens } => return write!(formatter, "pp{tokens}"),
            Self::Generation { tokens, depth, .. } => (tokens, *depth),
        };
        if self.rows() > 1 {
            write!(formatter, "{}x", self.rows())?;
        }
        match depth {
            0 => write!(formatter, "tg{tokens}"),
            depth => write!(formatter, "tg{tokens}@{depth}"),
        }
    }
}

/// A test of an embedding model: rows of exactly so many tokens, the special ones counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EmbeddingTest {
    /// Rows embedded in one call.
    pub rows: usize,
    /// Tokens of each.
    pub tokens: usize,
}

impl EmbeddingTest {
    /// The tests that are run unless others are asked for.
    pub const USUAL: [Self; 4] = [
        Self::new(1, 16),
        Self::new(1, 128),
        Self::new(32, 128),
        Self::new(32, 256),
    ];

    const fn new(rows: usize, tokens: usize) -> Self {
        Self { rows, tokens }
    }
}

impl FromStr for EmbeddingTest {
    type Err = BenchError;

    fn from_str(name: &str) -> Result<Self, BenchError> {
        let parts = name.split_once('x');
        let counts = parts.and_then(|(rows, tokens)| Some((count(rows)?, count(tokens)?)));
        match counts {
            Some((rows, tokens)) if rows <= MOST_ROWS => Ok(Self { rows, tokens }),
            _ => Err(unknown(name, EMBEDDING_NAMES)),
        }
    }
}

impl fmt::Display for EmbeddingTest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}x{}", self.rows, self.tokens)
    }
}

/// A number as it is written in a name: digits that begin with no zero, so that one test has one
/// name.
fn count(digits: &str) -> Option<usize> {
    let is_plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    let number: u32 = digits.parse().ok()?;
    (is_plain && !digits.starts_with('0')).then_some(number as usize)
}

fn unknown(name: &str, expected: &'static str) -> BenchError {
    BenchError::UnknownTest {
        name: name.to_owned(),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_tests_are_read_and_written() {
        for (name, timed, untimed) in [
            ("pp1", 1, 0),
            ("pp2048", 2048, 0),
            ("tg128", 128, 1),
            ("tg128@1", 128, 1),
            ("tg7@2048", 7, 2048),
        ] {
            let test: TextTest = name.parse().unwrap();
            assert_eq!(test.to_string(), name);
            assert_eq!((test.timed(), test.untimed()), (timed, untimed), "{name}");
        }
    }

    #[test]
    fn embedding_tests_are_read_and_written() {
        let test: EmbeddingTest = "32x128".parse().unwrap();
        assert_eq!((test.rows, test.tokens), (32, 128));
        assert_eq!(test.to_string(), "32x128");
    }

    #[test]
    fn the_usual_tests_are_those_of_the_field() {
        let text = TextTest::USUAL.map(|test| test.to_string());
        assert_eq!(text, ["pp512", "pp2048", "tg128", "tg128@2048"]);
        let embeddings = EmbeddingTest::USUAL.map(|test| test.to_string());
        assert_eq!(embeddings, ["1x16", "1x128", "32x128", "32x256"]);
    }

    #[test]
    fn other_names_are_refused_and_repeated() {
        let text = [
            "",
            "pp",
            "pp0",
            "pp-1",
            "pp+1",
            "pp01",
            "PP512",
            "tg",
            "tg0",
            "tg1@",
            "tg1@0",
            "tg@5",
            "tg1@2@3",
            "pp1@2",
            "x",
            "32x128",
            "pp99999999999",
        ];
        for name in text {
            let error = name.parse::<TextTest>().unwrap_err().to_string();
            assert!(error.contains(&format!("{name:?}")), "{error}");
        }
        let embeddings = [
            "", "x", "1x", "x1", "0x1", "1x0", "1x1x1", "1X1", "pp1", "65537x1", " 1x1",
        ];
        for name in embeddings {
            let error = name.parse::<EmbeddingTest>().unwrap_err().to_string();
            assert!(error.contains(&format!("{name:?}")), "{error}");
        }
    }
}
