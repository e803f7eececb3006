//! What requests need of the logits of a step, found where the logits are.
//!
//! On a card, copying the logits of many requests takes as long as the step. So only what is needed comes back: of most
//! rows the group that has the greatest logit, of others some of the greatest, of the rest all; and of the former whether
//! all their numbers are finite. Whatever a step brings is copied at once.
//!
//! Now and then what came back does not tell what the greatest are: a number is not finite, or others may be as great as
//! the last one that is needed, since a device sorts equal ones as it likes. Then the whole rows are copied after all.

use std::cmp::min;
use std::ops::Range;

use candle_core::{D, DType, Result, Tensor};

use crate::device_rows::{GROUP, MOST_ON_DEVICE, greatest_group, greatest_on_device};
use crate::engine::{Needed, Scores, deal};
use crate::sampling::{by_logit, likeliest};

/// So many of the greatest logits are found at most: those behind the last one needed tell whether others are as great.
const MOST: usize = MOST_ON_DEVICE - 16;
/// Columns come back as f32 beside the logits, in which whole numbers are exact up to here.
const MOST_COLUMNS: usize = 1 << 24;

/// What a part asked for: so many rows, and how much of each.
pub(super) type Asked = (usize, Needed);

/// What each part gets of the rows of all, which lie one part's after another's: (rows, vocabulary) in f32.
pub(super) fn scores(logits: &Tensor, asked: &[Asked]) -> Result<Vec<Scores>> {
    let vocabulary = logits.dim(1)?;
    let looks = asked
        .iter()
        .flat_map(|&(count, needed)| std::iter::repeat_n(Look::of(needed, vocabulary), count));
    let rows = Rows {
        logits,
        vocabulary,
        looks: looks.collect(),
    };
    if rows.looks.iter().all(Look::is_all) {
        let counts: Vec<usize> = asked.iter().map(|&(count, _)| count).collect();
        return Ok(deal(logits.flatten_all()?.to_vec1()?, &counts));
    }
    let copied = rows.copied()?;
    let mut start = 0;
    let scores = asked.iter().map(|&(count, _)| {
        start += count;
        rows.scores(start - count..start, &copied)
    });
    scores.collect()
}

/// What is looked for in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Everything.
    All,
    /// The greatest.
    One,
    /// So many of the greatest.
    Some(usize),
}

impl Look {
    fn of(needed: Needed, vocabulary: usize) -> Self {
        match needed {
            _ if vocabulary > MOST_COLUMNS => Self::All,
            Needed::Greatest(0 | 1) => Self::One,
            Needed::Greatest(count) if count <= MOST => Self::Some(count),
            Needed::Greatest(_) | Needed::Logits => Self::All,
        }
    }

    fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    fn is_one(&self) -> bool {
        matches!(self, Self::One)
    }

    fn is_some(&self) -> bool {
        matches!(self, Self::Some(_))
    }

    /// How many of the greatest are needed.
    fn needed(&self) -> usize {
        match self {
            Self::All | Self::One => 1,
            Self::Some(count) => *count,
        }
    }

    /// How many the device finds: more than are needed, so that it rarely stays unclear which those are. Logits of 16
    /// bits are often equal.
    fn wanted(&self) -> usize {
        (2 * self.needed() + 16).min(MOST_ON_DEVICE)
    }

    /// The tokens and logits that are needed, in order, of those that were found; none if they are not clear.
    fn read(&self, found: &[f32], vocabulary: usize) -> Option<Vec<(u32, f32)>> {
        let (sum_of_zeros, found) = found.split_last()?;
        match self {
            _ if *sum_of_zeros != 0.0 => None,
            Self::All => None,
            Self::One => read_group(found),
            Self::Some(needed) => read_some(found, min(*needed, vocabulary), vocabulary),
        }
    }
}

/// The rows of a step.
struct Rows<'logits> {
    logits: &'logits Tensor,
    vocabulary: usize,
    looks: Vec<Look>,
}

/// What came back from the device.
struct Copied {
    values: Vec<f32>,
    /// Where each row's are.
    places: Vec<Range<usize>>,
}

