/* Random numbers: PCG32 (PCG-XSH-RR 64/32) by M. E. O'Neill, "PCG: A Family of Simple Fast Space-Efficient
 * Statistically Good Algorithms for Random Number Generation", HMC-CS-2014-0905 (2014), and streams keyed by
 * what a number is for, so that a draw never depends on the number of threads or on earlier draws. */
#ifndef BNN_RNG_H
#define BNN_RNG_H

#include <stddef.h>
#include <stdint.h>

#include "bnn/real.h"

typedef struct bnn_pcg32 {
    uint64_t state;
    uint64_t increment; /* odd; selects one of 2^63 sequences */
} bnn_pcg32;

/* The reference seeding (pcg32_srandom_r): seed (42, 54) gives 0xa15c02b7 first. */
void bnn_pcg32_seed(bnn_pcg32 *rng, uint64_t state, uint64_t sequence);
uint32_t bnn_pcg32_next(bnn_pcg32 *rng);

/* Uniform on {0, ..., bound - 1}, without modulo bias (pcg32_boundedrand_r). bound > 0. */
uint32_t bnn_pcg32_below(bnn_pcg32 *rng, uint32_t bound);

/* Uniform on [0, 1), 32 bits. */
double bnn_pcg32_uniform(bnn_pcg32 *rng);

/* A uniformly random permutation of n indices (Fisher-Yates). */
void bnn_pcg32_shuffle(bnn_pcg32 *rng, size_t *items, size_t n);

/* What a stream is for: streams of different purposes are independent. */
typedef enum bnn_purpose {
    BNN_STREAM_DATA_SPLIT = 1,
    BNN_STREAM_INITIAL_MEAN,
    BNN_STREAM_PRIOR_MEAN,
    BNN_STREAM_FAMILY_SIGN,
    BNN_STREAM_SHUFFLE,
    BNN_STREAM_AUGMENTATION,
    BNN_STREAM_TRAIN_NOISE,
    BNN_STREAM_ESTIMATOR_NOISE,
    BNN_STREAM_VALIDATION_NOISE,
    BNN_STREAM_EVALUATION_NOISE,
    BNN_STREAM_WARP,
    BNN_STREAM_TURN,
    BNN_STREAM_REPARTITION,
    BNN_STREAM_ISING,
    BNN_STREAM_BALANCE
} bnn_purpose;

typedef struct bnn_stream {
    uint64_t state;
    uint64_t sequence;
} bnn_stream;

/* The stream of (seed, purpose, step, sample, layer). */
bnn_stream bnn_stream_of(uint64_t seed, bnn_purpose purpose, uint64_t step, uint64_t sample, uint64_t layer);

/* A generator at the beginning of a stream. */
bnn_pcg32 bnn_stream_open(bnn_stream stream);

/* bnn_normals pairs the draws of its generator by so many lanes. */
#define BNN_NORMAL_LANES 16

/* n independent draws from N(0, 1), by Box-Muller over the generator at the beginning of the stream: each turn takes
 * BNN_NORMAL_LANES draws x, then as many y, and with u = (x + 1) 2^-32, r = sqrt(-2 log u), a = 2 pi y 2^-32 yields first
 * r cos(a) of all lanes, then r sin(a) of all lanes. A given stream gives the same numbers on every call; a prefix is a
 * prefix. (Lanes with generators of their own that share a state, or differ by a constant, are correlated: all is drawn
 * from one sequence.) */
void bnn_normals(bnn_stream stream, bnn_real *out, size_t n);

/* The same one number at a time with the C library's functions: the twin that tests compare with. */
void bnn_normals_naive(bnn_stream stream, bnn_real *out, size_t n);

#endif
