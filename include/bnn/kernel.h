/* Kernels: the arithmetic of layers for given weights, behind one interface. They know shapes and numbers; names, parameter
 * vectors, posteriors and groups are their callers' affair.
 *
 * Layouts of one image's activation:
 *   planar         (C, H, W)                      the network's input
 *   channels-last  (H, W, bnn_channel_stride(C))  the output of a convolution; channels beyond C are zero
 *   flat           (F)                            the output of mean and dense layers
 * A block of n images is n of these one after the other. Channels-last blocks are aligned to 64 bytes; planar and flat
 * ones need not be. */
#ifndef BNN_KERNEL_H
#define BNN_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "bnn/real.h"

typedef enum bnn_layout { BNN_LAYOUT_PLANAR, BNN_LAYOUT_CHANNELS_LAST, BNN_LAYOUT_FLAT } bnn_layout;

typedef struct bnn_activation {
    bnn_layout layout;
    size_t channels, height, width; /* height = width = 1 where it is flat */
} bnn_activation;

/* Channels of a channels-last pixel in memory: `channels` rounded up to BNN_CHANNEL_UNIT. */
size_t bnn_channel_stride(size_t channels);

/* bnn_real's of one image. */
size_t bnn_activation_count(const bnn_activation *activation);

/* Noise of each image around the weights. A layer with noise computes two sums, by its weights and by their spread, which is
 * packed as they are, and then ReLU and pooling of  A + psi(B),  A = f(in; weights),  B = f(phi(in); spread):
 *     signs    phi(x) = s x    psi(B) = r B          signs s of an input channel, r of an output channel
 *     normals  phi(x) = x^2    psi(B) = z sqrt(B)    z ~ N(0, 1) of each sum
 * B is taken for 1e-20 where it is less or, by kernels whose rounding is more, for 16 epsilon of the largest B of its tile.
 * bnn/estimator.h says what for. */
typedef enum bnn_noise { BNN_NOISE_NONE, BNN_NOISE_SIGNS, BNN_NOISE_NORMALS } bnn_noise;

/* What a kernel computes. */
typedef struct bnn_kernel_shape {
    bnn_activation in, out; /* in: of every input alike */
    size_t kernel;          /* convolution: the odd side of its kernel, at stride 1 and "same" padding */
    bool circular;          /* convolution: wraps around instead of padding with zeros */
    bool relu;              /* convolution, dense: ReLU of the sums and their bias */
    bool pool;       /* convolution: then max-pool 2 x 2 with stride 2, an odd last row or column dropped */
    bnn_noise noise; /* convolution */
} bnn_kernel_shape;

/* The most inputs that a layer has. */
#define BNN_MAX_INPUTS 2

/* One block's way through a kernel, forward or backward. Every buffer is the caller's, aligned to 64 bytes (but for planar
 * and flat blocks, and for packed weights that lie in a parameter vector) and as large as the counts of bnn_kernel say. */
typedef struct bnn_pass {
    size_t images;
    const bnn_real *packed; /* one draw's weights and bias */
    const bnn_real *in[BNN_MAX_INPUTS];
    bnn_real *out;     /* forward: written; backward: as forward left it */
    bnn_real *saved;   /* from forward to backward; NULL when no backward pass follows */
    bnn_real *scratch; /* free again on return */

    /* With noise, when `saved` is never NULL. */
    const bnn_real *spread;               /* packed */
    const bnn_real *in_noise, *out_noise; /* (images, bnn_in_noise_count or bnn_out_noise_count) */

    /* Normals may be drawn when they are wanted, while they are in the cache: NULL, or out_noise (1, ...) <- that of image n; or,
     * where there are samples, (samples, ...) that of as many images from the n-th on. Images come in order, forward alone. With
     * `pairs` the samples of an input come in pairs of opposite noise, of which that of the first alone is drawn. */
    void (*draw)(void *context, size_t n, size_t images);
    void *context;
    bool pairs;

    /* Normals and planar inputs: samples of each input, under noise of their own; 0 is 1. `images` are then samples, those of an
     * input in a row, and there are images / samples inputs. Nobody asks for the gradient of inputs of several samples. */
    size_t samples;

    /* Backward alone. */
    bnn_real *out_gradient;                /* d loss / d out; may be overwritten */
    bnn_real *in_gradient[BNN_MAX_INPUTS]; /* <- d loss / d in; NULL where nobody asks for it */
    bnn_real *packed_gradient;             /* <- (or with `add`, +=) d loss / d packed weights and bias */
    bnn_real *spread_gradient;             /* with noise: the same of the spread */
    bool add;                              /* this is not the unit's first block */
} bnn_pass;

