// Attention of tokens that are made, one of each text, over the pages in which keys and values lie.

#include "common.cuh"

// As the pages of the host's pools.
static constexpr uint32_t PAGE_TOKENS = 128;
// The most splits that joined_splits takes.
static constexpr uint32_t MOST_SPLITS = 64;

// A lane's components of a head, which it loads at once where their number is a power of two.
template <typename T, uint32_t SHARE> struct alignas(SHARE == 3 ? sizeof(T) : SHARE * sizeof(T)) Pack {
    T of[SHARE];
};

// How much of the whole something counts for whose greatest score is this; nothing if it has seen nothing.
__device__ __forceinline__ float weight(float greatest, float greatest_of_all) {
    return greatest == -INFINITY ? 0.0f : expf(greatest - greatest_of_all);
}

// Attention of one token of each part, over pages of keys and values that lie anywhere: flash decoding (Dao et al. 2023)
// over a page table (Kwon et al. 2023). Keys and values are read once for HEADS query heads, scores stay in registers.
//
// A block has a part, HEADS query heads of a key head, and `stride` positions of the part's text; its warps take
// CHUNK positions in turn. `queries` are (heads, rows, WIDTH), of which the parts have rows from `first_row` on;
// `cached` is (2 * key heads, places, WIDTH), keys before values; `table` has for each part the position of its token,
// counted from the first page's, and then the pages' numbers. If there is one split, `out` is (parts, heads, WIDTH);
// else `sums` are (parts, heads, splits, WIDTH + 2): values, not yet divided, their divisor and the greatest score.
template <typename T, uint32_t WIDTH, uint32_t HEADS>
__device__ void paged_attention(const T *queries, const T *cached, const uint32_t *table, T *out, float *sums,
                                uint32_t parts, uint32_t key_heads, uint32_t group, uint32_t rows, uint32_t first_row,
                                uint32_t places, uint32_t pages, uint32_t window, float cap, uint32_t splits,
                                uint32_t stride) {
    constexpr uint32_t WARPS = THREADS / WARP;
    constexpr uint32_t SHARE = WIDTH / WARP;
    constexpr uint32_t CHUNK = 4;
    using Lane = Pack<T, SHARE>;
    __shared__ float values_of_warps[WARPS][HEADS][WIDTH];
    __shared__ float divisors[WARPS][HEADS];
    __shared__ float greatest[WARPS][HEADS];

    const uint32_t bundles = (group + HEADS - 1) / HEADS;
    const uint32_t split = blockIdx.x % splits;
    const uint32_t bundle = blockIdx.x / splits % bundles;
    const uint32_t key_head = blockIdx.x / splits / bundles % key_heads;
    const uint32_t part = blockIdx.x / splits / bundles / key_heads;
    const uint32_t first_head = key_head * group + bundle * HEADS;
    const uint32_t heads_here = min(HEADS, group - bundle * HEADS);
    const uint32_t warp = threadIdx.x / WARP;
    const uint32_t lane = threadIdx.x % WARP;

    const uint32_t *numbers = table + (size_t)part * (1 + pages);
    // The host cannot see what the table says: whatever that is, nothing beyond the tensors is touched.
    const uint32_t end_of_text = min(numbers[0], pages * PAGE_TOKENS - 1) + 1;
    const uint32_t begin_of_sight = end_of_text > window ? end_of_text - window : 0;
    const uint32_t begin = max(begin_of_sight, split * stride);
    const uint32_t end = min(end_of_text, (split + 1) * stride);

    float query[HEADS][SHARE];
    float value[HEADS][SHARE];
    float divisor[HEADS];
    float most[HEADS];
#pragma unroll
    for (uint32_t head = 0; head < HEADS; ++head) {
        const size_t row = (size_t)(first_head + min(head, heads_here - 1)) * rows + first_row + part;
        const Lane own = *reinterpret_cast<const Lane *>(queries + row * WIDTH + lane * SHARE);
#pragma unroll
        for (uint32_t each = 0; each < SHARE; ++each) {
            query[head][each] = widened(own.of[each]);
            value[head][each] = 0.0f;
        }
        divisor[head] = 0.0f;
        most[head] = -INFINITY;
    }

    const T *keys = cached + (size_t)key_head * places * WIDTH;
    const T *values = cached + (size_t)(key_heads + key_head) * places * WIDTH;
    for (uint32_t position = begin + warp * CHUNK; position < end; position += WARPS * CHUNK) {
        const uint32_t count = min(CHUNK, end - position);
        Lane key_share[CHUNK];
        Lane value_share[CHUNK];
#pragma unroll
        for (uint32_t at = 0; at < CHUNK; ++at) {
            // What is beyond the end is the last once more, and counts for nothing.
            const uint32_t seen = position + min(at, count - 1);
            const uint32_t page = min(numbers[1 + seen / PAGE_TOKENS], places / PAGE_TOKENS - 1);
            const size_t place = (size_t)page * PAGE_TOKENS + seen % PAGE_TOKENS;
            key_share[at] = *reinterpret_cast<const Lane *>(keys + place * WIDTH + lane * SHARE);
            value_share[at] = *reinterpret_cast<const Lane *>(values + place * WIDTH + lane * SHARE);
        }
#pragma unroll
        for (uint32_t head = 0; head < HEADS; ++head) {
            float scores[CHUNK];
            float greatest_here = most[head];
#pragma unroll
            for (uint32_t at = 0; at < CHUNK; ++at) {
                float product = 0.0f;
#pragma unroll
                for (uint32_t each = 0; each < SHARE; ++each) {
                    product += query[head][each] * widened(key_share[at].of[each]);
                }
                const float score = capped(sum_of_warp(product), cap);
                scores[at] = at < count ? score : -INFINITY;
                greatest_here = fmaxf(greatest_here, scores[at]);
            }
            // The greatest is a number from here on, so nothing is taken from infinity.
            const float before = expf(most[head] - greatest_here);
            most[head] = greatest_here;
            divisor[head] *= before;
#pragma unroll
            for (uint32_t each = 0; each < SHARE; ++each) {
                value[head][each] *= before;
            }
#pragma unroll
            for (uint32_t at = 0; at < CHUNK; ++at) {
                const float share = expf(scores[at] - greatest_here);
                divisor[head] += share;
#pragma unroll
                for (uint32_t each = 0; each < SHARE; ++each) {
                    value[head][each] += share * widened(value_share[at].of[each]);
                }
            }
        }
    }

#pragma unroll
    for (uint32_t head = 0; head < HEADS; ++head) {
#pragma unroll
        for (uint32_t each = 0; each < SHARE; ++each) {
            values_of_warps[warp][head][lane * SHARE + each] = value[head][each];
        }
        if (lane == 0) {
            divisors[warp][head] = divisor[head];
            greatest[warp][head] = most[head];
        }
    }
    __syncthreads();
    for (uint32_t index = threadIdx.x; index < heads_here * WIDTH; index += THREADS) {
        const uint32_t head = index / WIDTH;
        const uint32_t column = index % WIDTH;
        float greatest_of_all = -INFINITY;
#pragma unroll 1
        for (uint32_t other = 0; other < WARPS; ++other) {
            greatest_of_all = fmaxf(greatest_of_all, greatest[other][head]);
        }
        float sum = 0.0f;
        float whole = 0.0f;
#pragma unroll 1
        for (uint32_t other = 0; other < WARPS; ++other) {
            const float share = weight(greatest[other][head], greatest_of_all);
            sum += share * values_of_warps[other][head][column];
            whole += share * divisors[other][head];
        }
        const size_t row = (size_t)part * key_heads * group + first_head + head;
        if (splits == 1) {
            put(out + row * WIDTH + column, sum / whole);
        } else {
            float *own = sums + (row * splits + split) * (WIDTH + 2);
            own[column] = sum;
            if (column == 0) {
                own[WIDTH] = whole;
                own[WIDTH + 1] = greatest_of_all;
            }
        }
    }
}

