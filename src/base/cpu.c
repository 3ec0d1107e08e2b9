#include "base/cpu.h"

#ifdef __x86_64__
bool bnn_runs_here_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("fma");
}

bool bnn_runs_here_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif

bool bnn_runs_here_portable(void)
{
    return true;
}

const char *bnn_isa(void)
{
#define NAME_IF_RUNS(isa)                                                                                    \
    if (bnn_runs_here_##isa()) return #isa;
    BNN_EACH_ISA(NAME_IF_RUNS)
    return "none";
}
