//! How fast dense products are: GFLOP/s by format, shape, number of tokens and threads, and GB/s of
//! weights for one token.
//!
//! Without `LONGTRAINER_ISA` it runs itself once for each instruction set of the machine.

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use longtrainer_kernels::{DenseFormat, DenseMatrix, ISA_VARIABLE, Isa, Team, dense_product};

const SHAPES: [(usize, usize); 3] = [(1536, 384), (384, 1536), (1152, 384)];
const TOKENS: [usize; 4] = [1, 16, 128, 512];
/// How long a case is measured for; the best of its runs counts.
const PATIENCE: Duration = Duration::from_millis(150);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::var_os(ISA_VARIABLE).is_some() {
        return measure();
    }
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        let program = std::env::current_exe()?;
        Command::new(program)
            .env(ISA_VARIABLE, isa.name())
            .status()?;
    }
    Ok(())
}

fn measure() -> Result<(), Box<dyn std::error::Error>> {
    for threads in [1, 2] {
        let team = Team::new(threads)?;
        println!("{}, {threads} threads: GFLOP/s by tokens", Isa::active());
        println!("format rows x columns  1 (GB/s)        16     128     512");
        for format in DenseFormat::ALL {
            for (rows, columns) in SHAPES {
                line(&team, format, rows, columns)?;
            }
        }
    }
    Ok(())
}

fn line(
    team: &Team,
    format: DenseFormat,
    rows: usize,
    columns: usize,
) -> Result<(), longtrainer_kernels::Error> {
    let weights = vec![0.5; rows * columns];
    let matrix = DenseMatrix::from_f32(team, format, &weights, rows, columns)?;
    let name = format!("{format:?}");
    print!("{name:<5} {rows:>5} x {columns:<5}");
    for tokens in TOKENS {
        let inputs = vec![0.25; tokens * columns];
        let mut out = vec![0.0; tokens * rows];
        let seconds = best(|| dense_product(team, &matrix, black_box(&inputs), &mut out))?;
        let flops = 2.0 * (tokens * rows * columns) as f64;
        print!("{:>8.1}", flops / seconds / 1e9);
        if tokens == 1 {
            print!(" ({:>5.1})", matrix.bytes() as f64 / seconds / 1e9);
        }
    }
    println!();
    Ok(())
}

/// The shortest time that the work took.
fn best<E>(mut work: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    let (start, mut best) = (Instant::now(), f64::INFINITY);
    while start.elapsed() < PATIENCE {
        let run = Instant::now();
        work()?;
        best = best.min(run.elapsed().as_secs_f64());
    }
    Ok(best)
}
