use clap::ValueEnum;
use longtrainer_inference::Precision;

/// What the products of an encoder or a vision half are computed in, as a flag.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum PrecisionFlag {
    /// 32 bits.
    F32,
    /// 16 bits.
    Bf16,
    /// 16 bits and bytes.
    Mixed,
    /// Bytes.
    Int8,
}

impl From<PrecisionFlag> for Precision {
    fn from(flag: PrecisionFlag) -> Self {
        match flag {
            PrecisionFlag::F32 => Self::F32,
            PrecisionFlag::Bf16 => Self::Bf16,
            PrecisionFlag::Mixed => Self::Mixed,
            PrecisionFlag::Int8 => Self::Int8,
        }
    }
}
