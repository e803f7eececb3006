// The kernels for cards, compiled for the processor. A block's threads take turns on one thread: each runs until it waits
// for others, so that all comes out the same every time. Blocks run one after another.

#define _XOPEN_SOURCE 700
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
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
static Index threadIdx;
static Index blockIdx;

// What is left of a thread while others have their turn.
struct Thread {
    ucontext_t context;
    std::vector<char> stack;
    bool has_ended;
};
static ucontext_t scheduler;
static std::vector<Thread> threads(256);

static void wait_a_turn() {
    const uint32_t own = threadIdx.x;
    swapcontext(&threads[own].context, &scheduler);
    threadIdx.x = own;
}

struct Barrier {
    uint32_t members;
    uint32_t arrived;
    uint32_t generation;

    void wait() {
        const uint32_t own = generation;
        if (++arrived == members) {
            arrived = 0;
            ++generation;
        }
        while (generation == own) {
            wait_a_turn();
        }
    }
};
static Barrier block_barrier;
static Barrier warp_barriers[8];
static float exchanged[256];

static void __syncthreads() { block_barrier.wait(); }

static float __shfl_xor_sync(uint32_t, float value, uint32_t distance) {
    Barrier &warp = warp_barriers[threadIdx.x / 32];
    exchanged[threadIdx.x] = value;
    warp.wait();
    const float other = exchanged[threadIdx.x ^ distance];
    warp.wait();
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

static std::function<void()> running;

static void run_to_the_end() {
    const uint32_t own = threadIdx.x;
    running();
    threads[own].has_ended = true;
}

static void run_block() {
    block_barrier = {THREADS, 0, 0};
    std::fill(std::begin(warp_barriers), std::end(warp_barriers), Barrier{WARP, 0, 0});
    for (auto &thread : threads) {
        thread.stack.resize(64 * 1024);
        thread.has_ended = false;
        getcontext(&thread.context);
        thread.context.uc_stack.ss_sp = thread.stack.data();
        thread.context.uc_stack.ss_size = thread.stack.size();
        thread.context.uc_link = &scheduler;
        makecontext(&thread.context, run_to_the_end, 0);
    }
    bool is_running = true;
    while (is_running) {
        is_running = false;
        for (uint32_t thread = 0; thread < THREADS; ++thread) {
            if (!threads[thread].has_ended) {
                is_running = true;
                threadIdx.x = thread;
                swapcontext(&scheduler, &threads[thread].context);
            }
        }
    }
}

template <typename Kernel> static void launch(uint32_t blocks, Kernel kernel) {
    running = kernel;
    for (uint32_t block = 0; block < blocks; ++block) {
        blockIdx.x = block;
        run_block();
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
        uint32_t pages, uint32_t window, float cap, uint32_t splits, uint32_t stride) {                               \
        launch(blocks, [=] {                                                                                          \
            paged_attention_##NAME##_##WIDTH##_##HEADS(queries, cached, table, out, sums, parts, key_heads, group,    \
                                                       rows, first_row, places, pages, window, cap, splits, stride);  \
        });                                                                                                           \
    }

#define LAUNCH_OF_ALL_WIDTHS(T, NAME)                                                                                 \
    LAUNCH_OF_ONE_WIDTH(T, NAME, 64, 2)                                                                               \
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
