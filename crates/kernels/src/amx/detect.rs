//! Whether this process can use the tile unit: the processor announces it, the system saves its
//! registers, the system lets this process use them, and the first products are right.
//!
//! Source: Intel's manual, volume 1, section 18.2 (CPUID and XCR0); the kernel's
//! `Documentation/arch/x86/xstate.rst` (permission).

use std::arch::x86_64::{__cpuid_count, __get_cpuid_max, _xgetbv, CpuidResult};
use std::sync::OnceLock;

use super::asm::AsmUnit;
use super::check::products_are_right;
use super::{MOST_ROW_BYTES, MOST_ROWS, REGISTERS};

/// Proof that the processor has AMX-TILE, AMX-INT8 and AMX-BF16, that this process may use them, and
/// that their first products were right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HasAmx(());

/// Finds out at the first call, and says the same ever after.
pub(crate) fn amx() -> Option<HasAmx> {
    static FOUND: OnceLock<Option<HasAmx>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        if !(is_announced() && is_saved() && is_permitted()) {
            return None;
        }
        let proof = HasAmx(());
        products_are_right(&mut AsmUnit::new(proof)).then_some(proof)
    })
}

/// Whether the processor has the instructions, and registers of the size that the kernels count on.
fn is_announced() -> bool {
    const BF16: u32 = 1 << 22;
    const TILE: u32 = 1 << 24;
    const INT8: u32 = 1 << 25;
    /// Sub-leaf 1 describes palette 1.
    const TILE_LEAF: u32 = 0x1d;
    let all = BF16 | TILE | INT8;
    if cpuid(7, 0).is_none_or(|features| features.edx & all != all) {
        return false;
    }
    cpuid(TILE_LEAF, 1).is_some_and(|palette| {
        let (row_bytes, registers) = (palette.ebx & 0xffff, palette.ebx >> 16);
        let rows = palette.ecx & 0xffff;
        row_bytes as usize == MOST_ROW_BYTES
            && registers as usize >= REGISTERS
            && rows as usize == MOST_ROWS
    })
}

/// Whether the system saves the registers' configuration and contents when threads switch.
fn is_saved() -> bool {
    const OSXSAVE: u32 = 1 << 27;
    const TILE_STATE: u64 = 0b11 << 17;

    #[target_feature(enable = "xsave")]
    fn enabled() -> u64 {
        // SAFETY: register 0 exists where the instruction does.
        unsafe { _xgetbv(0) }
    }

    if cpuid(1, 0).is_none_or(|features| features.ecx & OSXSAVE == 0) {
        return false;
    }
    // SAFETY: where OSXSAVE is announced, the instruction may be used.
    unsafe { enabled() & TILE_STATE == TILE_STATE }
}

/// A leaf of CPUID, if there is one of this number.
fn cpuid(leaf: u32, sub_leaf: u32) -> Option<CpuidResult> {
    // Safe functions in newer compilers.
    #[allow(unused_unsafe)]
    // SAFETY: every x86-64 has CPUID, and leaf 0, which the greatest number comes from.
    unsafe {
        let (greatest, _) = __get_cpuid_max(0);
        (leaf <= greatest).then(|| __cpuid_count(leaf, sub_leaf))
    }
}

/// Asks the system to let all threads of this process use the registers; Linux saves their 8 KiB only
/// for those who have asked.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn is_permitted() -> bool {
    use std::arch::asm;

    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const XFEATURE_XTILEDATA: u64 = 18;
    let result: i64;
    // SAFETY: a system call that reads and writes no memory of this process; rcx and r11 are what the
    // instruction changes besides its result.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}

/// How other systems give permission is not known here, so they do without.
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
fn is_permitted() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_stays_the_same_and_needs_every_condition() {
        let found = amx().is_some();
        assert_eq!(found, amx().is_some());
        assert!(!found || (is_announced() && is_saved()));
    }

    #[test]
    fn leaves_beyond_the_greatest_are_none() {
        assert!(cpuid(0, 0).is_some());
        assert!(cpuid(0x7fff_ffff, 0).is_none());
    }
}
