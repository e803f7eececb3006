//! How a byte-level vocabulary cuts text into words before merging, by the name that the GGUF file
//! gives (`tokenizer.ggml.pre`).
//!
//! The expressions are facts about the models: each was published with the tokenizer of its model
//! family. Only names whose cuts were checked are known; guessing would give tokens that the model
//! was never trained on.

use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const DIGIT: &str = r"\p{N}";

/// Names that are known, for messages.
pub(super) const NAMES: &str = "gpt-2, smollm, starcoder, refact, command-r, llama-bpe, llama3, \
                                llama-v3, dbrx, qwen2, deepseek-r1-qwen, gpt-4o";

/// How one family cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    /// Applied one after the other, each to the pieces of the one before.
    expressions: &'static [&'static str],
    /// A word that is a token is that token, even where no merges lead to it.
    pub(super) whole_words: bool,
}

/// The rules of a name.
pub(super) fn rules(name: &str) -> Option<Rules> {
    let (expressions, whole_words): (&'static [&'static str], bool) = match name {
        "gpt-2" => (&[GPT2], false),
        "smollm" | "starcoder" | "refact" | "command-r" => (&[DIGIT, GPT2], false),
        "llama-bpe" | "llama3" | "llama-v3" => (&[LLAMA3], true),
        // Phi-4, whose vocabulary is that of GPT-4 with other control tokens.
        "dbrx" => (&[LLAMA3], false),
        "qwen2" | "deepseek-r1-qwen" => (&[QWEN2], false),
        // Phi-4-mini, whose vocabulary is that of GPT-4o with other control tokens.
        "gpt-4o" => (&[GPT4O], false),
        _ => return None,
    };
    Some(Rules {
        expressions,
        whole_words,
    })
}

/// Whether models of this name begin every prompt with a token when their file does not say.
pub(super) fn adds_bos(name: &str) -> bool {
    matches!(name, "llama-bpe" | "llama3" | "llama-v3")
}

impl Rules {
    /// The cuts, followed by GPT-2's spelling of bytes.
    pub(super) fn build(self) -> tokenizers::Result<PreTokenizerWrapper> {
        let mut steps: Vec<PreTokenizerWrapper> = Vec::new();
        for expression in self.expressions {
            let pattern = SplitPattern::Regex((*expression).to_owned());
            let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)?;
            steps.push(split.into());
        }
        steps.push(ByteLevel::new(false, false, false).into());
        Ok(Sequence::new(steps).into())
    }
}
