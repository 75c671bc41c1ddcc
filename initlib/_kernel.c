/* The streams of streams.py, compiled: the same bits, many times faster.

   A vector holds one word, or one value, of the sixteen ChaCha blocks of a group. Only operations that IEEE 754
   rounds in one way are used, in the order of streams.py; build without fast-math and without contraction.

   Two groups are made at a time: a round of ChaCha is a chain, and one chain leaves half of a core idle. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define LANES 16
#define GROUP 256

typedef uint32_t words __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));
typedef float floats __attribute__((vector_size(4 * LANES)));
typedef float target __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define TURN(x, n) ((x) << (n) | (x) >> (32 - (n)))
#define QUARTER_ROUND(a, b, c, d)                                                                                  \
    a += b, d ^= a, d = TURN(d, 16), c += d, b ^= c, b = TURN(b, 12);                                              \
    a += b, d ^= a, d = TURN(d, 8), c += d, b ^= c, b = TURN(b, 7)

INLINE void initial(const uint32_t key[8], uint64_t group, words x[16])
{
    static const uint32_t sigma[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    const words lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    for (int i = 0; i < 16; i++)
        x[i] = (words){0} + (i < 4 ? sigma[i] : i < 12 ? key[i - 4] : 0);
    x[12] = lanes + (uint32_t)(LANES * group); /* no carry: the first block is a multiple of sixteen */
    x[13] += (uint32_t)(LANES * group >> 32);
}

/* The words of group and group + 1. */
INLINE void chacha8(const uint32_t key[8], uint64_t group, words x[16], words y[16])
{
#define BOTH(a, b, c, d) QUARTER_ROUND(x[a], x[b], x[c], x[d]), QUARTER_ROUND(y[a], y[b], y[c], y[d])
    words start[16], next[16];
    initial(key, group, start);
    initial(key, group + 1, next);
    for (int i = 0; i < 16; i++)
        x[i] = start[i], y[i] = next[i];
    for (int round = 0; round < 4; round++) {
        BOTH(0, 4, 8, 12);
        BOTH(1, 5, 9, 13);
        BOTH(2, 6, 10, 14);
        BOTH(3, 7, 11, 15);
        BOTH(0, 5, 10, 15);
        BOTH(1, 6, 11, 12);
        BOTH(2, 7, 8, 13);
        BOTH(3, 4, 9, 14);
    }
    for (int i = 0; i < 16; i++)
        x[i] += start[i], y[i] += next[i];
}

INLINE floats to_floats(ints x) { return __builtin_convertvector(x, floats); }

INLINE floats root(floats x)
{
    for (int lane = 0; lane < LANES; lane++)
        x[lane] = sqrtf(x[lane]);
    return x;
}

INLINE floats log_series(floats x)
{
    const int32_t root_half = 0x3f3504f3;
    ints above = (ints)x - root_half;
    floats exponent = to_floats(above >> 23);
    floats excess = (floats)((above & 0x7fffff) + root_half) - 1.0f;
    floats ratio = excess / (excess + 2.0f);
    floats square = ratio * ratio;
    floats series = square * (float)(1 / 9.0) + (float)(1 / 7.0);
    series = series * square + (float)(1 / 5.0);
    series = series * square + (float)(1 / 3.0);
    series = series * square + 1.0f;
    return exponent * (float)0.6931471805599453 + 2.0f * ratio * series;
}

INLINE void cos_sin_of_turn(words angle, floats *cos_out, floats *sin_out)
{
    words quadrant = (angle + (1u << 29)) >> 30;
    floats x = to_floats((ints)(angle - (quadrant << 30))) * (float)(6.283185307179586 / 4294967296.0);
    floats square = x * x;
    floats c = square * (float)(1 / 40320.0) + (float)(-1 / 720.0);
    c = c * square + (float)(1 / 24.0);
    c = c * square + -0.5f;
    c = c * square + 1.0f;
    floats s = square * (float)(1 / 362880.0) + (float)(-1 / 5040.0);
    s = s * square + (float)(1 / 120.0);
    s = s * square + (float)(-1 / 6.0);
    s = (s * square + 1.0f) * x;
    words odd = -(quadrant & 1);
    words turned_cos = ((words)s & odd) | ((words)c & ~odd), turned_sin = ((words)c & odd) | ((words)s & ~odd);
    *cos_out = (floats)(turned_cos ^ (((quadrant + 1) & 2) << 30));
    *sin_out = (floats)(turned_sin ^ ((quadrant & 2) << 30));
}

