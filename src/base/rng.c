#include "bnn/rng.h"

#include <math.h>

#include "base/simd/normals.h"

void bnn_pcg32_seed(bnn_pcg32 *rng, uint64_t state, uint64_t sequence)
{
    rng->state = 0;
    rng->increment = (sequence << 1) | 1u;
    bnn_pcg32_next(rng);
    rng->state += state;
    bnn_pcg32_next(rng);
}

uint32_t bnn_pcg32_next(bnn_pcg32 *rng)
{
    const uint64_t old = rng->state;
    rng->state = old * UINT64_C(6364136223846793005) + rng->increment;
    const uint32_t shifted = (uint32_t)(((old >> 18) ^ old) >> 27);
    const uint32_t turn = (uint32_t)(old >> 59);
    return (shifted >> turn) | (shifted << ((32u - turn) & 31u));
}

uint32_t bnn_pcg32_below(bnn_pcg32 *rng, uint32_t bound)
{
    const uint32_t threshold = (0u - bound) % bound;
    for (;;) {
        const uint32_t value = bnn_pcg32_next(rng);
        if (value >= threshold) return value % bound;
    }
}

double bnn_pcg32_uniform(bnn_pcg32 *rng)
{
    return bnn_pcg32_next(rng) * 0x1p-32;
}

void bnn_pcg32_shuffle(bnn_pcg32 *rng, size_t *items, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        const size_t j = bnn_pcg32_below(rng, (uint32_t)i);
        const size_t swap = items[i - 1];
        items[i - 1] = items[j];
        items[j] = swap;
    }
}

/* The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): a bijection of 64 bits that mixes well.
 */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

bnn_stream bnn_stream_of(uint64_t seed, bnn_purpose purpose, uint64_t step, uint64_t sample, uint64_t layer)
{
    uint64_t key = mix(seed);
    key = mix(key ^ (uint64_t)purpose);
    key = mix(key ^ step);
    key = mix(key ^ sample);
    key = mix(key ^ layer);
    return (bnn_stream){.state = key, .sequence = mix(~key)};
}

bnn_pcg32 bnn_stream_open(bnn_stream stream)
{
    bnn_pcg32 rng;
    bnn_pcg32_seed(&rng, stream.state, stream.sequence);
    return rng;
}

void bnn_normals(bnn_stream stream, bnn_real *out, size_t n)
{
    BNN_DISPATCH(bnn_normals, stream, out, n);
}

void bnn_normals_naive(bnn_stream stream, bnn_real *out, size_t n)
{
    enum { LANES = BNN_NORMAL_LANES };
    uint32_t draw[2 * LANES]; /* x of every lane, then y of every lane */
    bnn_pcg32 rng = bnn_stream_open(stream);
    for (size_t base = 0; base < n; base += 2 * LANES) {
        for (size_t i = 0; i < 2 * LANES; i++) draw[i] = bnn_pcg32_next(&rng);
        for (size_t l = 0; l < LANES; l++) {
            const double u = (draw[l] + 1.0) * 0x1p-32;
            const double angle = 2 * 3.14159265358979323846 * (draw[LANES + l] * 0x1p-32);
            const double radius = sqrt(-2 * log(u));
            const size_t cosine = base + l, sine = base + LANES + l;
            if (cosine < n) out[cosine] = (bnn_real)(radius * cos(angle));
            if (sine < n) out[sine] = (bnn_real)(radius * sin(angle));
        }
    }
}
