//! What `bench` prints: a table for a person, CSV or JSON for a program.

use longtrainer::bench::{Bench, Measurement, Peaks};

use crate::output::Output;

/// How measurements are printed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Table,
    Csv,
    Json,
}

pub(super) fn print(
    output: &mut Output,
    form: Form,
    bench: &Bench,
    measurements: &[Measurement],
) -> anyhow::Result<()> {
    match form {
        Form::Json => output.json(&measurements),
        Form::Csv => csv(output, measurements),
        Form::Table => table(output, bench, measurements),
    }
}

fn csv(output: &mut Output, measurements: &[Measurement]) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for measurement in measurements {
        writer.serialize(measurement)?;
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    Ok(output.piece(&String::from_utf8(bytes)?)?)
}

fn table(output: &mut Output, bench: &Bench, measurements: &[Measurement]) -> anyhow::Result<()> {
    output.line(&heading(bench))?;
    output.line(&format!("chosen because {}", bench.why_this_device()))?;
    if let Some(peaks) = bench.peaks() {
        output.line(&peaks_line(peaks))?;
    }
    for of_a_model in measurements.chunk_by(|a, b| a.model == b.model && a.unit == b.unit) {
        let size = of_a_model[0].model_size_bytes as f64 / 1e6;
        output.line(&format!("\n{} ({size:.1} MB)", of_a_model[0].model))?;
        let rows: Vec<_> = of_a_model.iter().map(row).collect();
        output.table(["TEST", "MEDIAN", "", "SPREAD", "MEMORY", "REACHED"], &rows)?;
    }
    if measurements.iter().any(|m| m.achieved_gop_per_s.is_some()) {
        output
            .line("\nGop/s: an estimate, two operations for each weight of the blocks and token")?;
    }
    Ok(())
}

/// Device, driver, clocks, version and commit on one line.
pub(super) fn heading(bench: &Bench) -> String {
    let environment = bench.environment();
    let mut parts = vec![bench.device().to_owned()];
    parts.extend(environment.device_name.clone());
    match bench.device() {
        "cpu" => parts.push(format!("{} threads, {}", bench.threads(), bench.isa())),
        _ => {
            let driver = environment.driver.as_ref();
            parts.extend(driver.map(|driver| format!("driver {driver}")));
            parts.extend(environment.clocks.clone());
        }
    }
    parts.push(format!("longtrainer {}", environment.version));
    parts.extend(environment.commit.map(|commit| format!("commit {commit}")));
    parts.join(", ")
}

fn peaks_line(peaks: &Peaks) -> String {
    let mut parts = vec![
        format!("{} GB/s", number(peaks.gb_per_s)),
        format!("{} Gop/s in f32", number(peaks.f32_gop_per_s)),
    ];
    let others = [
        ("bf16", peaks.bf16_gop_per_s),
        ("int8", peaks.int8_gop_per_s),
    ];
    for (kind, rate) in others {
        parts.extend(rate.map(|rate| format!("{} Gop/s in {kind}", number(rate))));
    }
    format!("peaks measured: {}", parts.join(", "))
}

fn row(measurement: &Measurement) -> [String; 6] {
    [
        measurement.test.clone(),
        number(measurement.value),
        measurement.unit.to_owned(),
        format!("{}-{}", number(measurement.min), number(measurement.max)),
        memory(measurement),
        reached(measurement),
    ]
}

/// The most memory that was taken.
fn memory(measurement: &Measurement) -> String {
    let peak = measurement.peak_memory_bytes;
    peak.map_or_else(String::new, |bytes| {
        format!("{} MB", number(bytes as f64 / 1e6))
    })
}

/// How much of the machine was used, as far as that was measured.
pub(super) fn reached(measurement: &Measurement) -> String {
    let mut parts = Vec::new();
    if let Some(rate) = measurement.achieved_gb_per_s {
        let share = percent(measurement.bandwidth_share);
        parts.push(format!("{} GB/s{share}", number(rate)));
    }
    if let Some(rate) = measurement.achieved_gop_per_s {
        let kind = measurement.arithmetic.name();
        let share = percent(measurement.arithmetic_share);
        parts.push(format!("{} Gop/s in {kind}{share}", number(rate)));
    }
    parts.join("; ")
}

/// A share of a peak, where that is known.
fn percent(share: Option<f64>) -> String {
    share.map_or_else(String::new, |share| format!(", {:.0} %", share * 100.0))
}

/// A number with three or four digits that mean something.
pub(super) fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_the_digits_that_mean_something() {
        let shown = [1234.5, 99.96, 12.34, 0.567].map(number);
        assert_eq!(shown, ["1234", "100.0", "12.3", "0.57"]);
    }
}
