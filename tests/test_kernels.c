/* Every kernel alone: each convolution against the plain loops of "conv-naive", each dense layer against those of
 * bnn_gemm_naive, and what needs no weights against loops over its definition: outputs and all gradients, over odd shapes;
 * and the properties that hold whatever the numbers are. The last test asks that no row was left out. */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/blas.h"
#include "bnn/layer.h"
#include "bnn/rng.h"
#include "bnn/status.h"
#include "kernels/simd/product.h"

/* Of the largest element. Winograd's points cost digits, most of them in the gradient of the weights; what that makes of a
 * whole step is bounded in test_engine.c. */
#ifdef BNN_DOUBLE
#define TOLERANCE 1e-13
#define WINOGRAD_TOLERANCE 1e-13
#define NORMALS_TOLERANCE 1e-13
#else
#define TOLERANCE 5e-6
#define WINOGRAD_TOLERANCE 2e-5
#define NORMALS_TOLERANCE 5e-5 /* of Winograd: a root is steep near 0 */
#endif

/* Where the largest value of a window leads by less than this, rounding may choose another: no gradient
 * there. */
#define NEAR_TIE 1e-3

static bnn_kernel_shape conv_shape(bnn_layout layout, size_t in, size_t out, size_t height, size_t width,
                                   size_t kernel, unsigned flags)
{
    const size_t window = flags & 2 ? 2 : 1;
    return (bnn_kernel_shape){.in = {layout, in, height, width},
                              .out = {BNN_LAYOUT_CHANNELS_LAST, out, height / window, width / window},
                              .kernel = kernel,
                              .relu = flags & 1,
                              .pool = flags & 2,
                              .circular = flags & 4};
}

static const char *describe(const bnn_kernel_shape *shape, const char *kernel, size_t images)
{
    static const char *const layouts[] = {"planar", "channels-last", "flat"}, *const noises[] = {"", " signs",
                                                                                                 " normals"};
    static char text[200];
    snprintf(text, sizeof text, "%s %zu %zux%zu %s -> %zu k%zu%s%s%s%s, %zu images", kernel,
             shape->in.channels, shape->in.height, shape->in.width, layouts[shape->in.layout],
             shape->out.channels, shape->kernel, shape->relu ? " relu" : "", shape->pool ? " pool" : "",
             shape->circular ? " circular" : "", noises[shape->noise], images);
    return text;
}

/* Of a convolution or dense layer; its bias follows. */
static size_t weight_count(const bnn_kernel_shape *shape)
{
    const size_t places = shape->kernel ? shape->kernel * shape->kernel : shape->in.height * shape->in.width;
    return shape->out.channels * shape->in.channels * places;
}

static bnn_real *reals(size_t n)
{
    bnn_real *x = bnn_alloc(n, sizeof *x);
    assert_non_null(x);
    return x;
}

static bnn_real *normals(size_t n, double scale, uint64_t stream)
{
    bnn_real *x = reals(n);
    bnn_normals_naive(bnn_stream_of(5, BNN_STREAM_TRAIN_NOISE, 0, 0, stream), x, n);
    for (size_t i = 0; i < n; i++) x[i] *= (bnn_real)scale;
    return x;
}

/* What a reused buffer holds. */
static bnn_real *garbage(size_t n)
{
    bnn_real *x = reals(n);
    memset(x, 0x5a, n * sizeof *x);
    return x;
}

/* The number of channel c of pixel (y, x) of image n. */
static size_t at(const bnn_activation *a, size_t n, size_t c, size_t y, size_t x)
{
    const size_t image = n * bnn_activation_count(a);
    if (a->layout == BNN_LAYOUT_CHANNELS_LAST)
        return image + (y * a->width + x) * bnn_channel_stride(a->channels) + c;
    return image + (c * a->height + y) * a->width + x;
}

/* Zeros in the channels beyond the last of a channels-last block. */
static void clear_padding(const bnn_activation *a, bnn_real *values, size_t count)
{
    const size_t stride = bnn_channel_stride(a->channels);
    for (size_t i = 0; a->layout == BNN_LAYOUT_CHANNELS_LAST && i < count; i++)
        if (i % stride >= a->channels) values[i] = 0;
}

/* Everything one kernel reads and writes for one block: two inputs, weights and bias as they lie among the parameters. */
typedef struct trial {
    size_t in_count, out_count, weights, parameters;
    bnn_real *in[2], *parameter, *out_gradient;
    bnn_real *out, *in_gradient[2], *parameter_gradient;
    bnn_real *spread, *spread_gradient, *in_noise, *out_noise; /* with noise, else NULL */
    size_t samples; /* of each input, of which there are then fewer; 0 is 1 */
    bool drawn;     /* the kernel asks for the noise */
    bool pairs;     /* of every second sample, as the next has the opposite */
} trial;

/* What a kernel that asks for noise is given: bnn_pass.draw. */
typedef struct giver {
    const bnn_real *from; /* (images, count) */
    bnn_real *to;         /* (samples, count) */
    size_t count;
    bool pairs;
} giver;

static void give_noise(void *context, size_t n, size_t images)
{
    const giver *g = context;
    for (size_t k = 0, each = g->pairs ? 2 : 1; k < images; k += each)
        memcpy(g->to + k / each * g->count, g->from + (n + k) * g->count, g->count * sizeof *g->to);
}

/* A spread as the weights are, and of normals their squares; noise of every image. */
static void add_noise(const bnn_kernel_shape *shape, size_t images, trial *t)
{
    const bnn_activation sums = {BNN_LAYOUT_CHANNELS_LAST, shape->out.channels, shape->in.height,
                                 shape->in.width};
    const size_t in = images * bnn_in_noise_count(shape), out = images * bnn_out_noise_count(shape);
    const bool normal = shape->noise == BNN_NOISE_NORMALS;
    t->spread = normals(t->parameters, 0.5, 7);
    t->spread_gradient = reals(t->parameters);
    t->in_noise = normals(in, 1, 8);
    t->out_noise = normals(out, 1, 9);
    for (size_t j = 0; j < t->parameters; j++)
        t->spread[j] = normal ? t->parameter[j] * t->parameter[j] : t->spread[j] * t->parameter[j];
    for (size_t j = t->weights; normal && j < t->parameters; j++)
        t->spread[j] +=
            (bnn_real)0.1; /* of a bias: what keeps a sum of squares from 0, where its root is steep */
    for (size_t j = 0; j < in; j++) t->in_noise[j] = t->in_noise[j] < 0 ? -1 : 1;
    for (size_t j = 0; !normal && j < out; j++) t->out_noise[j] = t->out_noise[j] < 0 ? -1 : 1;
    if (normal) clear_padding(&sums, t->out_noise, out);
}