/* Each law turns the words of a group into 256 values, a[] being its parameters: scale, shift, the bounds for
   clip, and what else it has. */
INLINE void uniform_law(const words w[16], const float a[4], floats out[16])
{
    for (int i = 0; i < 16; i++)
        out[i] = to_floats((ints)(w[i] >> 8)) * 0x1p-24f * a[0] + a[1];
}

INLINE void normal_law(const words w[16], const float a[4], floats out[16])
{
    for (int i = 0; i < 16; i += 2) {
        floats open_unit = to_floats((ints)(w[i] >> 1)) * 0x1p-31f + 0x1p-32f;
        floats radius = root(-2.0f * log_series(open_unit)), cosine, sine;
        cos_sin_of_turn(w[i + 1], &cosine, &sine);
        out[i] = radius * cosine * a[0] + a[1];
        out[i + 1] = radius * sine * a[0] + a[1];
    }
}

INLINE void truncated_law(const words w[16], const float a[6], floats out[16])
{
    static const float erfinv[9] = {1.50140941,  0.246640727,     -0.00417768164, -0.00125372503, 0.00021858087,
                                    -4.39150654e-06, -3.5233877e-06, 3.43273939e-07, 2.81022636e-08};
    for (int i = 0; i < 16; i++) {
        floats x = to_floats((ints)w[i]) * 0x1p-31f * a[4] + a[5];
        floats spread = -log_series((1.0f - x) * (1.0f + x)) - 2.5f;
        floats inverse = (floats){0} + erfinv[8];
        for (int n = 7; n >= 0; n--)
            inverse = inverse * spread + erfinv[n];
        out[i] = x * inverse * (float)1.4142135623730951 * a[0] + a[1];
    }
}

#ifndef CLONES
#if defined(__x86_64__) && defined(__gnu_linux__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define CLONES
#endif
#endif

/* A value that equals a bound is kept, as in np.clip: it matters for the sign of zero. */
INLINE void clip(float values[GROUP], float low, float high)
{
    for (int i = 0; i < GROUP; i++)
        values[i] = low > values[i] ? low : values[i];
    for (int i = 0; i < GROUP; i++)
        values[i] = high < values[i] ? high : values[i];
}

#ifdef __SSE2__
#define FENCE _mm_sfence()
#else
#define FENCE
#endif

/* Write a group. Past the caches, memory isn't read first only to be written over: half of the traffic. */
INLINE void write_group(const floats values[16], float *out, int past_caches)
{
#ifdef __SSE2__
    if (past_caches) {
        for (int i = 0; i < GROUP / 4; i++)
            _mm_stream_ps(out + 4 * i, ((const __m128 *)values)[i]);
        return;
    }
#endif
    for (int i = 0; i < 16; i++)
        ((target *)out)[i] = values[i];
}

/* Write elements start .. start + count of a stream under a law. */
#define FILL(name, law)                                                                                            \
    CLONES void name(const uint32_t key[8], uint64_t start, uint64_t count, const float *a, float *out,            \
                     int past_caches)                                                                              \
    {                                                                                                              \
        words w[2][16];                                                                                            \
        floats values[16];                                                                                         \
        const int is_bounded = a[2] > -INFINITY || a[3] < INFINITY;                                                \
        past_caches &= (uintptr_t)(out + (GROUP - start % GROUP) % GROUP) % 16 == 0;                               \
        while (count) {                                                                                            \
            chacha8(key, start / GROUP, w[0], w[1]);                                                               \
            for (int i = 0; i < 2 && count; i++) {                                                                 \
                uint64_t skip = start % GROUP, take = GROUP - skip < count ? GROUP - skip : count;                 \
                law(w[i], a, values);                                                                              \
                if (is_bounded)                                                                                    \
                    clip((float *)values, a[2], a[3]);                                                             \
                if (take == GROUP)                                                                                 \
                    write_group(values, out, past_caches);                                                         \
                else                                                                                               \
                    memcpy(out, (const float *)values + skip, take * sizeof(float));                               \
                start += take, count -= take, out += take;                                                         \
            }                                                                                                      \
        }                                                                                                          \
        FENCE;                                                                                                     \
    }

FILL(initlib_uniform, uniform_law)
FILL(initlib_normal, normal_law)
FILL(initlib_truncated, truncated_law)