/* One implementation of an operation. A unit of work is one weight draw and several blocks of images:
 *     pack; for each block { forward; backward }; unpack_gradient
 * Units of the same draw may share its packed weights. Nothing allocates. The functions may be called from several threads on
 * different buffers. */
typedef struct bnn_kernel {
    const char *name; /* "winograd-avx512"; unlike any other */
    const char
        *set; /* what a whole network may be asked to run by: "avx512", "blas", "naive"; NULL: in none */

    /* Whether this processor has its instruction set; NULL: any has. Nothing else of the row may be called if not. */
    bool (*runs_here)(void);

    /* Whether it can compute that shape; NULL: any. Shapes with noise are refused before, unless it has `noise`. */
    bool (*supports)(const bnn_kernel_shape *shape);
    bool noise;

    /* Whether it is made of bnn_gemm, whose memory is to be reserved (bnn_blas_reserve). */
    bool products;

    /* In bnn_real; NULL: 0. Packed: a draw's weights and bias as the kernel wants them. */
    size_t (*packed_count)(const bnn_kernel_shape *shape);
    size_t (*saved_count)(const bnn_kernel_shape *shape, size_t images);
    size_t (*scratch_count)(const bnn_kernel_shape *shape, size_t images);

    /* packed, what there is of output channels from .. to - 1, <- weight and bias as parameters lie, row-major. `from` is a
     * multiple of BNN_CHANNEL_UNIT, and so is `to` unless it is their number: such parts may be packed by several threads.
     * NULL: the packed weights, and the packed gradient, are a slice of the parameter vector itself, weights then bias, of
     * which no alignment may be assumed; or there are none. */
    void (*pack)(const bnn_kernel_shape *shape, const bnn_real *weight, const bnn_real *bias, size_t from,
                 size_t to, bnn_real *packed);

    void (*forward)(const bnn_kernel_shape *shape, const bnn_pass *pass);

    /* Of the block that forward() saw last with this `saved`, of which it may overwrite what it needs no more: once. */
    void (*backward)(const bnn_kernel_shape *shape, const bnn_pass *pass);

    /* weight_gradient, bias_gradient <- the packed gradient, which is in a form of packed_count reals of the kernel's own
     * choosing and may be overwritten. NULL where `pack` is. */
    void (*unpack_gradient)(const bnn_kernel_shape *shape, bnn_real *packed_gradient,
                            bnn_real *weight_gradient, bnn_real *bias_gradient);
} bnn_kernel;

/* The implementations of one operation: NULL-terminated, fastest first; between them they run every shape of it without noise
 * everywhere. A list so made, of one row, is all the arithmetic that another layer needs (bnn/layer.h). */
extern const bnn_kernel *const bnn_conv_kernels[], *const bnn_dense_kernels[];

/* Whether a kernel runs on this processor and can compute the shape. */
bool bnn_kernel_fits(const bnn_kernel *kernel, const bnn_kernel_shape *shape);

/* The kernel of that name, and NULL where the list has none or it does not fit: for tests and measurements. */
const bnn_kernel *bnn_kernel_named(const bnn_kernel *const *list, const bnn_kernel_shape *shape,
                                   const char *name);

/* The first kernel of a set that fits, and NULL where the list has none. `set` NULL: of any. */
const bnn_kernel *bnn_kernel_of_set(const bnn_kernel *const *list, const bnn_kernel_shape *shape,
                                    const char *set);

/* packed_count, saved_count and scratch_count, 0 where the row has none. */
size_t bnn_kernel_packed_count(const bnn_kernel *kernel, const bnn_kernel_shape *shape);
size_t bnn_kernel_saved_count(const bnn_kernel *kernel, const bnn_kernel_shape *shape, size_t images);
size_t bnn_kernel_scratch_count(const bnn_kernel *kernel, const bnn_kernel_shape *shape, size_t images);

/* The noise of one image: a sign a channel, in bnn_channel_stride of them; or a normal for each sum before pooling,
 * channels-last, 0 in the channels beyond the last. */
size_t bnn_in_noise_count(const bnn_kernel_shape *shape);
size_t bnn_out_noise_count(const bnn_kernel_shape *shape);

#endif
