//! The chart that `bench --svg` writes: how much of what the device can do each test reached.

use std::fs::OpenOptions;
use std::path::Path;

use longtrainer::bench::{Bench, Measurement};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Rectangle, Text};
use plotters::prelude::SVGBackend;
use plotters::style::{Color, RGBColor, ShapeStyle, TextStyle};

use crate::error::CliError;

use super::report::{heading, number, reached};

type Area<'svg> = DrawingArea<SVGBackend<'svg>, Shift>;
type Failure = DrawingAreaErrorKind<std::io::Error>;

const WIDTH: u32 = 960;
const TOP: i32 = 76;
const ROW: i32 = 34;
const FOOT: i32 = 34;
/// Where bars begin and how long the longest is.
const BARS: (i32, i32) = (270, 320);
const BAR_HEIGHT: i32 = 18;

const INK: RGBColor = RGBColor(0x22, 0x2b, 0x36);
const PALE: RGBColor = RGBColor(0x6b, 0x77, 0x85);
const TRACK: RGBColor = RGBColor(0xe8, 0xec, 0xf0);
const BAR: RGBColor = RGBColor(0x2f, 0x6f, 0xb5);

/// That a chart can be written there, before anything takes time. What is there stays.
pub(super) fn check(path: &Path) -> Result<(), CliError> {
    let mut open = OpenOptions::new();
    let opened = open.create(true).append(true).open(path);
    opened
        .map(drop)
        .map_err(CliError::io("write the chart", path))
}

/// Writes the chart of the measurements.
pub(super) fn write(
    path: &Path,
    bench: &Bench,
    measurements: &[Measurement],
) -> anyhow::Result<()> {
    let mut svg = String::new();
    draw(&mut svg, &heading(bench), measurements)
        .map_err(|error| anyhow::anyhow!("the chart could not be drawn: {error}"))?;
    Ok(std::fs::write(path, svg).map_err(CliError::io("write the chart", path))?)
}

fn draw(svg: &mut String, heading: &str, measurements: &[Measurement]) -> Result<(), String> {
    let height = TOP + ROW * measurements.len() as i32 + FOOT;
    let area = SVGBackend::with_string(svg, (WIDTH, height as u32)).into_drawing_area();
    let drawn = draw_all(&area, heading, measurements).and_then(|()| area.present());
    drawn.map_err(|error| error.to_string())
}

fn draw_all(area: &Area<'_>, heading: &str, measurements: &[Measurement]) -> Result<(), Failure> {
    area.fill(&RGBColor(0xff, 0xff, 0xff))?;
    text(
        area,
        "Longtrainer: what this device does",
        (24, 20),
        20.0,
        INK,
    )?;
    text(area, heading, (24, 46), 13.0, PALE)?;
    for (index, measurement) in measurements.iter().enumerate() {
        draw_row(area, TOP + ROW * index as i32, measurement)?;
    }
    let note = "Bars: the share of the memory bandwidth or of the arithmetic that was measured on \
                this device, whichever the test waits for.";
    let foot = TOP + ROW * measurements.len() as i32 + 10;
    text(area, note, (24, foot), 11.0, PALE)
}

fn draw_row(area: &Area<'_>, top: i32, measurement: &Measurement) -> Result<(), Failure> {
    let (start, length) = BARS;
    text(area, &measurement.model, (24, top), 12.0, PALE)?;
    text(area, &measurement.test, (24, top + 13), 13.0, INK)?;
    let value = format!("{} {}", number(measurement.value), measurement.unit);
    text(area, &value, (start + length + 16, top), 13.0, INK)?;
    let note = reached(measurement);
    text(area, &note, (start + length + 16, top + 15), 10.0, PALE)?;
    let Some(share) = share(measurement) else {
        return Ok(());
    };
    let filled = (share.clamp(0.0, 1.0) * f64::from(length)).round() as i32;
    bar(area, (start, top + 4), length, TRACK)?;
    bar(area, (start, top + 4), filled, BAR)
}

/// Of what the test waits for.
fn share(measurement: &Measurement) -> Option<f64> {
    measurement.bandwidth_share.or(measurement.arithmetic_share)
}

fn bar(
    area: &Area<'_>,
    (left, top): (i32, i32),
    length: i32,
    colour: RGBColor,
) -> Result<(), Failure> {
    let corners = [(left, top), (left + length, top + BAR_HEIGHT)];
    let style: ShapeStyle = colour.filled();
    area.draw(&Rectangle::new(corners, style))
}

fn text(
    area: &Area<'_>,
    words: &str,
    place: (i32, i32),
    size: f64,
    colour: RGBColor,
) -> Result<(), Failure> {
    let style = TextStyle::from(("sans-serif", size)).color(&colour);
    area.draw(&Text::new(words.to_owned(), place, style))
}
