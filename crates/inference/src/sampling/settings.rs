//! What a caller may set about the choice of tokens.

/// How the next token is chosen. The default is greedy: the likeliest token, every time.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// Divides the logits before the softmax; 0 is greedy.
    pub temperature: f32,
    /// Keeps the `k` likeliest tokens; `None` keeps all.
    pub top_k: Option<usize>,
    /// Keeps the fewest likeliest tokens whose probabilities reach this sum (nucleus sampling,
    /// Holtzman et al. 2020); in (0, 1], `None` keeps all.
    pub top_p: Option<f32>,
    /// Keeps tokens at least this fraction as likely as the likeliest (Nguyen et al. 2024); in
    /// [0, 1], `None` keeps all.
    pub min_p: Option<f32>,
    /// Divides positive and multiplies negative logits of tokens seen lately (Keskar et al. 2019);
    /// 1 does nothing.
    pub repetition_penalty: f32,
    /// How many of the last tokens count as seen lately, prompt included.
    pub repetition_window: usize,
    /// Taken off the logit of a token for each time that it is in the answer so far; in [-2, 2], 0
    /// does nothing.
    pub frequency_penalty: f32,
    /// Taken off the logit of each token that is in the answer so far; in [-2, 2], 0 does nothing.
    pub presence_penalty: f32,
    /// Keeps the answer from repeating long stretches.
    pub dry: Option<Dry>,
    /// Added to the logits of these tokens; in [-100, 100].
    pub logit_bias: Vec<(u32, f32)>,
    /// Same seed, same prompt, same answer. `None` takes one from the system.
    pub seed: Option<u64>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: None,
            top_p: None,
            min_p: None,
            repetition_penalty: 1.0,
            repetition_window: 64,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            dry: None,
            logit_bias: Vec::new(),
            seed: None,
        }
    }
}

/// DRY, "don't repeat yourself" (p-e-w 2024): a token that would make the end of the text repeat a
/// stretch of it loses `multiplier * base ^ (length - allowed_length)` of its logit, where `length` is
/// that of the stretch so far, if it is `allowed_length` or more.
#[derive(Debug, Clone, PartialEq)]
pub struct Dry {
    /// How strong it is; 0 or more.
    pub multiplier: f32,
    /// How it grows with the stretch; 1 or more.
    pub base: f32,
    /// Tokens that may be repeated freely; 1 or more.
    pub allowed_length: usize,
    /// How many of the last tokens are searched for repetitions, prompt included.
    pub window: usize,
    /// Texts that end a stretch: a token that holds one is never part of a repetition.
    pub sequence_breakers: Vec<String>,
}

impl Default for Dry {
    fn default() -> Self {
        Self {
            multiplier: 0.8,
            base: 1.75,
            allowed_length: 2,
            window: 4096,
            sequence_breakers: ["\n", ":", "\"", "*"].map(str::to_owned).to_vec(),
        }
    }
}
