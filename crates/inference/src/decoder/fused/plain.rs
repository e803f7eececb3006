//! What the plain versions have in common.

use candle_core::{CpuStorage, Layout, Result, Shape};

/// Numbers that lie side by side.
pub(super) fn numbers<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (layout.contiguous_offsets(), storage) {
        (Some((start, end)), CpuStorage::F32(numbers)) => Ok(&numbers[start..end]),
        _ => candle_core::bail!("f32 numbers that lie side by side are wanted"),
    }
}

/// Numbers of a shape.
pub(super) fn given(numbers: Vec<f32>, shape: impl Into<Shape>) -> Result<(CpuStorage, Shape)> {
    Ok((CpuStorage::F32(numbers), shape.into()))
}
