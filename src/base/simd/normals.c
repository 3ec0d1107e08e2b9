/* Box-Muller over one PCG32, 32 draws at a time (bnn/rng.h gives the scheme), in float. Polynomials: logf, sinf and
 * cosf of the Cephes library (S. L. Moshier, 1989), on arguments that are reduced exactly in the integers. */
#include <math.h>

#include "base/simd/logarithm.h"
#include "base/simd/normals.h"

#ifdef BNN_DOUBLE

void NAME(bnn_normals)(bnn_stream stream, bnn_real *out, size_t n)
{
    bnn_normals_naive(stream, out, n);
}

#else

#define PI 3.14159265358979323846f

typedef uint64_t words __attribute__((vector_size(VECTOR_BYTES), may_alias)); /* states */
typedef uint32_t integers __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef int32_t signed_integers __attribute__((vector_size(VECTOR_BYTES)));
enum { WORDS = VECTOR_BYTES / 8, GROUPS = BNN_NORMAL_LANES / WORDS, TURNS = 8 };

#define MULTIPLIER UINT64_C(6364136223846793005)

/* The states of 32 consecutive draws of one PCG32, each of which steps over all 32: x of every lane, then y of every lane. The
 * j-th state after s is a^j s + (1 + a + ... + a^(j-1)) c (F. B. Brown, "Random Number Generation with Arbitrary Strides",
 * Trans. Am. Nucl. Soc. 71, 1994). */
typedef struct generator {
    words state[2 * GROUPS], increment;
} generator;

/* a^(2^i), and the sum of a^0 ... a^(2^i - 1). */
#define POWER1 MULTIPLIER
#define POWER2 (POWER1 * POWER1)
#define POWER4 (POWER2 * POWER2)
#define POWER8 (POWER4 * POWER4)
#define POWER16 (POWER8 * POWER8)
#define POWER32 (POWER16 * POWER16)
#define SUM1 UINT64_C(1)
#define SUM2 (SUM1 * (1 + POWER1))
#define SUM4 (SUM2 * (1 + POWER2))
#define SUM8 (SUM4 * (1 + POWER4))
#define SUM16 (SUM8 * (1 + POWER8))
#define SUM32 (SUM16 * (1 + POWER16))

/* a^j and 1 + ... + a^(j-1) for j < 32, from the bits of j. */
#define POWER_BIT(j, n) ((j) & (n) ? POWER##n : 1)
#define POWER(j) POWER_BIT(j, 1) * POWER_BIT(j, 2) * POWER_BIT(j, 4) * POWER_BIT(j, 8) * POWER_BIT(j, 16)
#define SUM_BIT(j, n, rest) ((j) & (n) ? (rest)*POWER##n + SUM##n : (rest))
#define SUM(j) SUM_BIT(j, 16, SUM_BIT(j, 8, SUM_BIT(j, 4, SUM_BIT(j, 2, SUM_BIT(j, 1, 0)))))
#define EIGHT(of, j) of(j), of(j + 1), of(j + 2), of(j + 3), of(j + 4), of(j + 5), of(j + 6), of(j + 7)
#define ALL(of) EIGHT(of, 0), EIGHT(of, 8), EIGHT(of, 16), EIGHT(of, 24)

/* bnn_stream_open, then 31 draws further. */
static void seed(generator *g, bnn_stream stream)
{
    static const uint64_t powers[2 * BNN_NORMAL_LANES] __attribute__((aligned(64))) = {ALL(POWER)};
    static const uint64_t sums[2 * BNN_NORMAL_LANES] __attribute__((aligned(64))) = {ALL(SUM)};
    const uint64_t increment = stream.sequence << 1 | 1;
    const uint64_t first = (stream.state + increment) * MULTIPLIER + increment;
    for (size_t j = 0; j < 2 * GROUPS; j++)
        g->state[j] = ((const words *)powers)[j] * first + ((const words *)sums)[j] * increment;
    g->increment = (words){0} + SUM32 * increment;
}

INLINE integers rotate_right(integers x, integers turn)
{
#if defined(__AVX512F__)
    return (integers)_mm512_rorv_epi32((__m512i)x, (__m512i)turn);
#else
    return (x >> (turn & 31)) | (x << (-turn & 31));
#endif
}

/* The lower and the upper halves of two vectors of states, in order. (GCC's shuffle of two vectors, which clang lacks.) */
INLINE void split(words first, words second, integers *low, integers *high)
{
#ifdef __clang__
    for (size_t i = 0; i < WORDS; i++) {
        (*low)[i] = (uint32_t)first[i];
        (*low)[WORDS + i] = (uint32_t)second[i];
        (*high)[i] = (uint32_t)(first[i] >> 32);
        (*high)[WORDS + i] = (uint32_t)(second[i] >> 32);
    }
#else
    static const uint32_t numbers[] = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
    integers even;
    memcpy(&even, numbers, sizeof even);
    *low = __builtin_shuffle((integers)first, (integers)second, even);
    *high = __builtin_shuffle((integers)first, (integers)second, even + 1);
#endif
}

