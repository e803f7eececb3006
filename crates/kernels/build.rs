//! Compiles the kernels for NVIDIA cards, in builds that have any.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "cuda")]
    compile_for_cards();
}

/// To PTX, which a driver compiles for its card.
#[cfg(feature = "cuda")]
fn compile_for_cards() {
    println!("cargo::rerun-if-changed=src/cuda/fused.cu");
    let compiled = cudaforge::KernelBuilder::new()
        .source_files(["src/cuda/fused.cu"])
        .args(["-std=c++17", "-O3"])
        .build_ptx();
    if let Err(error) = compiled {
        panic!("src/cuda/fused.cu was not compiled: {error}");
    }
}
