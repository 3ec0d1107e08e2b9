/* Vectors for the files of folders simd/, which are compiled once for each instruction set (BNN_ISA, see the
 * Makefile): GCC's vector types, as wide as that instruction set's registers. Wider ones would be correct but
 * very slow. */
#ifndef BNN_SRC_SIMD_H
#define BNN_SRC_SIMD_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bnn/real.h"

#ifdef __SSE2__
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

/* NAME(f) is f_avx2 and so on: what a simd file exports has a name for each instruction set. */
#define NAME_PASTE(name, isa) name##_##isa
#define NAME_EXPAND(name, isa) NAME_PASTE(name, isa)
#define NAME(name) NAME_EXPAND(name, BNN_ISA)

/* The set's name as a string. */
#define STRING_EXPAND(isa) #isa
#define STRING(isa) STRING_EXPAND(isa)
#define ISA_NAME STRING(BNN_ISA)

#define INLINE static inline __attribute__((always_inline))

typedef bnn_real vec __attribute__((vector_size(VECTOR_BYTES), may_alias));
#define LANES (VECTOR_BYTES / sizeof(bnn_real))

/* A comparison of two vec gives integers as wide as its lanes: -1 for true, 0 for false. */
#ifdef BNN_DOUBLE
typedef int64_t lane_integer;
#else
typedef int32_t lane_integer;
#endif
typedef lane_integer mask __attribute__((vector_size(VECTOR_BYTES), may_alias));

/* Unsigned integers narrower than a lane, as many as there are lanes. */
typedef uint8_t bytes __attribute__((vector_size(VECTOR_BYTES / sizeof(bnn_real)), may_alias));
typedef uint16_t pairs __attribute__((vector_size(2 * VECTOR_BYTES / sizeof(bnn_real))));
typedef uint32_t quads __attribute__((vector_size(4 * VECTOR_BYTES / sizeof(bnn_real))));

/* Aligned: every pointer given is a multiple of a vector from the start of a buffer. */
INLINE vec load(const bnn_real *from)
{
    return *(const vec *)from;
}

INLINE void store(bnn_real *to, vec value)
{
    *(vec *)to = value;
}

/* The same for any address. */
typedef bnn_real loose_vec __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(bnn_real)), may_alias));

INLINE vec load_anywhere(const bnn_real *from)
{
    return (vec) * (const loose_vec *)from;
}

INLINE void store_anywhere(bnn_real *to, vec value)
{
    *(loose_vec *)to = (loose_vec)value;
}

/* Lane by lane: where ? yes : no. (GCC has vector ?: in C++ only.) */
INLINE vec choose(mask where, vec yes, vec no)
{
    return (vec)((where & (mask)yes) | (~where & (mask)no));
}

/* Lane by lane: a > b ? a : b, in one instruction where there is one (with this very rule for NaN and -0). */
INLINE vec larger(vec a, vec b)
{
#if defined(__AVX512F__) && defined(BNN_DOUBLE)
    return _mm512_max_pd(a, b);
#elif defined(__AVX512F__)
    return _mm512_max_ps(a, b);
#elif defined(__AVX2__) && defined(BNN_DOUBLE)
    return _mm256_max_pd(a, b);
#elif defined(__AVX2__)
    return _mm256_max_ps(a, b);
#elif defined(__SSE2__) && defined(BNN_DOUBLE)
    return _mm_max_pd(a, b);
#elif defined(__SSE2__)
    return _mm_max_ps(a, b);
#else
    return choose(a > b, a, b);
#endif
}

/* a^-1/2 of positive numbers, to rounding. */
INLINE vec reciprocal_root(vec a)
{
#if defined(__AVX512F__) && defined(BNN_DOUBLE)
    return 1 / (vec)_mm512_sqrt_pd(a);
#elif defined(__AVX512F__)
    const vec r = _mm512_rsqrt14_ps(a); /* 14 bits; a step of Newton's doubles them */
    return r * (1.5f - 0.5f * a * r * r);
#elif defined(__AVX2__) && defined(BNN_DOUBLE)
    return 1 / (vec)_mm256_sqrt_pd(a);
#elif defined(__AVX2__)
    return 1 / (vec)_mm256_sqrt_ps(a);
#else
    for (size_t i = 0; i < LANES; i++) a[i] = (bnn_real)(1 / sqrt((double)a[i]));
    return a;
#endif
}

/* Bytes to lanes. By doubling: GCC 12 knows an instruction for that, and takes a larger step lane by lane. */
INLINE mask load_bytes(const uint8_t *from)
{
    return __builtin_convertvector(
        __builtin_convertvector(__builtin_convertvector(*(const bytes *)from, pairs), quads), mask);
}

INLINE void store_bytes(uint8_t *to, mask value)
{
#ifdef __AVX512F__
    *(bytes *)to = __builtin_convertvector(value, bytes);
#else
    const pairs narrow = __builtin_convertvector(__builtin_convertvector(value, quads), pairs);
    *(bytes *)to = __builtin_convertvector(narrow, bytes);
#endif
}

#endif