static trial trial_of(const bnn_kernel_shape *shape, size_t images)
{
    trial t = {.in_count = images * bnn_activation_count(&shape->in),
               .out_count = images * bnn_activation_count(&shape->out),
               .weights = weight_count(shape)};
    t.parameters = t.weights + shape->out.channels;
    for (size_t i = 0; i < 2; i++) {
        t.in[i] = normals(t.in_count, 1, 1 + 10 * i);
        t.in_gradient[i] = reals(t.in_count);
        clear_padding(&shape->in, t.in[i], t.in_count);
    }
    t.parameter = normals(t.parameters, 0.5, 2);
    const double fan_in = (double)t.weights / (double)shape->out.channels;
    for (size_t j = 0; j < t.weights; j++) t.parameter[j] *= (bnn_real)(2 / sqrt(fan_in));
    t.out_gradient = normals(t.out_count, 1, 4);
    clear_padding(&shape->out, t.out_gradient, t.out_count);
    t.out = reals(t.out_count);
    t.parameter_gradient = reals(t.parameters);
    if (shape->noise) add_noise(shape, images, &t);
    return t;
}

static void trial_free(trial *t)
{
    bnn_real *all[] = {t->in[0],  t->in[1],           t->parameter,      t->out_gradient,
                       t->out,    t->in_gradient[0],  t->in_gradient[1], t->parameter_gradient,
                       t->spread, t->spread_gradient, t->in_noise,       t->out_noise};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

/* The rows that run() has run. */
static const bnn_kernel *tested[64];
static size_t tested_count;

static bool is_tested(const bnn_kernel *kernel)
{
    for (size_t i = 0; i < tested_count; i++)
        if (tested[i] == kernel) return true;
    return false;
}

/* Part by part, the last first: no part may rely on another. */
static void pack_in_parts(const bnn_kernel *kernel, const bnn_kernel_shape *shape, const bnn_real *parameter,
                          size_t weights, bnn_real *packed)
{
    const size_t parts = (shape->out.channels + BNN_CHANNEL_UNIT - 1) / BNN_CHANNEL_UNIT;
    for (size_t part = parts; part-- > 0;) {
        const size_t from = part * BNN_CHANNEL_UNIT, left = shape->out.channels - from;
        kernel->pack(shape, parameter, parameter + weights, from,
                     from + (left < BNN_CHANNEL_UNIT ? left : BNN_CHANNEL_UNIT), packed);
    }
}

static void unpack(const bnn_kernel *kernel, const bnn_kernel_shape *shape, bnn_real *packed, size_t weights,
                   bnn_real *gradient)
{
    if (kernel->unpack_gradient)
        kernel->unpack_gradient(shape, packed, gradient, gradient + weights);
    else
        memcpy(gradient, packed, bnn_kernel_packed_count(kernel, shape) * sizeof *gradient);
}

/* A unit of one block in `parts` blocks. Outputs and gradients start as garbage, as in a reused workspace, and what
 * works in place is not aligned. */
static void run(const bnn_kernel *kernel, const bnn_kernel_shape *shape, trial *t, size_t images,
                size_t parts, bool backward)
{
    const size_t block = (images + parts - 1) / parts, packed_count = bnn_kernel_packed_count(kernel, shape);
    const size_t shift = kernel->pack ? 0 : 1;
    bnn_real *packed = garbage(shift + packed_count) + shift;
    bnn_real *packed_gradient = garbage(shift + packed_count) + shift;
    bnn_real *saved = garbage(bnn_kernel_saved_count(kernel, shape, block));
    bnn_real *scratch = garbage(bnn_kernel_scratch_count(kernel, shape, block));
    bnn_real *gradient = reals(t->out_count);
    const size_t spread_count = shape->noise ? packed_count : 0, samples = t->samples ? t->samples : 1;
    bnn_real *noise = garbage(samples * bnn_out_noise_count(shape));
    bnn_real *spread = garbage(spread_count), *spread_gradient = garbage(spread_count);
    if (!is_tested(kernel)) tested[tested_count++] = kernel;
    memcpy(gradient, t->out_gradient, t->out_count * sizeof *gradient);
    memset(t->out, 0x5a, t->out_count * sizeof *t->out);
    for (size_t i = 0; i < 2; i++) memset(t->in_gradient[i], 0x5a, t->in_count * sizeof(bnn_real));
    if (kernel->pack)
        pack_in_parts(kernel, shape, t->parameter, t->weights, packed);
    else
        memcpy(packed, t->parameter, packed_count * sizeof *packed);
    if (shape->noise) pack_in_parts(kernel, shape, t->spread, t->weights, spread);
    for (size_t first = 0; first < images; first += block) {
        const size_t n = images - first < block ? images - first : block;
        const size_t in = first / samples * bnn_activation_count(&shape->in),
                     out = first * bnn_activation_count(&shape->out);
        giver given = {.to = noise, .count = bnn_out_noise_count(shape), .pairs = t->pairs};
        if (shape->noise) given.from = t->out_noise + first * given.count;
        const bnn_pass pass = {
            .images = n,
            .samples = t->samples,
            .draw = t->drawn ? give_noise : NULL,
            .context = &given,
            .pairs = t->pairs,
            .packed = packed,
            .in = {t->in[0] + in, t->in[1] + in},
            .out = t->out + out,
            .saved = backward ? saved : NULL,
            .scratch = scratch,
            .out_gradient = gradient + out,
            .in_gradient = {samples > 1 ? NULL : t->in_gradient[0] + in, t->in_gradient[1] + in},
            .packed_gradient = packed_gradient,
            .spread = spread,
            .spread_gradient = spread_gradient,
            .in_noise = shape->noise ? t->in_noise + first * bnn_in_noise_count(shape) : NULL,
            .out_noise = t->drawn       ? noise
                         : shape->noise ? given.from
                                        : NULL,
            .add = first > 0};
        kernel->forward(shape, &pass);
        if (backward) kernel->backward(shape, &pass);
    }
    if (backward) unpack(kernel, shape, packed_gradient, t->weights, t->parameter_gradient);
    if (shape->noise) unpack(kernel, shape, spread_gradient, t->weights, t->spread_gradient);
    free(noise);
    free(spread);
    free(spread_gradient);
    free(gradient);
    free(scratch);
    free(saved);
    free(packed_gradient - shift);
    free(packed - shift);
}

/* Whether output (n, y, x, o) is decided by a clear margin, given the values before ReLU and pooling. */
static bool is_clear(const bnn_kernel_shape *shape, const bnn_activation *plain, const bnn_real *values,
                     size_t n, size_t y, size_t x, size_t o)
{
    const size_t window = shape->pool ? 2 : 1;
    double most = -INFINITY, second = shape->relu ? 0 : -INFINITY;
    for (size_t v = 0; v < window * window; v++) {
        const double value =
            (double)values[at(plain, n, o, y * window + v / window, x * window + v % window)];
        if (value > most) {
            second = fmax(most, second);
            most = value;
        } else
            second = fmax(second, value);
    }
    return fabs(most - second) > NEAR_TIE && (!shape->relu || fabs(most) > NEAR_TIE);
}

/* The shape before ReLU, pooling and noise. */
static bnn_kernel_shape plain_of(const bnn_kernel_shape *shape)
{
    bnn_kernel_shape plain = *shape;
    plain.relu = plain.pool = false;
    plain.noise = BNN_NOISE_NONE;
    plain.out.height = plain.in.height;
    plain.out.width = plain.in.width;
    return plain;
}

/* Removes the gradient of outputs that rounding could decide either way, given the values before ReLU and pooling. */
static void clear_undecided(const bnn_kernel_shape *shape, const bnn_real *values, trial *t, size_t images)
{
    const bnn_activation *out = &shape->out;
    const bnn_kernel_shape plain = plain_of(shape);
    for (size_t i = 0; i < images * out->height * out->width * out->channels; i++) {
        const size_t o = i % out->channels, pixel = i / out->channels, row = pixel / out->width;
        const size_t n = row / out->height, y = row % out->height, x = pixel % out->width;
        if (!is_clear(shape, &plain.out, values, n, y, x, o)) t->out_gradient[at(out, n, o, y, x)] = 0;
    }
}

static void clear_near_ties(const bnn_kernel_shape *shape, trial *t, size_t images)
{
    const bnn_kernel *naive = bnn_kernel_named(bnn_conv_kernels, shape, "conv-naive");
    const bnn_kernel_shape plain = plain_of(shape);
    bnn_real *values = reals(images * bnn_activation_count(&plain.out));
    naive->forward(&plain,
                   &(bnn_pass){.images = images, .packed = t->parameter, .in = {t->in[0]}, .out = values});
    clear_undecided(shape, values, t, images);
    free(values);
}

/* Rounding is relative to the largest of the n figures or, where that is more, to their usual size: a sum of normals may
 * come out small by chance. */
static void assert_same(const char *what, const char *which, const bnn_real *found, const bnn_real *expected,
                        size_t n, double usual)
{
    const double of_winograd = strstr(which, "normals") ? NORMALS_TOLERANCE : WINOGRAD_TOLERANCE;
    const double tolerance = strncmp(which, "winograd", 8) == 0 ? of_winograd : TOLERANCE;
    double scale = usual;
    for (size_t i = 0; i < n; i++) scale = fmax(scale, fabs((double)expected[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)found[i] - (double)expected[i]) <= tolerance * scale))
            fail_msg("%s: %s[%zu] is %.9g, expected %.9g (scale %.3g)", which, what, i, (double)found[i],
                     (double)expected[i], scale);
}

