//! Which instruction set the kernels use: found once, at run time, and never by build flags.
//!
//! [`isa_selection`] says what was found and what is used. The environment variable
//! [`ISA_VARIABLE`] forces a lower tier, so that one machine can test and measure them all; a
//! value that cannot be honoured is reported there and changes nothing else.
//!
//! Inside the crate a [`Supported`] value is the proof that the processor has the instructions:
//! its tokens can be made in this file only, after asking the processor.

use std::fmt;
use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
use crate::amx::{Amx, amx};

/// The environment variable that forces a tier: `scalar`, `avx2`, `avx512` or `amx`.
pub const ISA_VARIABLE: &str = "LONGTRAINER_ISA";

/// A tier of instructions, from the one that every machine has upwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Isa {
    /// Plain Rust, vectorised by the compiler for the target's baseline (SSE2, NEON, ...).
    Scalar,
    /// AVX2, FMA and F16C: 8 floats at once.
    Avx2,
    /// AVX-512 F, BW, DQ, VL and VNNI: 16 floats at once, and dot products of bytes.
    Avx512,
    /// AMX TILE, INT8 and BF16, and AVX-512 BF16: products of small matrices, in the families that
    /// consist of such; the others run their AVX-512 code.
    Amx,
}

impl Isa {
    /// Every tier, lowest first.
    pub const ALL: [Isa; 4] = [Isa::Scalar, Isa::Avx2, Isa::Avx512, Isa::Amx];

    /// The name that [`ISA_VARIABLE`] takes.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            Isa::Amx => "amx",
        }
    }

    /// Whether this machine can run it.
    pub fn is_available(self) -> bool {
        Supported::new(self).is_some()
    }

    /// The tier that the kernels of this process use.
    pub fn active() -> Isa {
        isa_selection().active
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What was found, what was asked for, and what is used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IsaSelection {
    /// The highest tier that the machine has.
    pub detected: Isa,
    /// The tier that is used.
    pub active: Isa,
    /// Why [`ISA_VARIABLE`] was not honoured, if it was set and was not.
    pub problem: Option<IsaProblem>,
}

/// Why a tier that was asked for is not used; its text is fit for a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IsaProblem {
    /// No tier has this name.
    #[error("{ISA_VARIABLE}={value} names no instruction set (scalar, avx2, avx512, amx)")]
    Unknown {
        /// The variable's value.
        value: String,
    },
    /// The machine lacks the tier.
    #[error("{ISA_VARIABLE}={requested} asks for more than this machine has ({detected})")]
    Unavailable {
        /// The tier asked for.
        requested: Isa,
        /// The highest tier that the machine has.
        detected: Isa,
    },
}

/// What the kernels of this process run on; decided at the first call and the same ever after.
pub fn isa_selection() -> &'static IsaSelection {
    &choice().0
}

/// A tier together with the proof that the processor has it. AMX is not a variant of its own: only a
/// few families have code for it, which ask [`HasAvx512::amx`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Supported {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(HasAvx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(HasAvx512),
}

/// Proof that the processor has AVX2, FMA and F16C.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct HasAvx2(());

/// Proof that the processor has AVX-512 F, BW, DQ, VL and VNNI, and all of [`HasAvx2`].
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct HasAvx512 {
    amx: Option<Amx>,
}

/// Proof that the processor has AVX-512 BF16, besides all of [`HasAvx512`].
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct HasBf16(());

/// Proof that the processor has AVX-512 VBMI, besides all of [`HasAvx512`].
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct HasVbmi(());

#[cfg(target_arch = "x86_64")]
impl HasAvx512 {
    /// The lesser tier, for kernels to which wider vectors bring nothing by themselves.
    pub(crate) fn avx2(self) -> HasAvx2 {
        HasAvx2(())
    }

    /// Permutations of bytes over a whole vector, where the processor has them: not every AVX-512
    /// machine does.
    pub(crate) fn vbmi(self) -> Option<HasVbmi> {
        is_x86_feature_detected!("avx512vbmi").then_some(HasVbmi(()))
    }

    /// The products of bfloat16, where the processor has them: not every AVX-512 machine does.
    pub(crate) fn bf16(self) -> Option<HasBf16> {
        is_x86_feature_detected!("avx512bf16").then_some(HasBf16(()))
    }

    /// The tile unit, where the tier in use is AMX.
    pub(crate) fn amx(self) -> Option<Amx> {
        self.amx
    }
}

impl Supported {
    /// The tier that the kernels of this process use.
    pub(crate) fn active() -> Supported {
        choice().1
    }

