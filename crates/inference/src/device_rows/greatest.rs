//! The greatest scores of each query, found on the device.
//!
//! Sorting a million scores would take longer than computing them. So they are cut into groups, of which only the
//! maxima go on, until few are left to sort; then the best groups are opened again, level by level. This loses
//! nothing: each of the `k` greatest scores lies in one of the `k` groups with the greatest maxima. What is left at
//! the end, some tens of scores for each one wanted, is brought back and ordered exactly.

use std::cmp::Ordering;

use candle_core::{D, DType, Result, Tensor};

/// Scores of a group.
pub(crate) const GROUP: usize = 64;
/// Maxima that are sorted as they are.
const FEW: usize = 2048;
/// The most of the greatest that a device finds and sorts: a group for each is 8192 scores, whose places take 32 KB of the
/// memory that a block of CUDA threads shares.
pub(crate) const MOST_ON_DEVICE: usize = 128;
/// The most rows that can be asked for: a device sorts some thousands of numbers at a time, a group for each.
pub const MOST_GREATEST: usize = 100;

/// The `k` greatest of the first `len` scores of each query: (queries, columns), with whole groups of columns.
pub(super) fn greatest(scores: Tensor, len: usize, k: usize) -> Result<Vec<Vec<(usize, f32)>>> {
    // Of the last group some scores may be of no row; it takes the place of one group at most.
    let (columns, values) = best_groups(scores, k + 1)?;
    Ok(choose(&columns.to_vec2()?, &values.to_vec2()?, len, k))
}

/// Some scores of each row and their columns, among them the `wanted` greatest: the groups with the greatest maxima.
/// (rows, columns), with whole groups of columns, to twice (rows, fewer columns).
fn best_groups(scores: Tensor, wanted: usize) -> Result<(Tensor, Tensor)> {
    let mut levels = vec![scores];
    while let Some(last) = levels.last()
        && last.dim(D::Minus1)? > FEW.max(GROUP * wanted)
    {
        let maxima = maxima(last)?;
        levels.push(maxima);
    }
    let Some(top) = levels.pop() else {
        candle_core::bail!("there are no scores");
    };
    let mut columns = numbers(&top)?;
    let mut values = top;
    while let Some(below) = levels.pop() {
        // What fills up a level is among the greatest where others are infinitely small or no numbers.
        let last = below.dim(D::Minus1)? / GROUP - 1;
        let best = best(&values, &columns, wanted)?.minimum(last as f64)?;
        columns = opened(&best)?;
        values = below.gather(&columns, 1)?;
    }
    Ok((columns, values))
}

/// The `wanted` greatest scores of each row (or all, if there are not so many) and their columns, in order except that
/// equal ones may have any: (rows, columns) to twice (rows, wanted). What fills up a last group is infinitely small.
pub(crate) fn greatest_on_device(scores: &Tensor, wanted: usize) -> Result<(Tensor, Tensor)> {
    let (columns, values) = best_groups(filled_up(scores.clone())?, wanted)?;
    let places = places(&values, wanted.min(scores.dim(1)?))?;
    Ok((columns.gather(&places, 1)?, values.gather(&places, 1)?))
}

/// The first group of each row that has the row's greatest score, and its scores: (rows, columns) to (rows, 1) and
/// (rows, GROUP). Of a row with something that is no number it may be any group.
pub(crate) fn greatest_group(scores: &Tensor) -> Result<(Tensor, Tensor)> {
    let scores = filled_up(scores.clone())?;
    let maxima = maxima(&scores)?;
    let is_greatest = maxima.broadcast_eq(&maxima.max_keepdim(D::Minus1)?)?;
    // A device may answer with any of equal ones. The first of their places is minus the greatest of these.
    let places = numbers(&maxima)?.to_dtype(DType::F32)?.neg()?;
    let last = scores.dim(1)? / GROUP - 1;
    let last = Tensor::full(-(last as f32), maxima.shape(), scores.device())?;
    let first = is_greatest.where_cond(&places, &last)?;
    let first = first.max_keepdim(D::Minus1)?.neg()?.to_dtype(DType::U32)?;
    let within = scores.gather(&opened(&first)?, 1)?;
    Ok((first, within))
}