/* Runs a kernel on a trial and compares all that it writes. */
static void compare_with(const bnn_kernel *kernel, const bnn_kernel_shape *shape, const trial *expected,
                         trial *found, size_t images, size_t parts)
{
    const double terms = sqrt((double)(images * shape->out.height * shape->out.width)); /* N(0, 1) each */
    const char *which = describe(shape, kernel->name, images);
    run(kernel, shape, found, images, parts, true);
    assert_same("out", which, found->out, expected->out, found->out_count, 1e-3);
    assert_same("in_gradient", which, found->in_gradient[0], expected->in_gradient[0], found->in_count, 1e-3);
    assert_same("weight_gradient", which, found->parameter_gradient, expected->parameter_gradient,
                found->weights, terms);
    assert_same("bias_gradient", which, found->parameter_gradient + found->weights,
                expected->parameter_gradient + found->weights, found->parameters - found->weights, terms);
    run(kernel, shape, found, images, parts, false);
    assert_same("out without saved", which, found->out, expected->out, found->out_count, 1e-3);
}

static void compare_all(const bnn_kernel_shape *shape, size_t images, size_t parts)
{
    const bnn_kernel *naive = bnn_kernel_named(bnn_conv_kernels, shape, "conv-naive");
    trial expected = trial_of(shape, images), found = trial_of(shape, images);
    clear_near_ties(shape, &expected, images);
    memcpy(found.out_gradient, expected.out_gradient, found.out_count * sizeof *found.out_gradient);
    run(naive, shape, &expected, images, 1, true);
    for (const bnn_kernel *const *kernel = bnn_conv_kernels; *kernel; kernel++)
        if (*kernel != naive && bnn_kernel_fits(*kernel, shape))
            compare_with(*kernel, shape, &expected, &found, images, parts);
    trial_free(&expected);
    trial_free(&found);
}

static const bnn_layout layouts[] = {BNN_LAYOUT_PLANAR, BNN_LAYOUT_CHANNELS_LAST};

/* Channels by channels by sizes, with the flags and the number of images taking turns; large ones on few
 * images. */