// What several splits have come to, together: (rows, splits, width + 2) to (rows, width). A block for each row.
template <typename T>
__device__ void joined_splits(const float *sums, T *out, uint32_t splits, uint32_t width) {
    __shared__ float reduced[THREADS / WARP];
    __shared__ float weights[MOST_SPLITS];
    const float *own = sums + (size_t)blockIdx.x * splits * (width + 2);
    // A thread for each split finds what it counts for.
    const bool has_one = threadIdx.x < splits;
    const float *ours = own + (has_one ? threadIdx.x : 0) * (width + 2);
    const float greatest = has_one ? ours[width + 1] : -INFINITY;
    const float ours_counts = weight(greatest, greatest_of_block(greatest, reduced));
    const float whole = sum_of_block(ours_counts * (has_one ? ours[width] : 0.0f), reduced);
    if (has_one) {
        weights[threadIdx.x] = ours_counts;
    }
    __syncthreads();
    for (uint32_t column = threadIdx.x; column < width; column += THREADS) {
        float sum = 0.0f;
        for (uint32_t split = 0; split < splits; ++split) {
            sum += weights[split] * own[split * (width + 2) + column];
        }
        put(out + (size_t)blockIdx.x * width + column, sum / whole);
    }
}

#define OF_ONE_WIDTH(T, NAME, WIDTH, HEADS)                                                                           \
    extern "C" __global__ void paged_attention_##NAME##_##WIDTH##_##HEADS(                                            \
        const T *queries, const T *cached, const uint32_t *table, T *out, float *sums, uint32_t parts,                \
        uint32_t key_heads, uint32_t group, uint32_t rows, uint32_t first_row, uint32_t places, uint32_t pages,       \
        uint32_t window, float cap, uint32_t splits, uint32_t stride) {                                               \
        paged_attention<T, WIDTH, HEADS>(queries, cached, table, out, sums, parts, key_heads, group, rows, first_row, \
                                         places, pages, window, cap, splits, stride);                                 \
    }

#define OF_ALL_WIDTHS(T, NAME)                                                                                        \
    OF_ONE_WIDTH(T, NAME, 64, 1)                                                                                      \
    OF_ONE_WIDTH(T, NAME, 64, 2)                                                                                      \
    OF_ONE_WIDTH(T, NAME, 64, 4)                                                                                      \
    OF_ONE_WIDTH(T, NAME, 96, 1)                                                                                      \
    OF_ONE_WIDTH(T, NAME, 96, 2)                                                                                      \
    OF_ONE_WIDTH(T, NAME, 96, 4)                                                                                      \
    OF_ONE_WIDTH(T, NAME, 128, 1)                                                                                     \
    OF_ONE_WIDTH(T, NAME, 128, 2)                                                                                     \
    OF_ONE_WIDTH(T, NAME, 128, 4)                                                                                     \
    OF_ONE_WIDTH(T, NAME, 256, 1)                                                                                     \
    OF_ONE_WIDTH(T, NAME, 256, 2)                                                                                     \
    OF_ONE_WIDTH(T, NAME, 256, 4)                                                                                     \
    extern "C" __global__ void joined_splits_##NAME(const float *sums, T *out, uint32_t splits, uint32_t width) {     \
        joined_splits(sums, out, splits, width);                                                                      \
    }

OF_ALL_WIDTHS(__half, f16)
OF_ALL_WIDTHS(__nv_bfloat16, bf16)
