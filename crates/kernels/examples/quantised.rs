//! Times quantised products: `cargo run --release -p longtrainer-kernels --example quantised`.
//! Prints, for shapes of a small decoder, GB/s of weights with one row of activations and 10^9
//! multiplications and additions a second with many.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Instant;

use longtrainer_kernels::{
    BlockFormat, Linear, QuantisedMatrix, QuantisedRows, Team, default_threads, isa_selection,
};

fn main() {
    println!(
        "isa {}, {} threads",
        isa_selection().active,
        default_threads()
    );
    for threads in [1, default_threads()] {
        let team = Team::new(threads).unwrap();
        for format in [BlockFormat::Q4_1, BlockFormat::Q5_0, BlockFormat::Q8_0] {
            for (rows, columns) in [(3072, 576), (576, 1536), (49152, 576)] {
                let bytes =
                    vec![0x11; rows * columns / format.block_weights() * format.block_bytes()];
                let matrix = QuantisedMatrix::pack(&team, format, &bytes, rows, columns).unwrap();
                let linear = Linear::new(vec![matrix.into()]).unwrap();
                print!("{threads} threads {format:?} {rows}x{columns}:");
                for tokens in [1, 4, 16, 128, 512] {
                    if rows > 10_000 && tokens > 16 {
                        continue;
                    }
                    let seconds = time(&team, &linear, tokens);
                    if tokens == 1 {
                        print!(" 1: {:.1} GB/s", linear.bytes() as f64 / seconds / 1e9);
                    } else {
                        let operations = 2.0 * (rows * columns * tokens) as f64;
                        print!(" {tokens}: {:.0} Gop/s", operations / seconds / 1e9);
                    }
                }
                println!();
            }
        }
    }
}

/// The least time of several.
fn time(team: &Team, linear: &Linear, tokens: usize) -> f64 {
    let input: Vec<f32> = (0..tokens * linear.columns())
        .map(|i| (i % 17) as f32 - 8.0)
        .collect();
    let mut out = vec![0.0; tokens * linear.rows()];
    let mut scratch = QuantisedRows::new();
    let mut least = f64::INFINITY;
    for _ in 0..30 {
        let start = Instant::now();
        linear
            .forward(team, &input, &mut scratch, &mut out)
            .unwrap();
        least = least.min(start.elapsed().as_secs_f64());
    }
    least
}
