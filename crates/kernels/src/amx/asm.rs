//! The processor's own tile registers, an instruction a method.
//!
//! Stable Rust has no intrinsics for them and no way to name them as operands that go from one block of
//! assembly to the next. They need none: the compiler itself uses no tile register unless it is told
//! that the target has AMX, which this crate never does, so what a block leaves in them the next one
//! finds. Blocks that are not `pure` stay in their order.

use std::arch::asm;
use std::marker::PhantomData;

use super::{HasAmx, TileConfig, TileUnit};

/// The registers of the thread that made it. Other threads have their own, hence it cannot be sent.
#[derive(Debug)]
pub(crate) struct AsmUnit {
    not_send: PhantomData<*const ()>,
}

impl AsmUnit {
    /// Takes the registers, as yet without shapes. The proof says that there are such instructions
    /// and that the system lets this process use them.
    pub(crate) fn new(_: HasAmx) -> Self {
        Self {
            not_send: PhantomData,
        }
    }
}

impl Drop for AsmUnit {
    /// Releases the registers, which the system else keeps for the thread at every switch.
    fn drop(&mut self) {
        // SAFETY: the instruction exists, as the proof in `new` said, touches no memory and changes
        // no register but those of the unit.
        unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) };
    }
}

// The destination comes first, then A, then B.
macro_rules! multiply {
    ($instruction:literal, $C:ident, $A:ident, $B:ident) => {
        // SAFETY: the instruction exists, as the proof in `new` said, touches no memory and changes
        // no register but C. Shapes that do not go together end the process before anything is done.
        unsafe {
            asm!(
                concat!($instruction, " tmm{c}, tmm{a}, tmm{b}"),
                c = const $C,
                a = const $A,
                b = const $B,
                options(nomem, nostack, preserves_flags),
            )
        }
    };
}

impl TileUnit for AsmUnit {
    #[inline(always)]
    fn configure(&mut self, config: &TileConfig) {
        // SAFETY: the instruction exists, as the proof in `new` said, and reads the 64 bytes of a
        // `TileConfig`; it changes no register but those of the unit.
        unsafe {
            asm!(
                "ldtilecfg [{config}]",
                config = in(reg) config,
                options(readonly, nostack, preserves_flags),
            );
        }
    }

    #[inline(always)]
    fn zero<const C: usize>(&mut self) {
        // SAFETY: as `configure`, and it touches no memory.
        unsafe {
            asm!(
                "tilezero tmm{c}",
                c = const C,
                options(nomem, nostack, preserves_flags),
            );
        }
    }

    #[inline(always)]
    unsafe fn load<const T: usize>(&mut self, from: *const u8, stride: usize) {
        // SAFETY: as `configure`; the caller promises the memory that it reads.
        unsafe {
            asm!(
                "tileloadd tmm{t}, [{from} + {stride}*1]",
                t = const T,
                from = in(reg) from,
                stride = in(reg) stride,
                options(readonly, nostack, preserves_flags),
            );
        }
    }

    #[inline(always)]
    unsafe fn store<const T: usize>(&mut self, to: *mut u8, stride: usize) {
        // SAFETY: as `configure`; the caller promises the memory that it writes.
        unsafe {
            asm!(
                "tilestored [{to} + {stride}*1], tmm{t}",
                t = const T,
                to = in(reg) to,
                stride = in(reg) stride,
                options(nostack, preserves_flags),
            );
        }
    }

    #[inline(always)]
    fn multiply_signed_unsigned<const C: usize, const A: usize, const B: usize>(&mut self) {
        multiply!("tdpbsud", C, A, B);
    }

    #[inline(always)]
    fn multiply_signed<const C: usize, const A: usize, const B: usize>(&mut self) {
        multiply!("tdpbssd", C, A, B);
    }

    #[inline(always)]
    fn multiply_bf16<const C: usize, const A: usize, const B: usize>(&mut self) {
        multiply!("tdpbf16ps", C, A, B);
    }
}