    /// Whether the tier is AMX.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn has_amx(self) -> bool {
        matches!(self, Supported::Avx512(proof) if proof.amx.is_some())
    }

    /// Whether the tier is AMX, which no other processor has.
    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn has_amx(self) -> bool {
        false
    }

    /// Asks the processor for `isa`.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn new(isa: Isa) -> Option<Supported> {
        let avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        let on_avx512 = |amx| (avx2 && avx512).then_some(Supported::Avx512(HasAvx512 { amx }));
        match isa {
            Isa::Scalar => Some(Supported::Scalar),
            Isa::Avx2 => avx2.then_some(Supported::Avx2(HasAvx2(()))),
            Isa::Avx512 => on_avx512(None),
            Isa::Amx if is_x86_feature_detected!("avx512bf16") => {
                on_avx512(Some(Amx::Processor(amx()?)))
            }
            Isa::Amx => None,
        }
    }

    /// AMX with the unit's model, where there is AVX-512: so tests see what the tier does on machines
    /// that lack it.
    #[cfg(all(test, target_arch = "x86_64"))]
    pub(crate) fn modelled_amx() -> Option<Supported> {
        Supported::new(Isa::Avx512).map(|_| {
            let amx = Some(Amx::Model);
            Supported::Avx512(HasAvx512 { amx })
        })
    }

    /// There is no AVX-512 to go with the model.
    #[cfg(all(test, not(target_arch = "x86_64")))]
    pub(crate) fn modelled_amx() -> Option<Supported> {
        None
    }

    /// Other processors run the scalar code, which the compiler vectorises for them.
    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn new(isa: Isa) -> Option<Supported> {
        (isa == Isa::Scalar).then_some(Supported::Scalar)
    }
}

fn choice() -> &'static (IsaSelection, Supported) {
    static CHOICE: OnceLock<(IsaSelection, Supported)> = OnceLock::new();
    CHOICE.get_or_init(|| {
        let requested = std::env::var_os(ISA_VARIABLE);
        let requested = requested.as_ref().map(|value| value.to_string_lossy());
        let selection = select(requested.as_deref(), detect());
        let supported = Supported::new(selection.active).unwrap_or(Supported::Scalar);
        (selection, supported)
    })
}

fn detect() -> Isa {
    let available = Isa::ALL.into_iter().filter(|isa| isa.is_available());
    available.max().unwrap_or(Isa::Scalar)
}

/// The decision itself: what is asked for if the machine has it, else the best there is.
fn select(requested: Option<&str>, detected: Isa) -> IsaSelection {
    let (active, problem) = match requested.map(str::trim).filter(|value| !value.is_empty()) {
        None => (detected, None),
        Some(value) => match parse(value) {
            Some(isa) if isa <= detected => (isa, None),
            Some(requested) => (
                detected,
                Some(IsaProblem::Unavailable {
                    requested,
                    detected,
                }),
            ),
            None => (
                detected,
                Some(IsaProblem::Unknown {
                    value: value.to_owned(),
                }),
            ),
        },
    };
    IsaSelection {
        detected,
        active,
        problem,
    }
}

fn parse(value: &str) -> Option<Isa> {
    Isa::ALL
        .into_iter()
        .find(|isa| isa.name().eq_ignore_ascii_case(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_tier_can_be_forced_and_nothing_means_the_best() {
        for requested in [None, Some(""), Some("  ")] {
            let selection = select(requested, Isa::Avx512);
            assert_eq!((selection.active, selection.problem), (Isa::Avx512, None));
        }
        for (requested, active) in [
            ("scalar", Isa::Scalar),
            (" AVX2 ", Isa::Avx2),
            ("avx512", Isa::Avx512),
            ("amx", Isa::Amx),
        ] {
            let selection = select(Some(requested), Isa::Amx);
            assert_eq!((selection.active, selection.problem), (active, None));
        }
    }

    #[test]
    fn what_cannot_be_honoured_is_reported_and_falls_back() {
        let selection = select(Some("sse9"), Isa::Avx2);
        assert_eq!(selection.active, Isa::Avx2);
        assert_eq!(
            selection
                .problem
                .map(|problem| problem.to_string())
                .as_deref(),
            Some("LONGTRAINER_ISA=sse9 names no instruction set (scalar, avx2, avx512, amx)")
        );
        let selection = select(Some("avx512"), Isa::Avx2);
        assert_eq!(selection.active, Isa::Avx2);
        assert_eq!(
            selection
                .problem
                .map(|problem| problem.to_string())
                .as_deref(),
            Some("LONGTRAINER_ISA=avx512 asks for more than this machine has (avx2)")
        );
        let selection = select(Some("amx"), Isa::Avx512);
        assert_eq!(selection.active, Isa::Avx512);
        let problem = IsaProblem::Unavailable {
            requested: Isa::Amx,
            detected: Isa::Avx512,
        };
        assert_eq!(selection.problem, Some(problem));
    }

    #[test]
    fn every_machine_has_the_scalar_tier_and_its_active_one() {
        assert!(Isa::Scalar.is_available());
        assert!(Isa::active().is_available());
        assert!(Isa::active() <= isa_selection().detected);
    }
}
