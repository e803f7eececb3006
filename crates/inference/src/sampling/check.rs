//! Checks every number of a request before any work is done.

use super::{Dry, Sampling};
use crate::Result;
use crate::error::invalid;

/// Most sequence breakers that a request may name: each is looked for in every token.
const MOST_BREAKERS: usize = 100;

/// Checks the settings of a request to a model of `vocabulary` tokens.
///
/// # Errors
///
/// [`Error::InvalidRequest`](crate::Error::InvalidRequest) naming the first field that is out of range.
pub(crate) fn check(sampling: &Sampling, vocabulary: usize) -> Result<()> {
    check_filters(sampling)?;
    check_penalties(sampling)?;
    check_bias(&sampling.logit_bias, vocabulary)?;
    sampling.dry.as_ref().map_or(Ok(()), check_dry)
}

fn check_filters(sampling: &Sampling) -> Result<()> {
    require(
        "temperature",
        sampling.temperature,
        "0 or more, and finite",
        |value| value >= 0.0,
    )?;
    if sampling.top_k == Some(0) {
        return Err(invalid("top_k", 0, "1 or more"));
    }
    if let Some(top_p) = sampling.top_p {
        require("top_p", top_p, "more than 0 and at most 1", |value| {
            value > 0.0 && value <= 1.0
        })?;
    }
    if let Some(min_p) = sampling.min_p {
        require("min_p", min_p, "between 0 and 1", |value| {
            (0.0..=1.0).contains(&value)
        })?;
    }
    Ok(())
}

fn check_penalties(sampling: &Sampling) -> Result<()> {
    require(
        "repetition_penalty",
        sampling.repetition_penalty,
        "more than 0, and finite",
        |value| value > 0.0,
    )?;
    for (field, penalty) in [
        ("frequency_penalty", sampling.frequency_penalty),
        ("presence_penalty", sampling.presence_penalty),
    ] {
        require(field, penalty, "between -2 and 2", |value| {
            (-2.0..=2.0).contains(&value)
        })?;
    }
    Ok(())
}

fn check_bias(biases: &[(u32, f32)], vocabulary: usize) -> Result<()> {
    for (token, bias) in biases {
        if *token as usize >= vocabulary {
            return Err(invalid("logit_bias", token, "tokens of the vocabulary"));
        }
        require("logit_bias", *bias, "between -100 and 100", |value| {
            (-100.0..=100.0).contains(&value)
        })?;
    }
    Ok(())
}

fn check_dry(dry: &Dry) -> Result<()> {
    require(
        "dry.multiplier",
        dry.multiplier,
        "0 or more, and finite",
        |value| value >= 0.0,
    )?;
    require("dry.base", dry.base, "1 or more, and finite", |value| {
        value >= 1.0
    })?;
    if dry.allowed_length == 0 {
        return Err(invalid("dry.allowed_length", 0, "1 or more"));
    }
    let breakers = &dry.sequence_breakers;
    if breakers.len() > MOST_BREAKERS {
        return Err(invalid(
            "dry.sequence_breakers",
            format!("{} texts", breakers.len()),
            "at most 100 texts",
        ));
    }
    if breakers.iter().any(String::is_empty) {
        return Err(invalid(
            "dry.sequence_breakers",
            "an empty string",
            "strings of at least one character",
        ));
    }
    Ok(())
}

fn require(
    field: &'static str,
    value: f32,
    expected: &'static str,
    holds: impl Fn(f32) -> bool,
) -> Result<()> {
    if value.is_finite() && holds(value) {
        return Ok(());
    }
    Err(invalid(field, value, expected))
}
