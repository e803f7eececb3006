//! Intel AMX: a unit that multiplies small matrices which lie in eight tile registers.
//!
//! A tile register has at most 16 rows of 64 bytes; how many of both is configured for each register
//! at once (`LDTILECFG`). With C of `m` rows by `n` numbers of 32 bits, A of `m` rows and B of `k`
//! rows, one instruction does `C += A B`:
//!
//! ```text
//! TDPBSUD, TDPBSSD   A: rows of 4 k signed bytes. B: row i has, for each of the n columns, the four
//!                    bytes (unsigned or signed) that meet bytes 4 i .. 4 i + 4 of a row of A.
//!                    C: whole numbers of 32 bits
//! TDPBF16PS          the same with 2 k bfloat16 in a row of A, two to a column in a row of B.
//!                    C: f32
//! ```
//!
//! So a step of a quantised row tile is a row of B as it lies in memory, and so is a pair of columns
//! of a dense bfloat16 tile; A are rows of activations.
//!
//! Kernels are written against [`TileUnit`]. `asm` has the instructions; `model`, for the tests of
//! every machine, does what the manual says that they do. Source: Intel 64 and IA-32 Architectures
//! Software Developer's Manual, volume 1, chapter 18, and volume 2 under the instructions' names.
//!
//! Of the instructions no run has been seen yet: they were written on a machine that lacks them. Their
//! encodings were compared with the manual's, the algorithms run on the model, and `detect` lets nobody
//! use a unit whose first products, in this very process, are not right.

#[cfg(target_arch = "x86_64")]
mod asm;
mod check;
mod config;
#[cfg(target_arch = "x86_64")]
mod detect;
#[cfg(test)]
pub(crate) mod model;
#[cfg(test)]
mod tests;

pub(crate) use config::TileConfig;

#[cfg(target_arch = "x86_64")]
pub(crate) use asm::AsmUnit;
#[cfg(target_arch = "x86_64")]
pub(crate) use detect::{HasAmx, amx};

/// Tile registers.
pub(crate) const REGISTERS: usize = 8;
/// The most rows of a register.
pub(crate) const MOST_ROWS: usize = 16;
/// The most bytes of a register's row.
pub(crate) const MOST_ROW_BYTES: usize = 64;

/// The tile registers of a thread and what can be done with them.
///
/// A value is the thread's only use of them, from its first [`configure`](Self::configure) on; when
/// it is dropped they are released. Registers are numbered by type parameters, because instructions
/// have the numbers in them. An instruction whose registers are not configured, are the same or have
/// shapes that do not go together is refused by the processor, which ends the process, and by the
/// model, which fails the test.
pub(crate) trait TileUnit {
    /// Gives all registers their shapes, and zeros.
    fn configure(&mut self, config: &TileConfig);

    /// Sets a register to zeros.
    fn zero<const C: usize>(&mut self);

    /// Fills the rows of a register from memory, each `stride` bytes after the one before.
    ///
    /// # Safety
    ///
    /// Each of these rows is valid for reads of the bytes of a row of the register.
    unsafe fn load<const T: usize>(&mut self, from: *const u8, stride: usize);

    /// Writes the rows of a register to memory, each `stride` bytes after the one before.
    ///
    /// # Safety
    ///
    /// Each of these rows is valid for writes of the bytes of a row of the register.
    unsafe fn store<const T: usize>(&mut self, to: *mut u8, stride: usize);

    /// Adds to C the products of signed bytes of A with unsigned ones of B.
    fn multiply_signed_unsigned<const C: usize, const A: usize, const B: usize>(&mut self);

    /// Adds to C the products of signed bytes of both.
    fn multiply_signed<const C: usize, const A: usize, const B: usize>(&mut self);

    /// Adds to C, which is f32, the products of bfloat16. The pairs' first and second products are
    /// summed apart over the rows of B, in their order, with one rounding a product; both sums are
    /// added, and then C. Denormal numbers are zeros, before and after.
    fn multiply_bf16<const C: usize, const A: usize, const B: usize>(&mut self);
}

/// A unit that can be used.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub(crate) enum Amx {
    /// The processor's.
    Processor(HasAmx),
    /// The model, with which tests run all kernels of this tier on any machine.
    #[cfg(test)]
    Model,
}

/// Compiles an expression once for each kind of unit and runs the one that there is, with a unit
/// that is released afterwards.
#[cfg(target_arch = "x86_64")]
macro_rules! with_tile_unit {
    ($amx:expr, $unit:ident => $body:expr) => {
        match $amx {
            $crate::amx::Amx::Processor(proof) => {
                let $unit = &mut $crate::amx::AsmUnit::new(proof);
                $body
            }
            #[cfg(test)]
            $crate::amx::Amx::Model => {
                let $unit = &mut $crate::amx::model::ModelUnit::new();
                $body
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
pub(crate) use with_tile_unit;
