//! SIMD compute for Longtrainer: the arithmetic that everything above waits for.
//!
//! Each family of operations has its own folder with one file per instruction set and the scalar
//! version as the truth, or is written once against the vectors of `simd`. Which instruction set
//! runs is decided once, at run time, in `isa`: a binary built anywhere runs everywhere at the speed
//! of the machine it is on. Every function is safe to call: lengths that do not fit together are an
//! [`Error`], and no instruction runs that the processor has not announced.

mod activation;
mod aligned;
#[cfg(any(target_arch = "x86_64", test))]
mod amx;
mod attention;
#[cfg(feature = "cuda")]
mod cuda;
mod dense;
mod disjoint;
mod distance;
mod error;
mod isa;
mod lanes;
mod linear;
mod mapped;
mod norm;
mod output;
mod peak;
mod prefetch;
mod quantised;
mod rotary;
mod scan;
mod shape;
#[cfg(feature = "shared-libraries")]
mod shared_library;
mod simd;
mod team;

pub use activation::{gelu, gelu_tanh, gelu_tanh_product, relu, silu_product, softmax};
pub use attention::{
    CacheShape, CacheStep, CausalAttention, KeyValueCache, PAGE_TOKENS, PagePool, Rows, Sequence,
    SharedPage, causal_attention, rounded_segment_attention, segment_attention,
};
#[cfg(feature = "cuda")]
pub use cuda::{
    CardError, CardKernels, CardNumber, Gate, PagedShape, SoftmaxShape, Turn, Turned,
    keep_to_one_stream, unused_pool_memory,
};
pub use dense::{DenseFormat, DenseMatrix, dense_product};
pub use distance::{
    inner_product, inner_product_table, inner_products, squared_l2, squared_l2_table, squared_l2s,
    squared_norm,
};
pub use error::{Error, Result};
pub use isa::{ISA_VARIABLE, Isa, IsaProblem, IsaSelection, isa_selection};
pub use linear::{Linear, Matrix};
pub use mapped::MappedFile;
pub use norm::{add, layer_norm, rms_norm};
pub use peak::{integer_rate, multiply_add_rate, read_bandwidth};
pub use prefetch::prefetch;
pub use quantised::{BlockFormat, QuantisedMatrix, QuantisedRows};
pub use rotary::{HeadRows, RotaryLayout, rotate};
pub use scan::{
    BitQuery, BitScan, ByteQueries, ByteScan, Candidate, Rotation, RowIds, Shortlist,
    bit_block_len, byte_tile_len, decode_byte_row, encode_bits, encode_bytes, nearest_bytes,
};
#[cfg(feature = "shared-libraries")]
pub use shared_library::shared_library_opens;
pub use team::{Team, default_threads};
