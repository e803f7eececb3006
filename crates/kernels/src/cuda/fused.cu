// What lies between the products of a decoder, a kernel for each stretch of it: launching many small kernels costs more
// than they do, and between two of them every number goes through the card's memory.

#include "common.cuh"

// Softmax of the scores that a token may look at; the shares of the others are zero. A block for each row.
//
// Rows are (key heads, parts, query heads of a key head, tokens), each with a score for every position that is shown. A
// token may look at `window` positions up to its own, which is number `leads[part] + first_token + token`.
template <typename T>
__device__ void masked_softmax(const T *scores, T *shares, const uint32_t *leads, uint32_t parts, uint32_t group,
                               uint32_t tokens, uint32_t first_token, uint32_t positions, uint32_t window, float cap) {
    __shared__ float reduced[THREADS / WARP];
    const uint32_t row = blockIdx.x;
    const uint32_t token = row % tokens;
    const uint32_t part = row / tokens / group % parts;
    const uint32_t own = leads[part] + first_token + token;
    const uint32_t end = own < positions ? own + 1 : positions;
    const uint32_t begin = end > window ? end - window : 0;
    const T *from = scores + (size_t)row * positions;
    T *to = shares + (size_t)row * positions;

    float most = -INFINITY;
    for (uint32_t position = begin + threadIdx.x; position < end; position += THREADS) {
        most = fmaxf(most, capped(widened(from[position]), cap));
    }
    most = greatest_of_block(most, reduced);
    float sum = 0.0f;
    for (uint32_t position = begin + threadIdx.x; position < end; position += THREADS) {
        sum += expf(capped(widened(from[position]), cap) - most);
    }
    sum = sum_of_block(sum, reduced);
    for (uint32_t position = threadIdx.x; position < positions; position += THREADS) {
        const bool is_seen = begin <= position && position < end;
        put(to + position, is_seen ? expf(capped(widened(from[position]), cap) - most) / sum : 0.0f);
    }
}

// Turns pairs of components by the angles of their token, and scales what lies beyond the pairs. A thread for each pair
// or two components beyond.
//
// (heads, tokens, width), cosines and sines (tokens, pairs). Pairs lie side by side, or in the halves of what is turned.
template <typename T, typename C>
__device__ void turned(const T *heads, const float *cosines, const float *sines, C *out, uint32_t tokens,
                       uint32_t width, uint32_t pairs, uint32_t interleaved, float scale, uint32_t all) {
    const uint32_t index = blockIdx.x * THREADS + threadIdx.x;
    if (index >= all) {
        return;
    }
    const uint32_t pair = index % (width / 2);
    const uint32_t row = index / (width / 2);
    const size_t start = (size_t)row * width;
    if (pair >= pairs) {
        for (uint32_t component = 2 * pair; component < 2 * pair + 2; ++component) {
            put(out + start + component, widened(heads[start + component]) * scale);
        }
        return;
    }
    const uint32_t angle = row % tokens * pairs + pair;
    const size_t one = start + (interleaved ? 2 * pair : pair);
    const size_t other = interleaved ? one + 1 : one + pairs;
    const float x = widened(heads[one]);
    const float y = widened(heads[other]);
    put(out + one, x * cosines[angle] - y * sines[angle]);
    put(out + other, x * sines[angle] + y * cosines[angle]);
}

// `activation(gate) * up` of rows in which both lie side by side: (rows, 2 * width) to (rows, width). A thread for each.
template <typename T>
__device__ void gated(const T *both, T *out, uint32_t width, uint32_t is_gelu, uint32_t all) {
    const uint32_t index = blockIdx.x * THREADS + threadIdx.x;
    if (index >= all) {
        return;
    }
    const T *row = both + (size_t)(index / width) * 2 * width;
    const float gate = widened(row[index % width]);
    const float up = widened(row[index % width + width]);
    float active;
    if (is_gelu) {
        // The approximation by tanh (Hendrycks and Gimpel 2016); 0.7978845608 is the root of 2 / pi.
        active = 0.5f * gate * (1.0f + tanhf(0.7978845608f * gate * (1.0f + 0.044715f * gate * gate)));
    } else {
        active = gate / (1.0f + expf(-gate));
    }
    put(out + index, active * up);
}

// The sum of two states, as it is kept, and behind all rows of it the sum divided by its root mean square and scaled:
// (rows, width) to (2, rows, width). A block for each row.
template <typename T>
__device__ void added_and_normed(const T *states, const T *more, const T *scale, T *out, uint32_t rows,
                                 uint32_t width, float epsilon) {
    __shared__ float reduced[THREADS / WARP];
    const size_t start = (size_t)blockIdx.x * width;
    T *sums = out + start;
    T *normed = out + (size_t)rows * width + start;
    float squares = 0.0f;
    for (uint32_t column = threadIdx.x; column < width; column += THREADS) {
        put(sums + column, widened(states[start + column]) + widened(more[start + column]));
        const float sum = widened(sums[column]);
        squares += sum * sum;
    }
    const float factor = rsqrtf(sum_of_block(squares, reduced) / (float)width + epsilon);
    for (uint32_t column = threadIdx.x; column < width; column += THREADS) {
        put(normed + column, widened(sums[column]) * factor * widened(scale[column]));
    }
}

#define OF_ONE_TYPE(T, NAME)                                                                                          \
    extern "C" __global__ void masked_softmax_##NAME(const T *scores, T *shares, const uint32_t *leads,               \
                                                     uint32_t parts, uint32_t group, uint32_t tokens,                 \
                                                     uint32_t first_token, uint32_t positions, uint32_t window,       \
                                                     float cap) {                                                     \
        masked_softmax(scores, shares, leads, parts, group, tokens, first_token, positions, window, cap);             \
    }                                                                                                                 \
    extern "C" __global__ void gated_##NAME(const T *both, T *out, uint32_t width, uint32_t is_gelu, uint32_t all) {  \
        gated(both, out, width, is_gelu, all);                                                                        \
    }                                                                                                                 \
    extern "C" __global__ void added_and_normed_##NAME(const T *states, const T *more, const T *scale, T *out,        \
                                                       uint32_t rows, uint32_t width, float epsilon) {                \
        added_and_normed(states, more, scale, out, rows, width, epsilon);                                             \
    }

#define OF_TWO_TYPES(T, C, NAME)                                                                                      \
    extern "C" __global__ void turned_##NAME(const T *heads, const float *cosines, const float *sines, C *out,        \
                                             uint32_t tokens, uint32_t width, uint32_t pairs, uint32_t interleaved,   \
                                             float scale, uint32_t all) {                                             \
        turned(heads, cosines, sines, out, tokens, width, pairs, interleaved, scale, all);                            \
    }

OF_ONE_TYPE(float, f32)
OF_ONE_TYPE(__half, f16)
OF_ONE_TYPE(__nv_bfloat16, bf16)
OF_TWO_TYPES(float, float, f32_f32)
OF_TWO_TYPES(float, __half, f32_f16)
OF_TWO_TYPES(__half, __half, f16_f16)
OF_TWO_TYPES(__nv_bfloat16, __nv_bfloat16, bf16_bf16)
