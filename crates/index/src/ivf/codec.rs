//! How the vectors of a list are coded: what is left of each when the list's middle is subtracted,
//! in a bit or in a byte a component.
//!
//! Either way the score of a query with a vector is `base + offset + factor * t`, where `t` is a
//! product of the query with the code, `base` the query's score with the list's middle `c`, and the
//! rest belongs to the vector: `<q, x> = <q, c> + <q, r>` and
//! `-|q - x|^2 = -|q - c|^2 - |r|^2 - 2 <c, r> + 2 <q, r>`.
//!
//! Bits are RaBitQ's (Gao and Long, SIGMOD 2024): the remainder `r` is rotated to `r'`, of which the
//! signs `s` are kept, and `<v, r>` is estimated as `<v', s> |r|^2 / |r'|_1`. As `v` serves not the
//! query but `q - c`, which is shorter: `<q, r> = <c, r> + <q - c, r>`. Of that `t = <q', s>` is the
//! query's part, the same for all lists; what belongs to `c` goes into the vector's offset.

use longtrainer_kernels::{Rotation, bit_block_len, byte_tile_len, encode_bits, encode_bytes};

use crate::bytes::TILE;
use crate::{Codes, Metric, Result};

/// Vectors in a block of bits.
pub(crate) const BIT_BLOCK: usize = 32;

/// Codes remainders, and says how codes are laid out.
#[derive(Debug)]
pub(crate) struct Codec {
    metric: Metric,
    pub(crate) dimension: usize,
    pub(crate) codes: Codes,
    pub(crate) rotation: Rotation,
}

/// The codes of some vectors of a list.
#[derive(Debug, Default)]
pub(crate) struct Coded {
    pub(crate) codes: Vec<u8>,
    pub(crate) factors: Vec<f32>,
    pub(crate) offsets: Vec<f32>,
}

impl Codec {
    pub(crate) fn new(metric: Metric, dimension: usize, codes: Codes, seed: u64) -> Result<Codec> {
        Ok(Codec {
            metric,
            dimension,
            codes,
            rotation: Rotation::new(dimension, seed)?,
        })
    }

    /// Vectors that are coded together.
    pub(crate) fn block(&self) -> usize {
        match self.codes {
            Codes::Bits => BIT_BLOCK,
            Codes::Bytes => TILE,
        }
    }

    /// Bytes of the codes of so many vectors.
    pub(crate) fn code_bytes(&self, vectors: usize) -> usize {
        let block = match self.codes {
            Codes::Bits => bit_block_len(self.dimension),
            Codes::Bytes => byte_tile_len(self.dimension),
        };
        vectors.div_ceil(self.block()) * block
    }

    /// Codes vectors of the list whose middle is `centre`.
    pub(crate) fn encode<'a>(
        &self,
        centre: &[f32],
        vectors: impl ExactSizeIterator<Item = Result<&'a [f32]>>,
    ) -> Result<Coded> {
        let count = vectors.len();
        let mut remainders = Vec::with_capacity(count * self.dimension);
        let mut coded = Coded {
            codes: vec![0; self.code_bytes(count)],
            factors: vec![0.0; count],
            offsets: vec![0.0; count],
        };
        for (vector, offset) in vectors.zip(&mut coded.offsets) {
            let vector = vector?;
            remainders.extend(vector.iter().zip(centre).map(|(x, c)| x - c));
            *offset = self.exact_offset(centre, vector);
        }
        match self.codes {
            Codes::Bits => self.encode_bits(centre, &mut remainders, &mut coded)?,
            Codes::Bytes => self.encode_bytes(&remainders, &mut coded)?,
        }
        Ok(coded)
    }

    /// What of a vector's score is known exactly, beside the list's base.
    fn exact_offset(&self, centre: &[f32], vector: &[f32]) -> f32 {
        let remainder = || vector.iter().zip(centre).map(|(x, c)| x - c);
        match (self.codes, self.metric) {
            (Codes::Bits, Metric::InnerProduct | Metric::Cosine) => {
                remainder().zip(centre).map(|(r, c)| r * c).sum()
            }
            (Codes::Bits, Metric::L2) => -remainder().map(|r| r * r).sum::<f32>(),
            (Codes::Bytes, Metric::InnerProduct | Metric::Cosine) => 0.0,
            (Codes::Bytes, Metric::L2) => -remainder()
                .zip(centre)
                .map(|(r, c)| r * r + 2.0 * r * c)
                .sum::<f32>(),
        }
    }

    fn encode_bits(&self, centre: &[f32], remainders: &mut [f32], coded: &mut Coded) -> Result<()> {
        self.rotation.apply(remainders)?;
        let mut centre = centre.to_vec();
        self.rotation.apply(&mut centre)?;
        encode_bits(remainders, self.dimension, &mut coded.codes)?;
        let rows = remainders.chunks_exact(self.dimension);
        for ((rotated, factor), offset) in rows.zip(&mut coded.factors).zip(&mut coded.offsets) {
            let (absolute, squared, along) = sums(rotated, &centre);
            *factor = match absolute > 0.0 {
                true => self.gain() * squared / absolute,
                false => 0.0,
            };
            *offset -= *factor * along;
        }
        Ok(())
    }

    fn encode_bytes(&self, remainders: &[f32], coded: &mut Coded) -> Result<()> {
        let mut errors = vec![0.0; coded.factors.len()];
        let Coded { codes, factors, .. } = coded;
        encode_bytes(remainders, self.dimension, codes, factors, &mut errors)?;
        factors.iter_mut().for_each(|factor| *factor *= self.gain());
        Ok(())
    }

    /// How often the product counts in a score.
    fn gain(&self) -> f32 {
        match self.metric {
            Metric::InnerProduct | Metric::Cosine => 1.0,
            Metric::L2 => 2.0,
        }
    }
}

