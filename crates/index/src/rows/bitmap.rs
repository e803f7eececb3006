//! Sets of rows, a bit a row.

/// Bits in a word.
pub(crate) const WORD: usize = u64::BITS as usize;

/// A set of rows below a fixed number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bitmap {
    words: Vec<u64>,
    rows: usize,
}

impl Bitmap {
    /// Nothing of `rows` rows.
    pub(crate) fn none(rows: usize) -> Bitmap {
        Bitmap {
            words: vec![0; rows.div_ceil(WORD)],
            rows,
        }
    }

    /// All of `rows` rows.
    pub(crate) fn all(rows: usize) -> Bitmap {
        let mut all = Bitmap {
            words: vec![u64::MAX; rows.div_ceil(WORD)],
            rows,
        };
        if let Some(last) = all.words.last_mut()
            && !rows.is_multiple_of(WORD)
        {
            *last = (1 << (rows % WORD)) - 1;
        }
        all
    }

    pub(crate) fn contains(&self, row: usize) -> bool {
        self.words[row / WORD] >> (row % WORD) & 1 == 1
    }

    pub(crate) fn insert(&mut self, row: usize) {
        self.words[row / WORD] |= 1 << (row % WORD);
    }

    pub(crate) fn remove(&mut self, row: usize) {
        self.words[row / WORD] &= !(1 << (row % WORD));
    }

    /// Makes room for `rows` rows; the new ones are in the set.
    pub(crate) fn grow(&mut self, rows: usize) {
        let old = self.rows;
        self.words.resize(rows.div_ceil(WORD), 0);
        self.rows = rows;
        (old..rows).for_each(|row| self.insert(row));
    }

    pub(crate) fn count(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// Bit `i` of word `w` stands for row `64 * w + i`.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_was_put_in() {
        for rows in [0, 1, 63, 64, 65, 200] {
            let mut bits = Bitmap::none(rows);
            assert_eq!(bits.count(), 0);
            (0..rows).step_by(3).for_each(|row| bits.insert(row));
            assert_eq!(bits.count(), rows.div_ceil(3));
            (0..rows).step_by(6).for_each(|row| bits.remove(row));
            assert!((0..rows).all(|row| bits.contains(row) == (row % 6 == 3)));
            assert_eq!(Bitmap::all(rows).count(), rows);
        }
    }

    #[test]
    fn growing_adds_the_new_rows_only() {
        let mut bits = Bitmap::all(70);
        bits.remove(69);
        bits.grow(130);
        assert_eq!(bits.count(), 129);
        assert!(!bits.contains(69) && bits.contains(129));
    }
}
