// The kernels for cards, compiled for the processor: what CUDA adds to C++ in the terms of threads. A block's threads are
// threads that meet at barriers, and blocks run one after another.

#include <algorithm>
#include <barrier>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#define __device__
#define __global__
#define __forceinline__ inline
#define __shared__ static

using std::max;
using std::min;

struct Index {
    uint32_t x;
};
static thread_local Index threadIdx;
static thread_local Index blockIdx;

static std::unique_ptr<std::barrier<>> block_barrier;
static std::unique_ptr<std::barrier<>> warp_barriers[8];
static float exchanged[256];

static void __syncthreads() { block_barrier->arrive_and_wait(); }

static float __shfl_xor_sync(uint32_t, float value, uint32_t distance) {
    std::barrier<> &warp = *warp_barriers[threadIdx.x / 32];
    exchanged[threadIdx.x] = value;
    warp.arrive_and_wait();
    const float other = exchanged[threadIdx.x ^ distance];
    warp.arrive_and_wait();
    return other;
}

static float rsqrtf(float value) { return 1.0f / sqrtf(value); }

struct __half {
    _Float16 value;
};
static float __half2float(__half half) { return (float)half.value; }
static __half __float2half(float value) { return {(_Float16)value}; }

struct __nv_bfloat16 {
    uint16_t bits;
};
static float __bfloat162float(__nv_bfloat16 number) {
    const uint32_t bits = (uint32_t)number.bits << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
static __nv_bfloat16 __float2bfloat16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return {(uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

#include "../../src/cuda/fused.cu"
#include "../../src/cuda/paged_attention.cu"

template <typename Kernel> static void launch(uint32_t blocks, Kernel kernel) {
    block_barrier = std::make_unique<std::barrier<>>(THREADS);
    for (auto &warp : warp_barriers) {
        warp = std::make_unique<std::barrier<>>(WARP);
    }
    std::vector<std::thread> threads;
    for (uint32_t thread = 0; thread < THREADS; ++thread) {
        threads.emplace_back([=] {
            threadIdx.x = thread;
            for (uint32_t block = 0; block < blocks; ++block) {
                blockIdx.x = block;
                kernel();
                __syncthreads();
            }
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }
}

#define LAUNCH_OF_ONE_TYPE(T, NAME)                                                                                   \
    extern "C" void launch_masked_softmax_##NAME(uint32_t blocks, const T *scores, T *shares, const uint32_t *leads,  \
                                                 uint32_t parts, uint32_t group, uint32_t tokens,                     \
                                                 uint32_t first_token, uint32_t positions, uint32_t window,           \
                                                 float cap) {                                                         \
        launch(blocks, [=] {                                                                                          \
            masked_softmax_##NAME(scores, shares, leads, parts, group, tokens, first_token, positions, window, cap);  \
        });                                                                                                           \
    }                                                                                                                 \
    extern "C" void launch_gated_##NAME(uint32_t blocks, const T *both, T *out, uint32_t width, uint32_t is_gelu,     \
                                        uint32_t all) {                                                               \
        launch(blocks, [=] { gated_##NAME(both, out, width, is_gelu, all); });                                        \
    }                                                                                                                 \
    extern "C" void launch_added_and_normed_##NAME(uint32_t blocks, const T *states, const T *more, const T *scale,   \
                                                   T *out, uint32_t rows, uint32_t width, float epsilon) {            \
        launch(blocks, [=] { added_and_normed_##NAME(states, more, scale, out, rows, width, epsilon); });             \
    }

#define LAUNCH_OF_ONE_WIDTH(T, NAME, WIDTH, HEADS)                                                                    \
    extern "C" void launch_paged_attention_##NAME##_##WIDTH##_##HEADS(                                                \
        uint32_t blocks, const T *queries, const T *cached, const uint32_t *table, T *out, float *sums,               \
        uint32_t parts, uint32_t key_heads, uint32_t group, uint32_t rows, uint32_t first_row, uint32_t places,       \
        uint32_t pages, uint32_t page_tokens, uint32_t window, float cap, uint32_t splits, uint32_t stride) {         \
        launch(blocks, [=] {                                                                                          \
            paged_attention_##NAME##_##WIDTH##_##HEADS(queries, cached, table, out, sums, parts, key_heads, group,    \
                                                       rows, first_row, places, pages, page_tokens, window, cap,      \
                                                       splits, stride);                                               \
        });                                                                                                           \
    }

#define LAUNCH_OF_ALL_WIDTHS(T, NAME)                                                                                 \
    LAUNCH_OF_ONE_WIDTH(T, NAME, 64, 4)                                                                               \
    LAUNCH_OF_ONE_WIDTH(T, NAME, 96, 1)                                                                               \
    LAUNCH_OF_ONE_WIDTH(T, NAME, 128, 4)                                                                              \
    LAUNCH_OF_ONE_WIDTH(T, NAME, 256, 1)                                                                              \
    extern "C" void launch_joined_splits_##NAME(uint32_t blocks, const float *sums, T *out, uint32_t splits,          \
                                                uint32_t width) {                                                     \
        launch(blocks, [=] { joined_splits_##NAME(sums, out, splits, width); });                                      \
    }

#define LAUNCH_OF_TWO_TYPES(T, C, NAME)                                                                               \
    extern "C" void launch_turned_##NAME(uint32_t blocks, const T *heads, const float *cosines, const float *sines,   \
                                         C *out, uint32_t tokens, uint32_t width, uint32_t pairs,                     \
                                         uint32_t interleaved, float scale, uint32_t all) {                           \
        launch(blocks, [=] {                                                                                          \
            turned_##NAME(heads, cosines, sines, out, tokens, width, pairs, interleaved, scale, all);                 \
        });                                                                                                           \
    }

LAUNCH_OF_ONE_TYPE(float, f32)
LAUNCH_OF_ONE_TYPE(__half, f16)
LAUNCH_OF_ONE_TYPE(__nv_bfloat16, bf16)
LAUNCH_OF_ALL_WIDTHS(__half, f16)
LAUNCH_OF_ALL_WIDTHS(__nv_bfloat16, bf16)
LAUNCH_OF_TWO_TYPES(float, float, f32_f32)
LAUNCH_OF_TWO_TYPES(float, __half, f32_f16)
LAUNCH_OF_TWO_TYPES(__half, __half, f16_f16)
LAUNCH_OF_TWO_TYPES(__nv_bfloat16, __nv_bfloat16, bf16_bf16)
