/* softplus(x) = max(x, 0) + log(1 + e^-|x|) and its slope 1 / (1 + e^-x), in float. Polynomials: expf and logf of the
 * Cephes library (S. L. Moshier, 1989). */
#include "base/simd/softplus.h"

#include "base/simd/logarithm.h"

#ifdef BNN_DOUBLE

void NAME(bnn_softplus_array)(const bnn_real *x, size_t n, bnn_real *value, bnn_real *slope)
{
    for (size_t i = 0; i < n; i++) {
        value[i] = bnn_softplus(x[i]);
        if (slope) slope[i] = bnn_sigmoid(fmax(x[i], BNN_LEAST_RHO));
    }
}

#else

typedef int32_t integers __attribute__((vector_size(VECTOR_BYTES), may_alias));

/* e^-x for 0 <= x <= 87, where it is still a normal float: 2^-k e^r with |r| <= log(2)/2. */
INLINE vec exp_minus(vec x)
{
    const vec magic = (vec){0} + 0x1.8p23f; /* adding it rounds to an integer */
    const vec k = x * 1.44269504088896341f + magic - magic;
    const vec r = (k * 0.693359375f - x) + k * -2.12194440e-4f;
    vec p = 1.9875691500e-4f * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    const integers exponent = (127 - __builtin_convertvector(k, integers)) << 23;
    return (p * r * r + r + 1) * (vec)exponent;
}

/* log(1 + t) for 0 <= t <= 1, accurate relative to itself: 1 + t = 2^e (1 + f), sqrt(1/2) <= 1 + f < sqrt(2). */
INLINE vec log_one_plus(vec t)
{
    const mask large = (mask)(t > 0.41421356f);
    const vec f = choose(large, t * 0.5f - 0.5f, t);
    const vec e = choose(large, (vec){0} + 0.693147180559945f, (vec){0});
    return e + log_near_one(f);
}

INLINE void softplus(vec x, vec *value, vec *slope)
{
    const mask positive = (mask)(x > 0);
    const vec size = choose(positive, x, -x), most = (vec){0} - BNN_LEAST_RHO;
    const vec limited = choose((mask)(size < most), size, most);
    const vec decay = exp_minus(limited);
    *value = choose(positive, x, (vec){0}) + log_one_plus(decay);
    *slope = choose(positive, (vec){0} + 1, decay) / (1 + decay);
}

/* `count` of at most LANES numbers, known to the compiler but in the tail. */
INLINE void run(const bnn_real *x, size_t count, bnn_real *value, bnn_real *slope)
{
    vec v = {0}, s;
    memcpy(&v, x, count * sizeof *x);
    softplus(v, &v, &s);
    memcpy(value, &v, count * sizeof *x);
    if (slope) memcpy(slope, &s, count * sizeof *x);
}

void NAME(bnn_softplus_array)(const bnn_real *x, size_t n, bnn_real *value, bnn_real *slope)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) run(x + i, LANES, value + i, slope ? slope + i : NULL);
    if (i < n) run(x + i, n - i, value + i, slope ? slope + i : NULL);
}

#endif
