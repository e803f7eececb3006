//! SIMD compute for Longtrainer: distances, products, norms.
