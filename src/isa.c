/* Which of the compiled instruction sets this processor runs. Compiled for the plainest. */
#include "bnn/numeric.h"
#include "families.h"
#include "kernels.h"

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

static bool is_conv_3x3(const bnn_layer *layer, bnn_layout layout)
{
    return layer->kind == BNN_LAYER_CONV && layer->kernel == 3 && layer->in_layout == layout;
}

#define SUPPORTS(isa)                                                                                        \
    bool bnn_supports_thin_##isa(const bnn_layer *layer)                                                     \
    {                                                                                                        \
        return is_conv_3x3(layer, BNN_LAYOUT_PLANAR) && layer->in_channels <= 4 && bnn_runs_here_##isa();    \
    }                                                                                                        \
    bool bnn_supports_dense_##isa(const bnn_layer *layer)                                                    \
    {                                                                                                        \
        return layer->kind == BNN_LAYER_DENSE && layer->in_layout != BNN_LAYOUT_CHANNELS_LAST &&             \
               bnn_layer_in_count(layer) % BNN_CHANNEL_UNIT == 0 && bnn_runs_here_##isa();                   \
    }                                                                                                        \
    bool bnn_supports_winograd_##isa(const bnn_layer *layer)                                                 \
    {                                                                                                        \
        return is_conv_3x3(layer, BNN_LAYOUT_CHANNELS_LAST) && bnn_runs_here_##isa();                        \
    }
BNN_EACH_ISA(SUPPORTS)

#define ROW(isa)                                                                                             \
    {#isa,                                                                                                   \
     bnn_runs_here_##isa,                                                                                    \
     bnn_normals_##isa,                                                                                      \
     bnn_softplus_##isa,                                                                                     \
     bnn_gaussian_draw_##isa,                                                                                \
     bnn_gaussian_pull_back_##isa,                                                                           \
     bnn_gaussian_kl_gradient_##isa},
const bnn_isa bnn_isas[] = {BNN_EACH_ISA(ROW){NULL, NULL, NULL, NULL, NULL, NULL, NULL}};

static const bnn_isa *best_isa(void)
{
    const bnn_isa *isa = bnn_isas;
    while (!isa->runs_here()) isa++;
    return isa;
}

void bnn_normals(bnn_stream stream, bnn_real *out, size_t n)
{
    best_isa()->normals(stream, out, n);
}

void bnn_softplus_array(const bnn_real *x, size_t n, bnn_real *value, bnn_real *slope)
{
    best_isa()->softplus(x, n, value, slope);
}

void bnn_gaussian_draw(const bnn_slice *slice, const bnn_real *eps, bnn_real *w)
{
    best_isa()->draw(slice, eps, w);
}

void bnn_gaussian_pull_back(const bnn_slice *slice, const bnn_real *eps, const bnn_real *w_gradient,
                            bnn_real *mu_gradient, bnn_real *sigma_gradient)
{
    best_isa()->pull_back(slice, eps, w_gradient, mu_gradient, sigma_gradient);
}

void bnn_gaussian_kl_gradient(const bnn_slice *slice, bnn_real weight, bnn_real *mu_gradient,
                              bnn_real *sigma_gradient)
{
    best_isa()->kl_gradient(slice, weight, mu_gradient, sigma_gradient);
}
