//! How tokens are chosen, as requests say it.

use std::collections::BTreeMap;

use longtrainer::Sampling;
use serde::Deserialize;

use super::error::OpenAiError;

/// OpenAI's fields, and `top_k`, `min_p` and `repetition_penalty` as other local servers have them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SamplingFields {
    pub(super) temperature: Option<f32>,
    pub(super) top_p: Option<f32>,
    presence_penalty: Option<f32>,
    frequency_penalty: Option<f32>,
    /// By token number, written as text.
    logit_bias: Option<BTreeMap<String, f32>>,
    seed: Option<i64>,
    /// 0 or less keeps all tokens.
    top_k: Option<i64>,
    min_p: Option<f32>,
    repetition_penalty: Option<f32>,
}

impl SamplingFields {
    pub(super) const NAMES: &'static [&'static str] = &[
        "temperature",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "seed",
        "top_k",
        "min_p",
        "repetition_penalty",
    ];

    /// What is set, over what the program does otherwise. Numbers out of range are the model's to refuse.
    pub(super) fn over(&self, defaults: &Sampling) -> Result<Sampling, OpenAiError> {
        let mut sampling = defaults.clone();
        if let Some(temperature) = self.temperature {
            sampling.temperature = temperature;
        }
        if let Some(penalty) = self.presence_penalty {
            sampling.presence_penalty = penalty;
        }
        if let Some(penalty) = self.frequency_penalty {
            sampling.frequency_penalty = penalty;
        }
        if let Some(penalty) = self.repetition_penalty {
            sampling.repetition_penalty = penalty;
        }
        if let Some(biases) = &self.logit_bias {
            sampling.logit_bias = biases.iter().map(bias).collect::<Result<_, _>>()?;
        }
        sampling.top_p = self.top_p.or(sampling.top_p);
        sampling.min_p = self.min_p.or(sampling.min_p);
        if let Some(top_k) = self.top_k {
            sampling.top_k = usize::try_from(top_k).ok().filter(|top_k| *top_k > 0);
        }
        // All 64 bits of it, whatever its sign.
        sampling.seed = self.seed.map(i64::cast_unsigned).or(sampling.seed);
        Ok(sampling)
    }
}

fn bias((token, bias): (&String, &f32)) -> Result<(u32, f32), OpenAiError> {
    let number = token.parse().map_err(|_| {
        let message = format!("logit_bias: {token:?} is not the number of a token");
        OpenAiError::field("logit_bias", message)
    })?;
    Ok((number, *bias))
}
