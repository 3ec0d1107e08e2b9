/* Instruction sets. What stands in a folder simd/ is compiled once for each of them (see the Makefile), under names that end
 * in the set's; the function without that ending stands beside the algorithm and takes the fastest that runs here. */
#ifndef BNN_BASE_CPU_H
#define BNN_BASE_CPU_H

#include <stdbool.h>

/* Fastest first; the last runs everywhere. */
#ifdef __x86_64__
#define BNN_EACH_ISA(DO) DO(avx512) DO(avx2) DO(portable)
#else
#define BNN_EACH_ISA(DO) DO(portable)
#endif

#define BNN_DECLARE_RUNS_HERE(isa) bool bnn_runs_here_##isa(void);
BNN_EACH_ISA(BNN_DECLARE_RUNS_HERE)

/* The name of the fastest set that runs here. */
const char *bnn_isa(void);

/* Calls `function` of the fastest set that runs here. */
#ifdef __x86_64__
#define BNN_DISPATCH(function, ...)                                                                          \
    (bnn_runs_here_avx512() ? function##_avx512(__VA_ARGS__)                                                 \
     : bnn_runs_here_avx2() ? function##_avx2(__VA_ARGS__)                                                   \
                            : function##_portable(__VA_ARGS__))
#else
#define BNN_DISPATCH(function, ...) function##_portable(__VA_ARGS__)
#endif

#endif