static void odd_shapes(void **state)
{
    static const size_t channels[] = {1, 3, 5, 33}, batches[] = {17, 3, 1};
    static const size_t sizes[][2] = {{7, 7}, {9, 9}, {14, 14}, {28, 28}, {9, 14}, {14, 7}};
    unsigned turn = 0;
    (void)state;
    for (size_t l = 0; l < 2; l++)
        for (size_t i = 0; i < 4; i++)
            for (size_t o = 0; o < 4; o++)
                for (size_t s = 0; s < 6; s++, turn++) {
                    const size_t work = channels[i] * channels[o] * sizes[s][0] * sizes[s][1];
                    size_t images = batches[turn % 3];
                    if (work * images > 100000) images = work > 50000 ? 1 : 3;
                    const bnn_kernel_shape shape = conv_shape(layouts[l], channels[i], channels[o],
                                                              sizes[s][0], sizes[s][1], 3, turn * 5 % 8);
                    compare_all(&shape, images, images == 17 ? 3 : 1);
                }
}

/* More kernels than are packed, or unpacked, at a time. */
static void many_channels(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags < 8; flags++) {
        const bnn_kernel_shape many = conv_shape(BNN_LAYOUT_CHANNELS_LAST, 70, 70, 4, 4, 3, flags);
        compare_all(&many, 2, 1);
    }
}

static void every_flag(void **state)
{
    (void)state;
    for (size_t l = 0; l < 2; l++)
        for (unsigned flags = 0; flags < 8; flags++) {
            const bnn_kernel_shape wide = conv_shape(layouts[l], 4, 20, 11, 10, 3, flags);
            const bnn_kernel_shape small = conv_shape(layouts[l], 6, 3, 2, 3, 3, flags);
            compare_all(&wide, 3, 2);
            compare_all(&small, 3, 1);
        }
}

static void other_kernels(void **state)
{
    (void)state;
    for (size_t l = 0; l < 2; l++)
        for (unsigned flags = 0; flags < 8; flags++) {
            const bnn_kernel_shape one = conv_shape(layouts[l], 5, 7, 6, 5, 1, flags);
            const bnn_kernel_shape five = conv_shape(layouts[l], 3, 6, 7, 6, 5, flags);
            const bnn_kernel_shape beyond = conv_shape(layouts[l], 2, 3, 2, 2, 7, flags);
            compare_all(&one, 3, 1);
            compare_all(&five, 3, 1);
            compare_all(&beyond, 2, 1);
        }
}

/* ---- noise ---------------------------------------------------------------------------------------------- */

/* Where output (n, o, y, x) takes its value from, and whether ReLU lets it through: by the definition of both. */
static size_t winner(const bnn_kernel_shape *shape, const bnn_real *values, size_t n, size_t o, size_t y,
                     size_t x, bool *alive)
{
    const size_t window = shape->pool ? 2 : 1;
    const bnn_kernel_shape plain = plain_of(shape);
    size_t best = at(&plain.out, n, o, y * window, x * window);
    for (size_t v = 1; v < window * window; v++) {
        const size_t other = at(&plain.out, n, o, y * window + v / 2, x * window + v % 2);
        if (values[other] > values[best]) best = other;
    }
    *alive = !shape->relu || values[best] > 0;
    return best;
}

/* The noise of element (c, pixel) of an activation, of image n. */
static double noise_at(const bnn_kernel_shape *shape, const trial *t, bool of_input, size_t n, size_t c,
                       size_t i, double b)
{
    if (shape->noise == BNN_NOISE_NORMALS) return (double)t->out_noise[i] * sqrt(b);
    return of_input ? (double)t->in_noise[n * bnn_in_noise_count(shape) + c]
                    : (double)t->out_noise[n * bnn_out_noise_count(shape) + c] * b;
}

/* One sum of the gradient, of A or of B, by plain loops. */
static void naive_backward(const bnn_kernel_shape *shape, const bnn_real *weights, const bnn_real *in,
                           bnn_real *gradient, size_t images, bnn_real *in_gradient,
                           bnn_real *weight_gradient)
{
    const bnn_kernel *naive = bnn_kernel_named(bnn_conv_kernels, shape, "conv-naive");
    bnn_real *saved = reals(bnn_kernel_saved_count(naive, shape, images)),
             *scratch = reals(bnn_kernel_scratch_count(naive, shape, images)),
             *out = reals(images * bnn_activation_count(&shape->out));
    const bnn_pass pass = {.images = images,
                           .packed = weights,
                           .in = {in},
                           .out = out,
                           .saved = saved,
                           .scratch = scratch,
                           .out_gradient = gradient,
                           .in_gradient = {in_gradient},
                           .packed_gradient = weight_gradient};
    naive->forward(shape, &pass);
    naive->backward(shape, &pass);
    free(out), free(scratch), free(saved);
}

