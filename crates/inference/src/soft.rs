//! Soft tokens: places of a prompt that are rows of numbers and not words.
//!
//! What a vision tower makes of a picture stands in a prompt where words would, as rows of the text
//! model's width. To the engine such a row is a token like any other, with a number from [`SOFT_BASE`]
//! on, which no vocabulary reaches. The rows of one content have the same numbers wherever they stand,
//! and no other content ever has them while the process lives; so whoever looks at numbers alone, the
//! prefix cache above all, takes equal pictures for equal and different ones for different.

use std::sync::Arc;

use crate::Result;
use crate::error::{ComputeError, invalid};

/// The first number of soft tokens.
pub(crate) const SOFT_BASE: u32 = 1 << 31;

/// Soft tokens with neighbouring numbers. A model that sees makes them.
#[derive(Debug, Clone)]
pub(crate) struct SoftSpan {
    /// The number of the first, [`SOFT_BASE`] or more.
    pub(crate) first: u32,
    /// Their rows, one after another, each as wide as the text model's hidden state. They take the place
    /// of looked-up embeddings as they are: a factor that a model puts on those is not put on them.
    pub(crate) rows: Arc<[f32]>,
}

impl SoftSpan {
    /// The row of a token, if it is one of these.
    fn row(&self, token: u32, width: usize) -> Option<&[f32]> {
        let number = token.checked_sub(self.first)? as usize;
        let start = number.checked_mul(width)?;
        self.rows.get(start..start.checked_add(width)?)
    }
}

/// Whether a token is soft.
pub(crate) fn is_soft(token: u32) -> bool {
    token >= SOFT_BASE
}

/// The row of a soft token of a request with these spans.
pub(crate) fn row(
    spans: &[SoftSpan],
    token: u32,
    width: usize,
) -> std::result::Result<&[f32], ComputeError> {
    let found = spans.iter().find_map(|span| span.row(token, width));
    found.ok_or_else(|| format!("soft token {token} has no row of {width} values").into())
}

/// That the spans are whole rows of finite numbers, and each soft token of a prompt has one.
///
/// # Errors
///
/// [`Error::InvalidRequest`](crate::Error::InvalidRequest) naming the first number that is wrong.
pub(crate) fn check(prompt: &[u32], spans: &[SoftSpan], width: usize) -> Result<()> {
    for span in spans {
        check_span(span, width)?;
    }
    let mut soft = prompt.iter().filter(|token| is_soft(**token));
    match soft.find(|token| row(spans, **token, width).is_err()) {
        None => Ok(()),
        Some(token) => Err(invalid(
            "prompt",
            token,
            "tokens that are words or have a row",
        )),
    }
}

fn check_span(span: &SoftSpan, width: usize) -> Result<()> {
    let values = span.rows.len();
    if values == 0 || !values.is_multiple_of(width) {
        let expected = "whole rows of the model's width";
        return Err(invalid("soft.rows", format!("{values} values"), expected));
    }
    let last = u32::try_from(values / width - 1).ok();
    if !is_soft(span.first) || last.and_then(|last| span.first.checked_add(last)).is_none() {
        return Err(invalid(
            "soft.first",
            span.first,
            "2147483648 or more, with room for all rows",
        ));
    }
    match span.rows.iter().find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(value) => Err(invalid("soft.rows", value, "finite numbers")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    fn span(first: u32, rows: &[f32]) -> SoftSpan {
        SoftSpan {
            first,
            rows: rows.into(),
        }
    }

    fn refused(prompt: &[u32], spans: &[SoftSpan]) -> &'static str {
        match check(prompt, spans, 2) {
            Err(Error::InvalidRequest { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_token_has_the_row_of_its_number() {
        let spans = [
            span(SOFT_BASE + 5, &[1.0, 2.0, 3.0, 4.0]),
            span(u32::MAX, &[5.0, 6.0]),
        ];
        let row = |token| row(&spans, token, 2).ok();
        assert_eq!(row(SOFT_BASE + 5), Some(&[1.0, 2.0][..]));
        assert_eq!(row(SOFT_BASE + 6), Some(&[3.0, 4.0][..]));
        assert_eq!(row(u32::MAX), Some(&[5.0, 6.0][..]));
        for token in [SOFT_BASE + 4, SOFT_BASE + 7, u32::MAX - 1, 5] {
            assert_eq!(row(token), None, "{token}");
        }
    }

    #[test]
    fn prompts_and_rows_are_checked() {
        let good = span(SOFT_BASE, &[1.0, 2.0, 3.0, 4.0]);
        let spans = std::slice::from_ref(&good);
        assert!(check(&[1, SOFT_BASE + 1, 7, SOFT_BASE], spans, 2).is_ok());
        assert!(check(&[1, 2], &[], 2).is_ok());
        assert_eq!(refused(&[1, SOFT_BASE], &[]), "prompt");
        assert_eq!(refused(&[SOFT_BASE + 2], spans), "prompt");
        assert_eq!(refused(&[1], &[span(7, &[1.0, 2.0])]), "soft.first");
        let last = span(u32::MAX, &[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(refused(&[1], &[last]), "soft.first");
        assert_eq!(refused(&[1], &[span(SOFT_BASE, &[])]), "soft.rows");
        assert_eq!(refused(&[1], &[span(SOFT_BASE, &[1.0; 3])]), "soft.rows");
        let wrong = span(SOFT_BASE, &[1.0, f32::NAN]);
        assert_eq!(refused(&[1], &[good, wrong]), "soft.rows");
    }
}
