//! One test, measured.

use longtrainer_inference::{CardPrecision, Precision};
use serde::Serialize;

use super::sample::Spread;
use super::{Bench, Peaks};

/// One test, measured. Rates are in `unit`; what is `None` makes no sense for the test or device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measurement {
    /// The test's name; `texts` for texts of a file.
    pub test: String,
    /// The median of the samples.
    pub value: f64,
    /// `tokens/s`, `sequences/s`, `texts/s`, `frames/s` or `ms`.
    pub unit: &'static str,
    /// The least sample.
    pub min: f64,
    /// The greatest sample.
    pub max: f64,
    /// How many samples.
    pub repeats: usize,
    /// Threads that computed.
    pub threads: usize,
    /// `cpu`, `cuda:0`, `metal`.
    pub device: String,
    /// The tier of the processor's instructions.
    pub isa: &'static str,
    /// The model.
    pub model: String,
    /// Bytes of its weights' file.
    pub model_size_bytes: u64,
    /// Billions of bytes a second that had to be read from memory, at the median.
    pub achieved_gb_per_s: Option<f64>,
    /// Billions of bytes a second that can be read.
    pub peak_gb_per_s: Option<f64>,
    /// The first divided by the second.
    pub bandwidth_share: Option<f64>,
    /// Billions of operations a second, at the median: an estimate, of the products with the blocks'
    /// weights alone, each counting as two.
    pub achieved_gop_per_s: Option<f64>,
    /// Billions of such operations a second that can be done, in `arithmetic`.
    pub peak_gop_per_s: Option<f64>,
    /// The first divided by the second.
    pub arithmetic_share: Option<f64>,
    /// What the products with the weights are in.
    pub arithmetic: Arithmetic,
    /// The most memory that was taken while it ran, in bytes: of a card, by everybody; otherwise by this process.
    pub peak_memory_bytes: Option<u64>,
    /// What the card is called, or the processor.
    pub device_name: Option<String>,
    /// The version of the card's driver.
    pub driver: Option<String>,
    /// The card's clocks when the benchmark began: of its cores and memory, now and at most.
    pub clocks: Option<String>,
    /// The version of this program.
    pub version: &'static str,
    /// The commit that it was built from, where whoever built it said so.
    pub commit: Option<&'static str>,
}

/// What products are computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Arithmetic {
    /// Bytes, with scales.
    Int8,
    /// bfloat16, whose peak is measured on cards alone: not every processor multiplies it.
    Bf16,
    /// f16, which cards multiply at the rate of bfloat16: that one's peak is theirs.
    F16,
    /// Bytes and bfloat16, each in some of the products.
    Mixed,
    /// f32.
    F32,
}

impl Arithmetic {
    /// That of encoders and vision halves on a device.
    pub(super) fn of(precision: Precision, device: &str) -> Self {
        match (device, precision) {
            ("cpu", Precision::Int8) => Self::Int8,
            ("cpu", Precision::Bf16) => Self::Bf16,
            ("cpu", Precision::Mixed) => Self::Mixed,
            ("cpu", _) => Self::F32,
            (_, precision) => match precision.on_a_card() {
                CardPrecision::F16 => Self::F16,
                CardPrecision::Bf16 => Self::Bf16,
                CardPrecision::F32 => Self::F32,
            },
        }
    }

    /// `int8`, `bf16`, `f16`, `bf16 and int8`, `f32`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Mixed => "bf16 and int8",
            Self::F32 => "f32",
        }
    }

    fn peak(self, peaks: &Peaks) -> Option<f64> {
        match self {
            Self::Int8 => peaks.int8_gop_per_s,
            Self::Bf16 | Self::F16 => peaks.bf16_gop_per_s,
            Self::Mixed => None,
            Self::F32 => Some(peaks.f32_gop_per_s),
        }
    }
}

/// What a test is of.
pub(super) struct Subject<'a> {
    pub(super) test: String,
    pub(super) unit: &'static str,
    pub(super) model: &'a str,
    pub(super) model_size_bytes: u64,
    pub(super) arithmetic: Arithmetic,
}

impl Measurement {
    pub(super) fn new(bench: &Bench, subject: Subject<'_>, spread: Spread) -> Self {
        let environment = bench.environment();
        Self {
            test: subject.test,
            value: spread.median,
            unit: subject.unit,
            min: spread.min,
            max: spread.max,
            repeats: bench.options.repeats,
            threads: bench.threads(),
            device: bench.device().to_owned(),
            isa: bench.isa(),
            model: subject.model.to_owned(),
            model_size_bytes: subject.model_size_bytes,
            achieved_gb_per_s: None,
            peak_gb_per_s: None,
            bandwidth_share: None,
            achieved_gop_per_s: None,
            peak_gop_per_s: None,
            arithmetic_share: None,
            arithmetic: subject.arithmetic,
            peak_memory_bytes: None,
            device_name: environment.device_name.clone(),
            driver: environment.driver.clone(),
            clocks: environment.clocks.clone(),
            version: environment.version,
            commit: environment.commit,
        }
    }

    /// Adds the most memory that was taken.
    pub(super) fn with_memory(mut self, peak: Option<u64>) -> Self {
        self.peak_memory_bytes = peak;
        self
    }

    /// Adds what is read from memory, given the bytes that one of its units takes.
    pub(super) fn with_bandwidth(mut self, bench: &Bench, bytes: f64) -> Self {
        if let Some(peaks) = bench.peaks() {
            let achieved = self.value * bytes / 1e9;
            self.achieved_gb_per_s = Some(achieved);
            self.peak_gb_per_s = Some(peaks.gb_per_s);
            self.bandwidth_share = Some(achieved / peaks.gb_per_s);
        }
        self
    }

    /// Adds what is computed, given the operations that one of its units takes.
    pub(super) fn with_arithmetic(mut self, bench: &Bench, operations: f64) -> Self {
        if let Some(peaks) = bench.peaks() {
            let achieved = self.value * operations / 1e9;
            let peak = self.arithmetic.peak(peaks);
            self.achieved_gop_per_s = Some(achieved);
            self.peak_gop_per_s = peak;
            self.arithmetic_share = peak.map(|peak| achieved / peak);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_and_processors_have_their_own_arithmetic_for_a_precision() {
        let names = |device| {
            let all = [
                Precision::F32,
                Precision::Bf16,
                Precision::Mixed,
                Precision::Int8,
            ];
            all.map(|precision| Arithmetic::of(precision, device).name())
        };
        assert_eq!(names("cpu"), ["f32", "bf16", "bf16 and int8", "int8"]);
        for card in ["cuda:0", "metal"] {
            assert_eq!(names(card), ["f32", "bf16", "f16", "f16"]);
        }
    }

    #[test]
    fn both_types_of_16_bits_are_held_against_the_measured_rate() {
        let peaks = Peaks {
            gb_per_s: 1.0,
            f32_gop_per_s: 2.0,
            bf16_gop_per_s: Some(30.0),
            int8_gop_per_s: None,
        };
        let peak = |arithmetic: Arithmetic| arithmetic.peak(&peaks);
        assert_eq!(peak(Arithmetic::F16), Some(30.0));
        assert_eq!(peak(Arithmetic::Bf16), Some(30.0));
        assert_eq!(peak(Arithmetic::F32), Some(2.0));
    }
}