/* All that a kernel with noise writes, by the definition in kernel.h, with the sums by plain loops. */
static void run_noise_naive(const bnn_kernel_shape *shape, trial *t, size_t images)
{
    const bnn_kernel_shape plain = plain_of(shape);
    const bnn_kernel *naive = bnn_kernel_named(bnn_conv_kernels, &plain, "conv-naive");
    const bnn_activation *in = &shape->in, *sums = &plain.out, *out = &shape->out;
    const size_t count = images * bnn_activation_count(sums);
    const bool normal = shape->noise == BNN_NOISE_NORMALS;
    bnn_real *phi = reals(t->in_count), *phi_gradient = reals(t->in_count), *b = reals(count),
             *values = reals(count), *gradient = reals(count), *b_gradient = reals(count);
    for (size_t i = 0; i < images * in->channels * in->height * in->width; i++) {
        const size_t x = i % in->width, y = i / in->width % in->height,
                     c = i / in->width / in->height % in->channels,
                     n = i / in->width / in->height / in->channels, j = at(in, n, c, y, x);
        phi[j] = t->in[0][j] * (normal ? t->in[0][j] : (bnn_real)noise_at(shape, t, true, n, c, 0, 0));
    }
    naive->forward(&plain,
                   &(bnn_pass){.images = images, .packed = t->parameter, .in = {t->in[0]}, .out = values});
    naive->forward(&plain, &(bnn_pass){.images = images, .packed = t->spread, .in = {phi}, .out = b});
    const size_t stride = bnn_channel_stride(sums->channels);
    for (size_t i = 0; i < count; i++)
        if (i % stride < sums->channels)
            values[i] += (bnn_real)noise_at(shape, t, false, i / bnn_activation_count(sums), i % stride, i,
                                            (double)b[i]);
    clear_undecided(shape, values, t, images);
    memset(t->out, 0, t->out_count * sizeof *t->out);
    for (size_t i = 0; i < images * out->channels * out->height * out->width; i++) {
        const size_t x = i % out->width, y = i / out->width % out->height,
                     o = i / out->width / out->height % out->channels,
                     n = i / out->width / out->height / out->channels, j = at(out, n, o, y, x);
        bool alive;
        const size_t from = winner(shape, values, n, o, y, x, &alive);
        t->out[j] = alive ? values[from] : 0;
        gradient[from] = alive ? t->out_gradient[j] : 0;
        if (normal && b[from] == 0) continue; /* no weight nor input has a part in it */
        b_gradient[from] =
            gradient[from] * (normal ? t->out_noise[from] / (2 * (bnn_real)sqrt((double)b[from]))
                                     : (bnn_real)noise_at(shape, t, false, n, o, from, 1));
    }
    naive_backward(&plain, t->parameter, t->in[0], gradient, images, t->in_gradient[0],
                   t->parameter_gradient);
    naive_backward(&plain, t->spread, phi, b_gradient, images, phi_gradient, t->spread_gradient);
    for (size_t j = 0; j < t->in_count; j++)
        if (t->in[0][j] != 0)
            t->in_gradient[0][j] += phi_gradient[j] * (normal ? 2 * t->in[0][j] : phi[j] / t->in[0][j]);
    free(b_gradient), free(gradient), free(values), free(b), free(phi_gradient), free(phi);
}

/* `samples` of each input; by kernels that ask for their noise where it is `drawn`, of every second sample if `pairs`. */
static void compare_noise(const bnn_kernel_shape *shape, size_t images, size_t parts, size_t samples,
                          bool drawn, bool pairs)
{
    trial expected = trial_of(shape, images), found = trial_of(shape, images);
    const double terms = sqrt((double)(images * shape->out.height * shape->out.width));
    const size_t in_count = bnn_activation_count(&shape->in);
    found.samples = samples;
    found.drawn = drawn;
    found.pairs = pairs;
    for (size_t n = 0, count = bnn_out_noise_count(shape); pairs && n < images; n++)
        for (size_t j = 0; n % samples % 2 && j < count; j++)
            expected.out_noise[n * count + j] = -expected.out_noise[(n - 1) * count + j];
    for (size_t n = 0; n < images; n++)
        memcpy(expected.in[0] + n * in_count, found.in[0] + n / samples * in_count,
               in_count * sizeof(bnn_real));
    run_noise_naive(shape, &expected, images);
    memcpy(found.out_gradient, expected.out_gradient, found.out_count * sizeof *found.out_gradient);
    for (const bnn_kernel *const *kernel = bnn_conv_kernels; *kernel; kernel++) {
        if (!bnn_kernel_fits(*kernel, shape)) continue;
        const char *which = describe(shape, (*kernel)->name, images);
        run(*kernel, shape, &found, images, parts, true);
        assert_same("out", which, found.out, expected.out, found.out_count, 1e-3);
        if (samples == 1)
            assert_same("in_gradient", which, found.in_gradient[0], expected.in_gradient[0], found.in_count,
                        1e-3);
        assert_same("weight_gradient", which, found.parameter_gradient, expected.parameter_gradient,
                    found.weights, terms);
        assert_same("bias_gradient", which, found.parameter_gradient + found.weights,
                    expected.parameter_gradient + found.weights, found.parameters - found.weights, terms);
        assert_same("spread_gradient", which, found.spread_gradient, expected.spread_gradient, found.weights,
                    terms);
        assert_same("spread_bias_gradient", which, found.spread_gradient + found.weights,
                    expected.spread_gradient + found.weights, found.parameters - found.weights, terms);
    }
    trial_free(&expected);
    trial_free(&found);
}

/* Pixels without light next to bright ones, and biases without noise: B is 0 where a fast algorithm finds rounding, of either
 * sign, and its root has no slope. */
static void dark_pixels(void **state)
{
    (void)state;
    for (size_t l = 0; l < 2; l++) {
        bnn_kernel_shape shape = conv_shape(layouts[l], 4, 16, 14, 14, 3, 0);
        shape.noise = BNN_NOISE_NORMALS;
        trial expected = trial_of(&shape, 1), found = trial_of(&shape, 1);
        for (size_t c = 0; c < 4; c++)
            for (size_t p = 0; p < 14 * 14; p++) {
                const size_t j = at(&shape.in, 0, c, p / 14, p % 14);
                expected.in[0][j] = found.in[0][j] = p % 14 < 4 ? 10 * found.in[0][j] : 0;
            }
        for (size_t j = found.weights; j < found.parameters; j++) expected.spread[j] = found.spread[j] = 0;
        run_noise_naive(&shape, &expected, 1);
        memcpy(found.out_gradient, expected.out_gradient, found.out_count * sizeof *found.out_gradient);
        for (const bnn_kernel *const *kernel = bnn_conv_kernels; *kernel; kernel++) {
            double largest = 0, size = 0;
            if (!bnn_kernel_fits(*kernel, &shape)) continue;
            run(*kernel, &shape, &found, 1, 1, true);
            for (size_t j = 0; j < found.out_count; j++)
                largest = fmax(largest, fabs((double)expected.out[j]));
            for (size_t j = 0; j < found.out_count; j++)
                assert_true(fabs((double)(found.out[j] - expected.out[j])) < 2e-3 * largest);
            for (size_t j = 0; j < found.weights; j++)
                size = fmax(size, fabs((double)expected.spread_gradient[j]));
            for (size_t j = 0; j < found.weights; j++)
                assert_true(fabs((double)(found.spread_gradient[j] - expected.spread_gradient[j])) <
                            2e-3 * size);
        }
        trial_free(&expected);
        trial_free(&found);
    }
}

