//! Compiles the kernels for NVIDIA cards, in builds that have any.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "cuda")]
    compile_for_cards()?;
    Ok(())
}

/// To PTX, which a driver compiles for its card.
#[cfg(feature = "cuda")]
fn compile_for_cards() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=src/cuda");
    cudaforge::KernelBuilder::new()
        .source_files(["src/cuda/fused.cu", "src/cuda/paged_attention.cu"])
        .watch(["src/cuda/common.cuh"])
        .args(["-std=c++17", "-O3"])
        .build_ptx()?;
    Ok(())
}