/* raw (turns, x and y, lanes) <- the next draws of every lane: bnn_pcg32_next, two vectors of states to one of
 * outputs. */
static void draw(generator *g, size_t turns, uint32_t *raw)
{
    generator local = *g;
    for (size_t i = 0; i < turns; i++)
#pragma GCC unroll 8
        for (size_t j = 0; j < 2 * GROUPS; j += 2, raw += 2 * WORDS) {
            const words first = local.state[j], second = local.state[j + 1];
            integers low, high;
            split(first, second, &low, &high);
            const integers shifted =
                (high << 5 | low >> 27) ^ (high >> 13); /* ((state >> 18) ^ state) >> 27 */
            const integers value = rotate_right(shifted, high >> 27);
            memcpy(raw, &value, sizeof value);
            for (size_t k = j; k < j + 2; k++) local.state[k] = local.state[k] * POWER32 + local.increment;
        }
    *g = local;
}

/* log u for u = (x + 1) 2^-32 = 2^exponent (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2). Close to 1, where the
 * float u has lost digits, f = u - 1 comes from the integer. */
INLINE vec log_uniform(integers x)
{
    const integers root_half = {0}, base = root_half + 0x3f3504f3u;
    const vec u = __builtin_convertvector(x + 1, vec) * 0x1p-32f;
    const integers bits = (integers)u - base;
    const signed_integers exponent = (signed_integers)bits >> 23;
    const vec mantissa = (vec)((bits & 0x7fffffu) + base);
    const vec below_one = __builtin_convertvector(~x, vec) * -0x1p-32f;
    const mask near_one = (mask)(x >= 0xc0000000u);
    const vec f = choose(near_one, below_one, mantissa - 1);
    const vec e = choose(near_one, (vec){0}, __builtin_convertvector(exponent, vec));
    return e * 0.693147180559945f + log_near_one(f);
}

/* cos and sin of 2 pi y 2^-32: y is the nearest quarter turn plus a signed rest of at most an eighth. */
INLINE void turn_to_circle(integers y, vec *cosine, vec *sine)
{
    const integers quarter = (y + 0x20000000u) >> 30;
    const signed_integers rest = (signed_integers)(y - (quarter << 30));
    const vec a = __builtin_convertvector(rest, vec) * (2 * PI * 0x1p-32f), z = a * a;
    const vec s = a + a * z * ((8.3321608736e-3f - 1.9515295891e-4f * z) * z - 1.6666654611e-1f);
    const vec c = 1 - 0.5f * z +
                  z * z * ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f);
    const mask odd = (mask)((quarter & 1) != 0);
    *cosine = (vec)((integers)choose(odd, s, c) ^ ((quarter + 1) >> 1 << 31));
    *sine = (vec)((integers)choose(odd, c, s) ^ (quarter >> 1 << 31));
}

/* out (2, lanes): the normals of one turn, from its x and y. */
INLINE void box_muller(const uint32_t *x, const uint32_t *y, bnn_real *out)
{
    for (size_t l = 0; l < BNN_NORMAL_LANES; l += LANES) {
        bnn_real radius[LANES] __attribute__((aligned(64)));
        vec cosine, sine;
        const vec square = -2 * log_uniform(*(const integers *)(x + l));
        for (size_t i = 0; i < LANES; i++) radius[i] = sqrtf(square[i]);
        turn_to_circle(*(const integers *)(y + l), &cosine, &sine);
        cosine *= load(radius);
        sine *= load(radius);
        memcpy(out + l, &cosine, sizeof cosine);
        memcpy(out + BNN_NORMAL_LANES + l, &sine, sizeof sine);
    }
}

void NAME(bnn_normals)(bnn_stream stream, bnn_real *out, size_t n)
{
    enum { EACH = 2 * BNN_NORMAL_LANES };
    uint32_t raw[TURNS * EACH] __attribute__((aligned(64)));
    generator g;
    seed(&g, stream);
    while (n > 0) {
        const size_t turns = n / EACH < TURNS ? (n + EACH - 1) / EACH : TURNS;
        draw(&g, turns, raw);
        for (size_t t = 0; t < turns; t++) {
            const uint32_t *x = raw + t * EACH, *y = x + BNN_NORMAL_LANES;
            if (n >= EACH) {
                box_muller(x, y, out);
                out += EACH;
                n -= EACH;
            } else {
                bnn_real last[EACH];
                box_muller(x, y, last);
                memcpy(out, last, n * sizeof *out);
                n = 0;
            }
        }
    }
}

#endif