static void noise(void **state)
{
    static const size_t channels[] = {1, 3, 5, 33}, sizes[][2] = {{7, 7}, {9, 14}, {14, 7}, {2, 3}};
    static const bnn_noise rules[] = {BNN_NOISE_SIGNS, BNN_NOISE_NORMALS};
    unsigned turn = 0;
    (void)state;
    for (size_t r = 0; r < 2; r++)
        for (size_t l = 0; l < 2; l++)
            for (size_t i = 0; i < 4; i++)
                for (size_t o = 0; o < 4; o++)
                    for (size_t s = 0; s < 4; s++, turn++) {
                        bnn_kernel_shape shape = conv_shape(layouts[l], channels[i], channels[o], sizes[s][0],
                                                            sizes[s][1], 3, turn * 5 % 8);
                        shape.noise = rules[r];
                        compare_noise(&shape, 3, 1 + turn % 2, 1, r > 0 && turn % 3 == 0, false);
                    }
    for (size_t i = 0; i < 2; i++) /* samples share planar inputs */
        for (size_t o = 0; o < 4; o++)
            for (size_t s = 0; s < 4; s++, turn++) {
                bnn_kernel_shape shape = conv_shape(layouts[0], channels[i], channels[o], sizes[s][0],
                                                    sizes[s][1], 3, turn * 5 % 8);
                shape.noise = BNN_NOISE_NORMALS;
                compare_noise(&shape, 6, 1 + turn % 2, 3, turn % 3 > 0, turn % 3 > 1);
            }
    for (size_t r = 0; r < 2; r++) { /* no other kernel takes them */
        bnn_kernel_shape shape = conv_shape(BNN_LAYOUT_CHANNELS_LAST, 8, 8, 8, 8, 3, 3);
        shape.noise = rules[r];
        assert_non_null(bnn_kernel_of_set(bnn_conv_kernels, &shape, "portable"));
        assert_null(bnn_kernel_of_set(bnn_conv_kernels, &shape, "blas"));
        assert_null(bnn_kernel_of_set(bnn_conv_kernels, &shape, "naive"));
        shape.kernel = 5;
        assert_null(bnn_kernel_of_set(bnn_conv_kernels, &shape, NULL));
    }
}

static bnn_kernel_shape dense_shape(bnn_layout layout, size_t inputs, size_t outputs, bool relu)
{
    const size_t side = layout == BNN_LAYOUT_FLAT ? 1 : 2;
    return (bnn_kernel_shape){.in = {layout, inputs / (side * side), side, side},
                              .out = {BNN_LAYOUT_FLAT, outputs, 1, 1},
                              .relu = relu};
}

/* Copies a block between a layout and (images, C * H * W). */
static void reorder(const bnn_activation *a, size_t images, bnn_real *block, bnn_real *planar, bool back)
{
    const bnn_activation order = {BNN_LAYOUT_PLANAR, a->channels, a->height, a->width};
    const size_t pixels = a->height * a->width;
    for (size_t i = 0; i < images * a->channels * pixels; i++) {
        const size_t n = i / pixels / a->channels, c = i / pixels % a->channels, y = i % pixels / a->width,
                     x = i % a->width;
        if (back)
            block[at(a, n, c, y, x)] = planar[at(&order, n, c, y, x)];
        else
            planar[at(&order, n, c, y, x)] = block[at(a, n, c, y, x)];
    }
}

/* One dense layer by three loops: what run() does with a kernel. */
static void run_dense_naive(const bnn_kernel_shape *shape, trial *t, size_t images)
{
    const size_t outputs = shape->out.channels, inputs = t->weights / outputs;
    bnn_real *gradient = reals(t->out_count), *in = reals(images * inputs),
             *in_gradient = reals(images * inputs);
    bnn_real *bias = t->parameter + t->weights, *bias_gradient = t->parameter_gradient + t->weights;
    reorder(&shape->in, images, t->in[0], in, false);
    bnn_gemm_naive(false, true, images, outputs, inputs, 1, in, inputs, t->parameter, inputs, 0, t->out,
                   outputs);
    memset(bias_gradient, 0, outputs * sizeof *bias_gradient);
    for (size_t i = 0; i < t->out_count; i++) {
        t->out[i] += bias[i % outputs];
        const bool alive = !shape->relu || t->out[i] > 0;
        if (!alive) t->out[i] = 0;
        gradient[i] = alive ? t->out_gradient[i] : 0;
        bias_gradient[i % outputs] += gradient[i];
    }
    bnn_gemm_naive(true, false, outputs, inputs, images, 1, gradient, outputs, in, inputs, 0,
                   t->parameter_gradient, inputs);
    bnn_gemm_naive(false, false, images, inputs, outputs, 1, gradient, outputs, t->parameter, inputs, 0,
                   in_gradient, inputs);
    memset(t->in_gradient[0], 0, t->in_count * sizeof *in_gradient);
    reorder(&shape->in, images, t->in_gradient[0], in_gradient, true);
    free(in_gradient);
    free(in);
    free(gradient);
}

static void dense_layers(void **state)
{
    static const bnn_layout in[] = {BNN_LAYOUT_PLANAR, BNN_LAYOUT_FLAT, BNN_LAYOUT_CHANNELS_LAST};
    static const size_t inputs[] = {16, 20, 48, 144}, outputs[] = {1, 3, 10, 33}, batches[] = {1, 3, 17, 128};
    (void)state;
    for (unsigned i = 0; i < 3 * 4 * 4 * 4; i++) {
        const bnn_kernel_shape shape =
            dense_shape(in[i % 3], inputs[i / 3 % 4], outputs[i / 12 % 4], i % 5 > 0);
        const size_t images = batches[i / 48];
        trial expected = trial_of(&shape, images), found = trial_of(&shape, images);
        run_dense_naive(&shape, &expected, images);
        for (const bnn_kernel *const *kernel = bnn_dense_kernels; *kernel; kernel++)
            if (bnn_kernel_fits(*kernel, &shape))
                compare_with(*kernel, &shape, &expected, &found, images, images == 17 ? 3 : 1);
        trial_free(&expected);
        trial_free(&found);
    }
}

/* ---- what needs no weights ------------------------------------------------------------------------------ */

