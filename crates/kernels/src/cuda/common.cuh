// What the kernels have in common. Arithmetic is in 32 bits whatever the numbers are kept in.
//
// The host checks all sizes before it launches anything. tests/card_kernels compiles the kernels for the processor, where
// a block's threads take turns.

#pragma once

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>
#endif

static constexpr uint32_t THREADS = 256;
static constexpr uint32_t WARP = 32;

__device__ __forceinline__ float widened(float value) { return value; }
__device__ __forceinline__ float widened(__half value) { return __half2float(value); }
__device__ __forceinline__ float widened(__nv_bfloat16 value) { return __bfloat162float(value); }

__device__ __forceinline__ void put(float *place, float value) { *place = value; }
__device__ __forceinline__ void put(__half *place, float value) { *place = __float2half(value); }
__device__ __forceinline__ void put(__nv_bfloat16 *place, float value) { *place = __float2bfloat16(value); }

// The sum of a number of each thread of the warp, to all of them.
__device__ __forceinline__ float sum_of_warp(float value) {
    for (uint32_t distance = WARP / 2; distance > 0; distance /= 2) {
        value += __shfl_xor_sync(0xffffffffu, value, distance);
    }
    return value;
}

// The sum of a number of each thread of the block, to all of them. `sums` is shared, one for each warp.
__device__ __forceinline__ float sum_of_block(float value, float *sums) {
    value = sum_of_warp(value);
    // Whoever still reads the sums of an earlier call must have done so.
    __syncthreads();
    if (threadIdx.x % WARP == 0) {
        sums[threadIdx.x / WARP] = value;
    }
    __syncthreads();
    float sum = 0.0f;
    for (uint32_t warp = 0; warp < THREADS / WARP; ++warp) {
        sum += sums[warp];
    }
    return sum;
}

// The greatest instead of the sum.
__device__ __forceinline__ float greatest_of_block(float value, float *greatest) {
    for (uint32_t distance = WARP / 2; distance > 0; distance /= 2) {
        value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, distance));
    }
    __syncthreads();
    if (threadIdx.x % WARP == 0) {
        greatest[threadIdx.x / WARP] = value;
    }
    __syncthreads();
    float most = greatest[0];
    for (uint32_t warp = 1; warp < THREADS / WARP; ++warp) {
        most = fmaxf(most, greatest[warp]);
    }
    return most;
}

__device__ __forceinline__ float capped(float score, float cap) {
    return cap > 0.0f ? cap * tanhf(score / cap) : score;
}
