#include "bnn/kernel.h"

#include <string.h>

#include "kernels/kernels.h"

size_t bnn_channel_stride(size_t channels)
{
    return (channels + BNN_CHANNEL_UNIT - 1) / BNN_CHANNEL_UNIT * BNN_CHANNEL_UNIT;
}

size_t bnn_activation_count(const bnn_activation *activation)
{
    const size_t pixels = activation->height * activation->width;
    return activation->layout == BNN_LAYOUT_CHANNELS_LAST ? pixels * bnn_channel_stride(activation->channels)
                                                          : pixels * activation->channels;
}

#define THIN(isa) &bnn_conv_thin_##isa,
#define WINOGRAD(isa) &bnn_conv_winograd_##isa,
#define DENSE(isa) &bnn_dense_##isa,

// clang-format off
const bnn_kernel *const bnn_conv_kernels[] = {
    BNN_EACH_ISA(THIN)
    BNN_EACH_ISA(WINOGRAD)
    &bnn_conv_blas,
    &bnn_conv_naive,
    NULL,
};
const bnn_kernel *const bnn_dense_kernels[] = {
    BNN_EACH_ISA(DENSE)
    &bnn_dense_blas,
    &bnn_dense_grid,
    NULL,
};
// clang-format on

bool bnn_kernel_fits(const bnn_kernel *kernel, const bnn_kernel_shape *shape)
{
    return (!kernel->runs_here || kernel->runs_here()) && (!shape->noise || kernel->noise) &&
           (!kernel->supports || kernel->supports(shape));
}

const bnn_kernel *bnn_kernel_named(const bnn_kernel *const *list, const bnn_kernel_shape *shape,
                                   const char *name)
{
    for (; *list; list++)
        if (strcmp((*list)->name, name) == 0) return bnn_kernel_fits(*list, shape) ? *list : NULL;
    return NULL;
}

const bnn_kernel *bnn_kernel_of_set(const bnn_kernel *const *list, const bnn_kernel_shape *shape,
                                    const char *set)
{
    for (; *list; list++)
        if ((!set || ((*list)->set && strcmp((*list)->set, set) == 0)) && bnn_kernel_fits(*list, shape))
            return *list;
    return NULL;
}

size_t bnn_kernel_packed_count(const bnn_kernel *kernel, const bnn_kernel_shape *shape)
{
    return kernel->packed_count ? kernel->packed_count(shape) : 0;
}

size_t bnn_kernel_saved_count(const bnn_kernel *kernel, const bnn_kernel_shape *shape, size_t images)
{
    return kernel->saved_count ? kernel->saved_count(shape, images) : 0;
}

size_t bnn_kernel_scratch_count(const bnn_kernel *kernel, const bnn_kernel_shape *shape, size_t images)
{
    return kernel->scratch_count ? kernel->scratch_count(shape, images) : 0;
}

size_t bnn_in_noise_count(const bnn_kernel_shape *shape)
{
    return shape->noise == BNN_NOISE_SIGNS ? bnn_channel_stride(shape->in.channels) : 0;
}

size_t bnn_out_noise_count(const bnn_kernel_shape *shape)
{
    const size_t stride = bnn_channel_stride(shape->out.channels);
    if (shape->noise == BNN_NOISE_NORMALS) return shape->in.height * shape->in.width * stride;
    return shape->noise == BNN_NOISE_SIGNS ? stride : 0;
}