/* The window (n, c, y, x) of a max-pool: its first largest value. */
static size_t largest_of(const bnn_activation *a, const bnn_real *in, size_t n, size_t c, size_t y, size_t x)
{
    size_t best = at(a, n, c, 2 * y, 2 * x);
    for (size_t v = 1; v < 4; v++) {
        const size_t other = at(a, n, c, 2 * y + v / 2, 2 * x + v % 2);
        if (in[other] > in[best]) best = other;
    }
    return best;
}

/* out and in_gradient by the definition of each type, over channels and pixels of the inputs or, of a pool, of the outputs. */
static void define(const bnn_layer_type *type, const bnn_kernel_shape *shape, trial *t, size_t images)
{
    const bnn_activation *over = type == &bnn_layer_max_pool ? &shape->out : &shape->in;
    const double pixels = (double)(shape->in.height * shape->in.width);
    memset(t->out, 0, t->out_count * sizeof(bnn_real));
    for (size_t i = 0; i < 2; i++) memset(t->in_gradient[i], 0, t->in_count * sizeof(bnn_real));
    for (size_t i = 0; i < images * over->channels * over->height * over->width; i++) {
        const size_t x = i % over->width, y = i / over->width % over->height,
                     c = i / over->width / over->height % over->channels,
                     n = i / over->width / over->height / over->channels, j = at(over, n, c, y, x);
        if (type == &bnn_layer_relu) {
            t->out[j] = t->in[0][j] > 0 ? t->in[0][j] : 0;
            t->in_gradient[0][j] = t->in[0][j] > 0 ? t->out_gradient[j] : 0;
        } else if (type == &bnn_layer_sum) {
            t->out[j] = t->in[0][j] + t->in[1][j];
            t->in_gradient[0][j] = t->in_gradient[1][j] = t->out_gradient[j];
        } else if (type == &bnn_layer_max_pool) {
            const size_t from = largest_of(&shape->in, t->in[0], n, c, y, x);
            t->out[j] = t->in[0][from];
            t->in_gradient[0][from] = t->out_gradient[j];
        } else if (type == &bnn_layer_mean) {
            t->out[n * over->channels + c] += (bnn_real)((double)t->in[0][j] / pixels);
            t->in_gradient[0][j] = (bnn_real)((double)t->out_gradient[n * over->channels + c] / pixels);
        } else
            fail_msg("%s: no definition here", type->row.name);
    }
}

/* What a type makes of its input. */
static bnn_kernel_shape shape_of(const bnn_layer_type *type, bnn_activation in)
{
    bnn_kernel_shape shape = {.in = in, .out = in};
    if (type == &bnn_layer_max_pool) shape.out.height /= 2, shape.out.width /= 2;
    if (type == &bnn_layer_mean) shape.out = (bnn_activation){BNN_LAYOUT_FLAT, in.channels, 1, 1};
    return shape;
}

static void without_weights(void **state)
{
    static const bnn_layer_type *const types[] = {&bnn_layer_relu, &bnn_layer_max_pool, &bnn_layer_mean,
                                                  &bnn_layer_sum};
    static const size_t channels[] = {1, 3, 16, 33}, sizes[][2] = {{2, 2}, {7, 4}, {5, 9}, {8, 8}};
    (void)state;
    for (unsigned i = 0; i < 4 * 2 * 4 * 4 * 2; i++) {
        const bnn_layer_type *type = types[i / 2 % 4];
        const bnn_activation in = {layouts[i / 8 % 2], channels[i / 16 % 4], sizes[i / 64][0],
                                   sizes[i / 64][1]};
        const bnn_kernel_shape shape = shape_of(type, in);
        const size_t images = i % 3 ? 3 : 1;
        if (type == &bnn_layer_mean && in.layout == BNN_LAYOUT_PLANAR) continue;
        trial expected = trial_of(&shape, images), found = trial_of(&shape, images);
        for (size_t j = 0; i % 2 == 0 && j < found.in_count; j++) /* with zeros, and equals in a window */
            expected.in[0][j] = found.in[0][j] = (bnn_real)rint((double)found.in[0][j]);
        define(type, &shape, &expected, images);
        for (const bnn_kernel *const *kernel = type->kernels; *kernel; kernel++) {
            const char *which = describe(&shape, (*kernel)->name, images);
            run(*kernel, &shape, &found, images, images, true);
            assert_same("out", which, found.out, expected.out, found.out_count, 1e-3);
            for (size_t k = 0; k < type->inputs; k++)
                assert_same("in_gradient", which, found.in_gradient[k], expected.in_gradient[k],
                            found.in_count, 1e-3);
        }
        trial_free(&expected);
        trial_free(&found);
    }
}

/* With all weights zero every value of a window is the bias: the first of them takes the gradient when the
 * bias is positive, none when it is zero or negative. */
static void ties_go_to_the_first(void **state)
{
    (void)state;
    for (size_t l = 0; l < 2; l++) {
        const bnn_kernel_shape shape = conv_shape(layouts[l], 4, 3, 8, 8, 3, 3);
        for (const bnn_kernel *const *kernel = bnn_conv_kernels; *kernel; kernel++) {
            if (!bnn_kernel_fits(*kernel, &shape)) continue;
            trial t = trial_of(&shape, 1);
            memset(t.parameter, 0, t.weights * sizeof *t.parameter);
            memset(t.in[0], 0, t.in_count * sizeof *t.in[0]);
            t.in[0][at(&shape.in, 0, 0, 2, 4)] = 1; /* the first of its window, (1, 2) of the pooled image */
            bnn_real *bias = t.parameter + t.weights, *bias_gradient = t.parameter_gradient + t.weights;
            bias[0] = 2, bias[1] = 0, bias[2] = -1;
            run(*kernel, &shape, &t, 1, 1, true);
            const bnn_real g = t.out_gradient[at(&shape.out, 0, 0, 1, 2)];
            assert_close(t.parameter_gradient[4], g, TOLERANCE, 1); /* the centre tap sees that pixel */
            for (size_t o = 1; o < 3; o++) assert_close(t.parameter_gradient[o * 4 * 9 + 4], 0, TOLERANCE, 1);
            assert_true(t.out[0] == 2 && t.out[1] == 0 && t.out[2] == 0);
            assert_true(bias_gradient[1] == 0 && bias_gradient[2] == 0);
            trial_free(&t);
        }
    }
}