/// Of a rotated remainder: the sum of its magnitudes, that of its squares, and the sum of the
/// centre's components with the remainder's signs.
fn sums(rotated: &[f32], centre: &[f32]) -> (f32, f32, f32) {
    const LANES: usize = 16;
    let mut lanes = [[0.0f32; LANES]; 3];
    let mut add = |rotated: &[f32], centre: &[f32]| {
        for (lane, (&r, &c)) in rotated.iter().zip(centre).enumerate() {
            lanes[0][lane] += r.abs();
            lanes[1][lane] += r * r;
            lanes[2][lane] += if r >= 0.0 { c } else { -c };
        }
    };
    rotated
        .chunks(LANES)
        .zip(centre.chunks(LANES))
        .for_each(|(r, c)| add(r, c));
    let [absolute, squared, along] = lanes.map(|lanes| lanes.iter().sum());
    (absolute, squared, along)
}

/// The rotated query for bits, and otherwise the query itself.
pub(crate) fn rotated(codec: &Codec, query: &[f32]) -> Result<Vec<f32>> {
    let mut query = query.to_vec();
    codec.rotation.apply(&mut query)?;
    Ok(query)
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::score;

    /// With the exact product in place of the codes', the parts of a score add up to it.
    #[test]
    fn the_parts_of_a_score_add_up() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut vector = || {
            (0..40)
                .map(|_| rng.random_range(-1.0..1.0))
                .collect::<Vec<f32>>()
        };
        let (query, centre, x) = (vector(), vector(), vector());
        for metric in [Metric::InnerProduct, Metric::L2] {
            let codec = Codec::new(metric, 40, Codes::Bits, 7).unwrap();
            let coded = codec.encode(&centre, [Ok(&x[..])].into_iter()).unwrap();
            let remainder: Vec<f32> = x.iter().zip(&centre).map(|(x, c)| x - c).collect();
            let rotated_remainder = rotated(&codec, &remainder).unwrap();
            let rotated_query = rotated(&codec, &query).unwrap();
            let signs = rotated_remainder.iter().map(|r| r.signum());
            let t: f32 = rotated_query.iter().zip(signs).map(|(q, s)| q * s).sum();
            let base = score::exact(metric, &query, &centre).unwrap();
            let estimate = base + coded.offsets[0] + coded.factors[0] * t;
            let exact = score::exact(metric, &query, &x).unwrap();
            // The signs say only so much about 40 components.
            assert!(
                (estimate - exact).abs() < 4.0,
                "{metric:?}: {estimate} for {exact}"
            );
            // A query at the centre or at the vector itself is estimated exactly.
            for (query, slack) in [(&centre, 1e-3), (&x, 1e-3)] {
                let rotated_query = rotated(&codec, query).unwrap();
                let signs = rotated_remainder.iter().map(|r| r.signum());
                let t: f32 = rotated_query.iter().zip(signs).map(|(q, s)| q * s).sum();
                let base = score::exact(metric, query, &centre).unwrap();
                let estimate = base + coded.offsets[0] + coded.factors[0] * t;
                let exact = score::exact(metric, query, &x).unwrap();
                assert!(
                    (estimate - exact).abs() < slack,
                    "{metric:?}: {estimate} for {exact}"
                );
            }
        }
    }
}
