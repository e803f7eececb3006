//! Ids and vectors, row by row, in two contiguous arrays, and the way from an id to its row.
//!
//! Rows are dense: the last row moves into the place of a removed one, so a scan reads nothing
//! that was removed. The order of rows thus says nothing. Memory that removals leave unused is
//! given back once it is more than half.

use std::collections::{HashMap, TryReserveError};

/// Vectors of one dimension, each under its id.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    dimension: usize,
    ids: Vec<u64>,
    vectors: Vec<f32>,
    row_of: HashMap<u64, usize>,
}

impl Rows {
    pub(crate) fn new(dimension: usize) -> Rows {
        Rows {
            dimension,
            ids: Vec::new(),
            vectors: Vec::new(),
            row_of: HashMap::new(),
        }
    }

    /// Takes over rows whose ids all differ.
    pub(crate) fn from_parts(
        dimension: usize,
        ids: Vec<u64>,
        vectors: Vec<f32>,
    ) -> Result<Rows, TryReserveError> {
        let mut row_of = HashMap::new();
        row_of.try_reserve(ids.len())?;
        row_of.extend(ids.iter().enumerate().map(|(row, &id)| (id, row)));
        Ok(Rows {
            dimension,
            ids,
            vectors,
            row_of,
        })
    }

    pub(crate) fn dimension(&self) -> usize {
        self.dimension
    }

    pub(crate) fn ids(&self) -> &[u64] {
        &self.ids
    }

    pub(crate) fn vectors(&self) -> &[f32] {
        &self.vectors
    }

    /// Makes room for those of `ids` that are not here yet, so that storing them cannot fail.
    pub(crate) fn reserve_for(&mut self, ids: &[u64]) -> Result<(), TryReserveError> {
        let new = ids
            .iter()
            .filter(|id| !self.row_of.contains_key(id))
            .count();
        self.ids.try_reserve(new)?;
        self.vectors
            .try_reserve(new.saturating_mul(self.dimension))?;
        self.row_of.try_reserve(new)
    }

    /// Stores a vector in the row of its id, a new one if need be; returns it as stored.
    pub(crate) fn put(&mut self, id: u64, vector: &[f32]) -> &mut [f32] {
        let row = *self.row_of.entry(id).or_insert(self.ids.len());
        let start = row * self.dimension;
        if row == self.ids.len() {
            self.ids.push(id);
            self.vectors.extend_from_slice(vector);
        } else {
            self.vectors[start..start + self.dimension].copy_from_slice(vector);
        }
        &mut self.vectors[start..start + self.dimension]
    }

    /// Removes the row of `id`; returns whether there was one.
    pub(crate) fn remove(&mut self, id: u64) -> bool {
        let Some(row) = self.row_of.remove(&id) else {
            return false;
        };
        let last = self.ids.len() - 1;
        let last_start = last * self.dimension;
        self.ids.swap_remove(row);
        self.vectors.copy_within(last_start.., row * self.dimension);
        self.vectors.truncate(last_start);
        if row < last {
            self.row_of.insert(self.ids[row], row);
        }
        true
    }

    /// Gives memory back if less than half of it is in use, and keeps a quarter more than what is,
    /// so that alternating calls do not move everything each time.
    pub(crate) fn give_back(&mut self) {
        let rows = self.ids.len();
        if self.vectors.capacity() / 2 > self.vectors.len() {
            let keep = rows + rows / 4;
            self.ids.shrink_to(keep);
            self.vectors.shrink_to(keep * self.dimension);
            self.row_of.shrink_to(keep);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(count: u64) -> Rows {
        let mut rows = Rows::new(2);
        for id in 0..count {
            rows.put(id, &[id as f32, -(id as f32)]);
        }
        rows
    }

    fn vector_of(rows: &Rows, id: u64) -> Option<&[f32]> {
        rows.row_of
            .get(&id)
            .map(|row| &rows.vectors[row * 2..row * 2 + 2])
    }

    #[test]
    fn removing_any_row_keeps_the_others() {
        for removed in 0..5 {
            let mut rows = filled(5);
            assert!(rows.remove(removed));
            assert!(!rows.remove(removed));
            for id in 0..5 {
                let expected = [id as f32, -(id as f32)];
                let expected = (id != removed).then_some(&expected[..]);
                assert_eq!(vector_of(&rows, id), expected);
            }
            assert_eq!((rows.ids.len(), rows.vectors.len()), (4, 8));
        }
    }

    #[test]
    fn putting_again_replaces() {
        let mut rows = filled(3);
        rows.put(1, &[7.0, 8.0]);
        assert_eq!(vector_of(&rows, 1), Some(&[7.0, 8.0][..]));
        assert_eq!(rows.ids.len(), 3);
    }

    #[test]
    fn memory_is_given_back() {
        let mut rows = filled(10_000);
        for id in 100..10_000 {
            rows.remove(id);
            rows.give_back();
        }
        assert!(
            rows.vectors.capacity() <= 2 * 2 * 126,
            "{}",
            rows.vectors.capacity()
        );
        assert!(rows.ids.capacity() <= 2 * 126);
        assert!(rows.row_of.capacity() <= 4 * 126);
        for id in 0..100 {
            assert!(rows.remove(id));
        }
        rows.give_back();
        assert_eq!(rows.vectors.capacity(), 0);
    }

    #[test]
    fn room_that_no_machine_has_is_an_error() {
        let mut rows = Rows::new(usize::MAX / 8);
        assert!(rows.reserve_for(&[1, 2, 3]).is_err());
        assert!(rows.ids.is_empty());
    }
}