/* A NaN among the weights must reach the output: training stops on a non-finite loss. */
static void not_a_number_is_kept(void **state)
{
    (void)state;
    for (size_t l = 0; l < 2; l++) {
        const bnn_kernel_shape shape = conv_shape(layouts[l], 4, 3, 8, 8, 3, 3);
        for (const bnn_kernel *const *kernel = bnn_conv_kernels; *kernel; kernel++) {
            if (!bnn_kernel_fits(*kernel, &shape)) continue;
            trial t = trial_of(&shape, 1);
            t.parameter[4] = (bnn_real)NAN;
            run(*kernel, &shape, &t, 1, 1, true);
            assert_true(isnan(t.out[0]));
            trial_free(&t);
        }
    }
    for (size_t i = 0; bnn_layer_types[i]; i++) { /* and where there are no weights, one among the inputs */
        const bnn_activation in = {BNN_LAYOUT_CHANNELS_LAST, 2, 4, 4};
        const bnn_kernel_shape shape = shape_of(bnn_layer_types[i], in);
        if (bnn_layer_types[i]->initial) continue;
        for (size_t pixel = 0; pixel < 4; pixel++) {
            trial t = trial_of(&shape, 1);
            t.in[0][at(&in, 0, 0, pixel / 2, pixel % 2)] = (bnn_real)NAN;
            run(bnn_layer_types[i]->kernels[0], &shape, &t, 1, 1, true);
            const size_t y = shape.out.height == 4 ? pixel / 2 : 0, x = shape.out.height == 4 ? pixel % 2 : 0;
            assert_true(isnan(t.out[at(&shape.out, 0, 0, y, x)]));
            trial_free(&t);
        }
    }
}

/* C (m, n) <- or += A B with A by rows or by columns and B in panels, against three loops. */
static void compare_product(void (*multiply)(const bnn_product *), size_t panel, size_t m, size_t vectors,
                            size_t k, bool transpose, bool add)
{
    const size_t n = vectors * panel / 2, panels = (vectors + 1) / 2;
    bnn_real *a = normals(m * k, 1, 1), *b = reals(k * panels * panel), *plain = normals(k * n, 1, 2);
    bnn_real *found = normals(m * n, 1, 3), *expected = normals(m * n, 1, 3);
    for (size_t i = 0; i < k * n; i++)
        b[i % n / panel * (k * panel) + i / n * panel + i % n % panel] = plain[i];
    const bnn_product product = {m,         n,     k, a,  transpose ? 1 : k, transpose ? m : 1, b, panel,
                                 k * panel, found, n, add};
    multiply(&product);
    bnn_gemm_naive(transpose, false, m, n, k, 1, a, transpose ? m : k, plain, n, add, expected, n);
    assert_same("product", "multiply", found, expected, m * n, 1e-3);
    free(expected), free(found), free(plain), free(b), free(a);
}

static void products(void **state)
{
    (void)state;
#define COMPARE(isa)                                                                                         \
    for (size_t i = 0; bnn_runs_here_##isa() && i < 4 * 32; i++)                                             \
        compare_product(bnn_multiply_##isa, bnn_panel_##isa, 1 + i / 4, 1 + i % 5, i % 8, i & 1, i & 2);
    BNN_EACH_ISA(COMPARE)
#undef COMPARE
}

/* A name is a name: it never gives another kernel. A set gives its own or nothing. */
static void names(void **state)
{
    const bnn_kernel_shape three = conv_shape(BNN_LAYOUT_CHANNELS_LAST, 8, 8, 8, 8, 3, 3);
    const bnn_kernel_shape five = conv_shape(BNN_LAYOUT_CHANNELS_LAST, 8, 8, 8, 8, 5, 3);
    (void)state;
    assert_string_equal(bnn_kernel_named(bnn_conv_kernels, &three, "winograd-portable")->name,
                        "winograd-portable");
    assert_string_equal(bnn_kernel_named(bnn_conv_kernels, &five, "conv-blas")->name, "conv-blas");
    assert_null(bnn_kernel_named(bnn_conv_kernels, &five, "winograd-portable"));
    assert_null(bnn_kernel_named(bnn_conv_kernels, &three, "winograd"));
    assert_null(bnn_kernel_named(bnn_conv_kernels, &three, "portable"));
    assert_null(bnn_kernel_named(bnn_conv_kernels, &three, "dense-portable"));
    assert_string_equal(bnn_kernel_of_set(bnn_conv_kernels, &three, "portable")->name, "winograd-portable");
    assert_null(bnn_kernel_of_set(bnn_conv_kernels, &five, "portable"));
    assert_null(bnn_kernel_of_set(bnn_conv_kernels, &three, "port"));
    assert_string_equal(bnn_kernel_of_set(bnn_conv_kernels, &five, "naive")->name, "conv-naive");
    assert_string_equal(bnn_kernel_of_set(bnn_conv_kernels, &five, NULL)->name, "conv-blas");
}

/* Every row that runs here has been run above, and no two are called alike. */
static void no_row_is_left_out(void **state)
{
    (void)state;
    for (size_t i = 0; bnn_layer_types[i]; i++)
        for (const bnn_kernel *const *kernel = bnn_layer_types[i]->kernels; *kernel; kernel++) {
            if ((*kernel)->runs_here && !(*kernel)->runs_here()) continue;
            if (!is_tested(*kernel)) fail_msg("%s has not been tested", (*kernel)->name);
            for (size_t t = 0; t < tested_count; t++)
                assert_true(tested[t] == *kernel || strcmp(tested[t]->name, (*kernel)->name) != 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(products),
        cmocka_unit_test(odd_shapes),
        cmocka_unit_test(many_channels),
        cmocka_unit_test(every_flag),
        cmocka_unit_test(other_kernels),
        cmocka_unit_test(noise),
        cmocka_unit_test(dark_pixels),
        cmocka_unit_test(dense_layers),
        cmocka_unit_test(without_weights),
        cmocka_unit_test(ties_go_to_the_first),
        cmocka_unit_test(not_a_number_is_kept),
        cmocka_unit_test(no_row_is_left_out),
    };
    bnn_blas_single_thread();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
