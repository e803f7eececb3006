//! How long does a frame take through the vision half of a model? A worker for
//! `benches/peers/vision.py`: it loads a tower, then answers each line on its standard input with one
//! line of JSON on its standard output.
//!
//! ```text
//! encode 17      {"seconds": ...}           encodes the frame so many times
//! write FILE     {"values": ...}            writes the frame's tokens there, as little-endian f32
//! ```
#![allow(clippy::print_stdout, reason = "answering is what this program is for")]

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use longtrainer_benches::PrecisionFlag;
use longtrainer_inference::{
    DeviceChoice, VisionCheckpoint, VisionTower, load_tower, select_device,
};
use serde_json::{Value, json};

/// Encodes frames on request.
#[derive(Parser)]
struct Flags {
    /// Folder of an Idefics3 or SmolVLM, or an `mmproj` file.
    #[arg(long)]
    checkpoint: PathBuf,
    /// The frame: 3 times size times size little-endian f32.
    #[arg(long)]
    frame: PathBuf,
    /// What the products are computed in.
    #[arg(long, default_value = "bf16")]
    precision: PrecisionFlag,
    /// Threads that compute.
    #[arg(long)]
    threads: Option<usize>,
}

fn main() -> Result<()> {
    let flags = Flags::parse();
    let frame = read_frame(&flags.frame)?;
    let device = select_device(DeviceChoice::Cpu)?;
    let checkpoint = VisionCheckpoint::open(&flags.checkpoint)?;
    let tower = load_tower(&checkpoint, &device, flags.threads, flags.precision.into())?;
    drop(checkpoint);
    let isa = longtrainer_kernels::Isa::active().name();
    println!("{}", json!({"isa": isa, "memory": tower.memory_bytes()}));
    for line in std::io::stdin().lock().lines() {
        println!("{}", answer(&*tower, &frame, &line?)?);
    }
    Ok(())
}

fn read_frame(path: &Path) -> Result<Vec<f32>> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let (numbers, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        bail!("{} is not f32 values", path.display());
    }
    Ok(numbers
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect())
}

fn answer(tower: &dyn VisionTower, frame: &[f32], request: &str) -> Result<Value> {
    let encode = || tower.encode(frame).map_err(|error| anyhow!(error));
    match request.split_once(' ') {
        Some(("encode", count)) => {
            let count: usize = count.parse()?;
            let started = Instant::now();
            for _ in 0..count {
                encode()?;
            }
            Ok(json!({"seconds": started.elapsed().as_secs_f64()}))
        }
        Some(("write", path)) => {
            let tokens = encode()?;
            let bytes: Vec<u8> = tokens
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            std::fs::write(path, bytes)?;
            Ok(json!({"values": tokens.len()}))
        }
        _ => bail!("unknown request {request:?}"),
    }
}
