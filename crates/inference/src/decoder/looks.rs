//! Scores, their shares, and the values that are mixed by them, for some requests with equally many tokens.
//!
//! Scores are never there for all tokens of a long prompt at once: so many tokens are taken at a time that their
//! scores stay within a bound, and of a lone request's positions only those that lie before the last of them.

use candle_core::{Result, Tensor};

use super::fused::{Fused, Scored, Seen};

/// Scores that may be there at once: 256 MiB of them.
const MOST_SCORES: usize = 1 << 26;

/// Who looks at what.
#[derive(Debug)]
pub(super) struct Looks<'step> {
    /// (kv_heads, parts, group, tokens, head_dim), scaled, in the type of the cache; the query heads of a key head are
    /// a group.
    pub(super) queries: Tensor,
    /// (kv_heads * parts, positions, head_dim)
    pub(super) keys: Tensor,
    /// As the keys.
    pub(super) values: Tensor,
    pub(super) seen: &'step Seen,
    /// Scores are kept within it by a hyperbolic tangent.
    pub(super) score_cap: Option<f64>,
    pub(super) fused: &'step Fused,
}

impl Looks<'_> {
    /// What the tokens get: (parts * tokens, heads * head_dim).
    pub(super) fn weigh(&self) -> Result<Tensor> {
        self.weigh_within(MOST_SCORES)
    }

    fn weigh_within(&self, most_scores: usize) -> Result<Tensor> {
        let (kv_heads, parts, group, tokens, head_dim) = self.queries.dims5()?;
        let scores_a_token = kv_heads * parts * group * self.keys.dim(1)?;
        let at_once = (most_scores / scores_a_token.max(1)).clamp(1, tokens);
        let mut mixed = Vec::with_capacity(tokens.div_ceil(at_once));
        for first in (0..tokens).step_by(at_once) {
            mixed.push(self.weigh_some(first, at_once.min(tokens - first))?);
        }
        let mixed = match mixed.as_slice() {
            [only] => only.clone(),
            several => Tensor::cat(several, 3)?,
        };
        let rows = mixed.permute([1, 3, 0, 2, 4])?.contiguous()?;
        rows.reshape((parts * tokens, kv_heads * group * head_dim))
    }

    /// What `count` tokens of each part get, from number `first` on: (kv_heads, parts, group, count, head_dim).
    fn weigh_some(&self, first: usize, count: usize) -> Result<Tensor> {
        let (kv_heads, parts, group, _, head_dim) = self.queries.dims5()?;
        let shown = self.shown_to(first + count)?;
        let queries = self.queries.narrow(3, first, count)?.contiguous()?;
        let queries = queries.reshape((kv_heads * parts, group * count, head_dim))?;
        let keys = self.keys.narrow(1, 0, shown)?;
        // (kv_heads * parts, group * count, shown)
        let scores = queries.matmul(&keys.t()?)?;
        let of = Scored {
            parts,
            group,
            tokens: count,
            first,
            cap: self.score_cap,
        };
        let shares = self.fused.shares(scores, self.seen, of)?;
        let mixed = shares.matmul(&self.values.narrow(1, 0, shown)?)?;
        mixed.reshape([kv_heads, parts, group, count, head_dim].as_slice())
    }

    /// How many positions any token before number `end` may look at. A lone request's are shown up to its last
    /// token's own.
    fn shown_to(&self, end: usize) -> Result<usize> {
        let (_, parts, _, tokens, _) = self.queries.dims5()?;
        let positions = self.keys.dim(1)?;
        Ok(match parts {
            1 => positions.saturating_sub(tokens - end),
            _ => positions,
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn random(shape: &[usize]) -> Tensor {
        Tensor::rand(-1f32, 1.0, shape, &Device::Cpu).unwrap()
    }

    /// 0 up to `lead` positions ahead of a token, then hidden.
    fn causal(parts: usize, tokens: usize, positions: usize) -> Tensor {
        let lead = positions - tokens;
        let rows = (0..parts * tokens).flat_map(|row| {
            (0..positions).map(move |position| match position <= lead + row % tokens {
                true => 0.0,
                false => f32::NEG_INFINITY,
            })
        });
        let rows: Vec<f32> = rows.collect();
        Tensor::from_vec(rows, (parts, 1, tokens, positions), &Device::Cpu).unwrap()
    }

    #[test]
    fn the_bound_on_scores_changes_nothing() {
        for parts in [1, 3] {
            let (kv_heads, group, tokens, positions, head_dim) = (2, 3, 11, 20, 4);
            let seen = Seen::Mask(causal(parts, tokens, positions));
            let looks = Looks {
                queries: random(&[kv_heads, parts, group, tokens, head_dim]),
                keys: random(&[kv_heads * parts, positions, head_dim]),
                values: random(&[kv_heads * parts, positions, head_dim]),
                seen: &seen,
                score_cap: Some(2.0),
                fused: &Fused::default(),
            };
            let whole = looks.weigh().unwrap();
            assert_eq!(whole.dims(), [parts * tokens, kv_heads * group * head_dim]);
            for most in [1, 2 * 3 * 20, 1000] {
                let some = looks.weigh_within(most).unwrap();
                let distance = (&whole - some).unwrap().abs().unwrap();
                let farthest = distance.max_all().unwrap().to_scalar::<f32>().unwrap();
                assert!(farthest < 1e-5, "{farthest} with {most} for {parts} parts");
            }
        }
    }
}