impl Rows<'_> {
    /// Finds what is looked for in each row and copies all of it at once.
    fn copied(&self) -> Result<Copied> {
        let mut pieces = Vec::new();
        let mut places = vec![0..0; self.looks.len()];
        let mut end = 0;
        let wanted = self.looks.iter().map(Look::wanted).max().unwrap_or(0);
        for is_alike in [Look::is_all, Look::is_one, Look::is_some] {
            let rows: Vec<usize> = self.numbers(is_alike).collect();
            let Some(first) = rows.first() else { continue };
            let logits = self.of(&rows)?;
            let piece = match self.looks[*first] {
                Look::All => logits,
                Look::One => group_of_each(&logits)?,
                Look::Some(_) => some_of_each(&logits, wanted)?,
            };
            for row in rows {
                places[row] = end..end + piece.dim(1)?;
                end = places[row].end;
            }
            pieces.push(piece.flatten_all()?);
        }
        Ok(Copied {
            values: Tensor::cat(&pieces, 0)?.to_vec1()?,
            places,
        })
    }

    fn numbers(&self, is_alike: impl Fn(&Look) -> bool) -> impl Iterator<Item = usize> {
        let rows = self.looks.iter().enumerate();
        rows.filter(move |(_, look)| is_alike(look))
            .map(|(row, _)| row)
    }

    /// Some of the rows, on the device.
    fn of(&self, rows: &[usize]) -> Result<Tensor> {
        if rows.len() == self.looks.len() {
            return Ok(self.logits.clone());
        }
        let numbers: Vec<u32> = rows.iter().map(|row| *row as u32).collect();
        let numbers = Tensor::new(numbers, self.logits.device())?;
        self.logits.index_select(&numbers, 0)
    }

    /// What a part with these rows gets. All of them are looked at alike.
    fn scores(&self, rows: Range<usize>, copied: &Copied) -> Result<Scores> {
        let values = |row: usize| &copied.values[copied.places[row].clone()];
        if rows.is_empty() {
            return Ok(Scores::NONE);
        }
        if self.looks[rows.start] == Look::All {
            let all: Vec<&[f32]> = rows.map(values).collect();
            return Ok(Scores::Logits(all.concat()));
        }
        let greatest = rows.clone();
        let greatest = greatest.map(|row| self.looks[row].read(values(row), self.vocabulary));
        if let Some(greatest) = greatest.collect() {
            return Ok(Scores::Greatest(greatest));
        }
        let all = self.logits.narrow(0, rows.start, rows.len())?;
        Ok(Scores::Logits(all.flatten_all()?.to_vec1()?))
    }
}

/// The logits of the group that has the first of the greatest, the group's number, and 0 if all of the row are finite:
/// (rows, vocabulary) to (rows, group + 2).
fn group_of_each(logits: &Tensor) -> Result<Tensor> {
    let (number, within) = greatest_group(logits)?;
    let number = number.to_dtype(DType::F32)?;
    Tensor::cat(&[&within, &number, &sums_of_zeros(logits)?], D::Minus1)
}

fn read_group(found: &[f32]) -> Option<Vec<(u32, f32)>> {
    let (number, within) = found.split_last()?;
    let place = likeliest(within);
    let token = *number as u32 * GROUP as u32 + place;
    Some(vec![(token, *within.get(place as usize)?)])
}

/// The `wanted` greatest of each row, as far as there are so many, their columns, and 0 if all of the row are finite.
fn some_of_each(logits: &Tensor, wanted: usize) -> Result<Tensor> {
    let (columns, greatest) = greatest_on_device(logits, wanted)?;
    let columns = columns.to_dtype(DType::F32)?;
    Tensor::cat(&[&greatest, &columns, &sums_of_zeros(logits)?], D::Minus1)
}

/// The `needed` first, if what was found has all of the row or something less than the last of them.
fn read_some(found: &[f32], needed: usize, vocabulary: usize) -> Option<Vec<(u32, f32)>> {
    let (logits, columns) = found.split_at(found.len() / 2);
    let tokens = columns.iter().map(|column| *column as u32);
    let mut tokens: Vec<(u32, f32)> = tokens.zip(logits.iter().copied()).collect();
    tokens.sort_unstable_by(by_logit);
    let last = tokens.get(needed.checked_sub(1)?)?.1;
    let is_clear = tokens.len() == vocabulary || last > tokens.last()?.1;
    tokens.truncate(needed);
    is_clear.then_some(tokens)
}

/// Zero times each logit, added up: zero if all of a row are finite, else not a number, in one pass over the row. Neither
/// comparisons nor maxima are sure to notice on every device.
fn sums_of_zeros(logits: &Tensor) -> Result<Tensor> {
    let zeros = Tensor::zeros((logits.dim(1)?, 1), DType::F32, logits.device())?;
    logits.matmul(&zeros)
}

#[cfg(test)]
#[path = "chosen_tests.rs"]
mod tests;