/// The greatest of each group: (queries, groups), filled up to whole groups of groups.
fn maxima(scores: &Tensor) -> Result<Tensor> {
    let (queries, columns) = scores.dims2()?;
    let groups = columns / GROUP;
    filled_up(scores.reshape((queries, groups, GROUP))?.max(D::Minus1)?)
}

/// Scores with others behind them that are never the greatest, up to whole groups.
fn filled_up(scores: Tensor) -> Result<Tensor> {
    let (queries, columns) = scores.dims2()?;
    match columns.next_multiple_of(GROUP) - columns {
        0 => Ok(scores),
        missing => {
            let least = Tensor::full(f32::NEG_INFINITY, (queries, missing), scores.device())?;
            Tensor::cat(&[&scores, &least], 1)
        }
    }
}

/// 0, 1, 2 and so on for each query.
fn numbers(scores: &Tensor) -> Result<Tensor> {
    let (queries, columns) = scores.dims2()?;
    let numbers = Tensor::arange(0, columns as u32, scores.device())?;
    numbers
        .unsqueeze(0)?
        .broadcast_as((queries, columns))?
        .contiguous()
}

/// Which columns have the `wanted` greatest values: (queries, wanted).
fn best(values: &Tensor, columns: &Tensor, wanted: usize) -> Result<Tensor> {
    let wanted = wanted.min(values.dim(1)?);
    columns.gather(&places(values, wanted)?, 1)
}

/// The places of the `wanted` greatest values of each row, in order.
fn places(values: &Tensor, wanted: usize) -> Result<Tensor> {
    let sortable = match values.device().is_cpu() {
        true => with_numbers_only(values)?,
        false => values.contiguous()?,
    };
    let order = sortable.arg_sort_last_dim(false)?;
    order.narrow(1, 0, wanted)?.contiguous()
}

/// The processor's sort panics where values have no order.
fn with_numbers_only(values: &Tensor) -> Result<Tensor> {
    let least = Tensor::full(f32::NEG_INFINITY, values.shape(), values.device())?;
    values.eq(values)?.where_cond(values, &least)
}

/// The columns of groups, one level below: (queries, groups * GROUP).
fn opened(groups: &Tensor) -> Result<Tensor> {
    let (queries, count) = groups.dims2()?;
    let within = Tensor::arange(0, GROUP as u32, groups.device())?;
    let first = (groups * GROUP as f64)?.unsqueeze(2)?;
    let columns = first.broadcast_add(&within.reshape((1, 1, GROUP))?)?;
    columns.reshape((queries, count * GROUP))
}

/// Of each query's scores the `k` greatest that are of rows, in order.
fn choose(
    columns: &[Vec<u32>],
    values: &[Vec<f32>],
    len: usize,
    k: usize,
) -> Vec<Vec<(usize, f32)>> {
    let queries = columns.iter().zip(values).map(|(columns, values)| {
        let numbered = columns.iter().map(|column| *column as usize);
        let scores = numbered.zip(values.iter().copied());
        let mut scores: Vec<(usize, f32)> = scores.filter(|(column, _)| *column < len).collect();
        let k = k.min(scores.len());
        if k < scores.len() {
            scores.select_nth_unstable_by(k, order);
        }
        scores.truncate(k);
        scores.sort_unstable_by(order);
        scores
    });
    queries.collect()
}

/// Greater scores first, of equal ones the lower column.
fn order(left: &(usize, f32), right: &(usize, f32)) -> Ordering {
    right.1.total_cmp(&left.1).then(left.0.cmp(&right.0))
}
