/* Box-Muller over 16 interleaved PCG32 (bnn/rng.h gives the scheme), in float. Polynomials: logf, sinf and
 * cosf of the Cephes library (S. L. Moshier, 1989), on arguments that are reduced exactly in the integers. */
#include <math.h>

#include "kernels.h"
#include "simd_log.h"

#ifdef BNN_DOUBLE

void NAME(bnn_normals)(bnn_stream stream, bnn_real *out, size_t n)
{
    bnn_normals_naive(stream, out, n);
}

#else

#define PI 3.14159265358979323846f

typedef uint64_t words __attribute__((vector_size(VECTOR_BYTES))); /* states */
typedef uint32_t integers __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef int32_t signed_integers __attribute__((vector_size(VECTOR_BYTES)));
enum { WORDS = VECTOR_BYTES / 8, GROUPS = BNN_NORMAL_LANES / WORDS, TURNS = 8 };

#define MULTIPLIER UINT64_C(6364136223846793005)

/* Every lane's sequence, x (even) and y (odd) draws apart, so that each steps by two at once:
 * a (a s + c) + c = a^2 s + (a + 1) c. Twice as many multiplications are under way, each taking 15 cycles. */
typedef struct generator {
    words state[2 * GROUPS], increment[2 * GROUPS]; /* (x and y, lanes) */
} generator;

/* bnn_pcg32_seed of every lane. */
static void seed(generator *g, bnn_stream stream)
{
    static const uint64_t numbers[BNN_NORMAL_LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    for (size_t j = 0; j < GROUPS; j++) {
        words lane;
        memcpy(&lane, numbers + j * WORDS, sizeof lane);
        const words increment = (stream.sequence + lane) << 1 | 1;
        g->state[j] = (stream.state + increment) * MULTIPLIER + increment;
        g->state[GROUPS + j] = g->state[j] * MULTIPLIER + increment;
        g->increment[j] = g->increment[GROUPS + j] = (MULTIPLIER + 1) * increment;
    }
}

INLINE integers rotate_right(integers x, integers turn)
{
#if defined(__AVX512F__)
    return (integers)_mm512_rorv_epi32((__m512i)x, (__m512i)turn);
#else
    return (x >> (turn & 31)) | (x << (-turn & 31));
#endif
}

/* raw (turns, x and y, lanes) <- the next draws of every lane: bnn_pcg32_next, two vectors of states to one of
 * outputs. */
static void draw(generator *g, size_t turns, uint32_t *raw)
{
    static const uint32_t numbers[] = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
    integers even; /* the lower halves of states */
    memcpy(&even, numbers, sizeof even);
    generator local = *g;
    for (size_t i = 0; i < turns; i++)
#pragma GCC unroll 8
        for (size_t j = 0; j < 2 * GROUPS; j += 2, raw += 2 * WORDS) {
            const words first = local.state[j], second = local.state[j + 1];
            const integers low = __builtin_shuffle((integers)first, (integers)second, even);
            const integers high = __builtin_shuffle((integers)first, (integers)second, even + 1);
            const integers shifted =
                (high << 5 | low >> 27) ^ (high >> 13); /* ((state >> 18) ^ state) >> 27 */
            const integers value = rotate_right(shifted, high >> 27);
            memcpy(raw, &value, sizeof value);
            for (size_t k = j; k < j + 2; k++)
                local.state[k] = local.state[k] * (MULTIPLIER * MULTIPLIER) + local.increment[k];
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
