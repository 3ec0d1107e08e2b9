/* The logarithm's polynomial, shared by the files that need one: logf of the Cephes library (S. L. Moshier, 1989). */
#ifndef BNN_SRC_SIMD_LOG_H
#define BNN_SRC_SIMD_LOG_H

#include "base/simd/vector.h"

/* log(1 + f) for sqrt(1/2) <= 1 + f < sqrt(2), in float, accurate relative to itself. */
INLINE vec log_near_one(vec f)
{
    vec p = 7.0376836292e-2f * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    return f + f * f * (p * f - 0.5f);
}

#endif
