//! One list: the rows of the vectors near a centroid, with their codes.

use std::sync::Arc;

use longtrainer_kernels::{BitQuery, BitScan, ByteQueries, ByteScan, RowIds, Shortlist};

use super::codec::{Codec, Coded};
use crate::rows::{Bitmap, Rows, Values, WORD};
use crate::{Memory, Result};

/// The rows of a list, with their codes. Never changed once a snapshot holds it.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) rows: Values<u32>,
    pub(crate) codes: Values<u8>,
    pub(crate) factors: Values<f32>,
    pub(crate) offsets: Values<f32>,
    pub(crate) count: usize,
}

/// A query as the lists' codes want it.
pub(crate) enum CodedQuery {
    Bits(BitQuery),
    Bytes(ByteQueries),
}

impl List {
    /// Lists of these rows with these codes, one after another in memory.
    pub(crate) fn side_by_side(
        members: Vec<Vec<u32>>,
        coded: impl Iterator<Item = Coded>,
    ) -> Vec<List> {
        let lengths: Vec<usize> = members.iter().map(Vec::len).collect();
        let rows = Arc::new(members.concat());
        let mut all = Coded::default();
        let mut code_ends = Vec::with_capacity(lengths.len());
        for mut coded in coded {
            all.codes.append(&mut coded.codes);
            all.factors.append(&mut coded.factors);
            all.offsets.append(&mut coded.offsets);
            code_ends.push(all.codes.len());
        }
        let (codes, factors, offsets) = (
            Arc::new(all.codes),
            Arc::new(all.factors),
            Arc::new(all.offsets),
        );
        let (mut row, mut code) = (0, 0);
        let lists = lengths.into_iter().zip(code_ends).map(|(count, code_end)| {
            let places = row..row + count;
            let list = List {
                rows: Values::Owned(Arc::clone(&rows), places.clone()),
                codes: Values::Owned(Arc::clone(&codes), code..code_end),
                factors: Values::Owned(Arc::clone(&factors), places.clone()),
                offsets: Values::Owned(Arc::clone(&offsets), places),
                count,
            };
            (row, code) = (row + count, code_end);
            list
        });
        lists.collect()
    }

    /// This list with more rows: whole blocks of codes are copied, a last partial one is coded anew.
    pub(crate) fn extended(
        &self,
        codec: &Codec,
        centre: &[f32],
        new: &[u32],
        all: &Rows,
    ) -> Result<List> {
        let kept = self.count / codec.block() * codec.block();
        let rows = [self.rows.get()?, new].concat();
        let vectors = rows[kept..].iter().map(|&row| all.vector(row));
        let coded = codec.encode(centre, vectors)?;
        let codes = self.codes.part(0..codec.code_bytes(kept))?;
        Ok(List {
            count: rows.len(),
            codes: [codes, &coded.codes].concat().into(),
            factors: [self.factors.part(0..kept)?, &coded.factors]
                .concat()
                .into(),
            offsets: [self.offsets.part(0..kept)?, &coded.offsets]
                .concat()
                .into(),
            rows: rows.into(),
        })
    }

    /// Offers the list's rows to a shortlist; `base` is the query's part of all scores, and
    /// `accepted` the rows that may be found, if not all.
    pub(crate) fn scan(
        &self,
        query: &CodedQuery,
        base: f32,
        accepted: Option<&Bitmap>,
        shortlist: &mut Shortlist,
    ) -> Result<()> {
        let rows = self.rows.get()?;
        let words = accepted.map(|accepted| accepted_places(rows, accepted));
        let accept = words.as_deref();
        let (codes, factors, offsets) =
            (self.codes.get()?, self.factors.get()?, self.offsets.get()?);
        let rows = RowIds::Listed(rows);
        match query {
            CodedQuery::Bits(query) => BitScan {
                query,
                codes,
                count: self.count,
                factors,
                offsets: Some(offsets),
                base,
                rows,
                accept,
            }
            .run(shortlist)?,
            CodedQuery::Bytes(queries) => ByteScan {
                queries,
                range: 0..1,
                codes,
                count: self.count,
                factors,
                offsets: Some(offsets),
                slacks: None,
                bases: &[base],
                gain: 1.0,
                slack: &[],
                rows,
                accept,
            }
            .run(std::slice::from_mut(shortlist))?,
        }
        Ok(())
    }

    /// Asks for the list to be brought into the caches.
    pub(crate) fn prefetch(&self) {
        self.codes.prefetch(0..self.codes.len());
        self.factors.prefetch(0..self.count);
        self.offsets.prefetch(0..self.count);
    }

    pub(crate) fn memory(&self) -> Memory {
        let own = Memory {
            owned: size_of::<List>(),
            mapped: 0,
        };
        let codes = self.codes.memory() + self.factors.memory() + self.offsets.memory();
        own + self.rows.memory() + codes
    }
}

/// The places in the list whose rows may be found, a bit a place.
fn accepted_places(rows: &[u32], accepted: &Bitmap) -> Vec<u64> {
    let word = |rows: &[u32]| {
        let bits = rows.iter().enumerate();
        bits.fold(0, |word, (place, &row)| {
            word | u64::from(accepted.contains(row as usize)) << place
        })
    };
    rows.chunks(WORD).map(word).collect()
}
