/* Every convolution in bnn_layer_ops_list that runs on this processor against the plain loops of "naive", and every dense
 * layer against those of bnn_gemm_naive: outputs and all gradients, over odd shapes; and the properties that hold
 * whatever the numbers are. */
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
#else
#define TOLERANCE 5e-6
#define WINOGRAD_TOLERANCE 2e-5
#endif

/* Where the largest value of a window leads by less than this, rounding may choose another: no gradient
 * there. */
#define NEAR_TIE 1e-3

static bnn_layer conv_layer(bnn_layout layout, size_t in, size_t out, size_t height, size_t width,
                            size_t kernel, unsigned flags)
{
    bnn_layer layer = {.kind = BNN_LAYER_CONV,
                       .in_layout = layout,
                       .in_channels = in,
                       .in_height = height,
                       .in_width = width,
                       .out_channels = out,
                       .out_height = flags & 2 ? height / 2 : height,
                       .out_width = flags & 2 ? width / 2 : width,
                       .kernel = kernel,
                       .relu = flags & 1,
                       .pool = flags & 2,
                       .circular = flags & 4};
    layer.weight_count = out * in * kernel * kernel;
    layer.bias_count = out;
    return layer;
}

static const char *describe(const bnn_layer *layer, const char *ops, size_t images)
{
    static char text[200];
    snprintf(text, sizeof text, "%s %zu %zux%zu -> %zu k%zu%s%s%s%s, %zu images", ops, layer->in_channels,
             layer->in_height, layer->in_width, layer->out_channels, layer->kernel,
             layer->in_layout == BNN_LAYOUT_PLANAR ? " planar" : "", layer->relu ? " relu" : "",
             layer->pool ? " pool" : "", layer->circular ? " circular" : "", images);
    return text;
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

/* Everything one layer reads and writes for one block. */
typedef struct pass {
    size_t in_count, out_count;
    bnn_real *in, *weight, *bias, *out_gradient;
    bnn_real *out, *in_gradient, *weight_gradient, *bias_gradient;
} pass;

static void clear_padding(size_t channels, bnn_real *pixels, size_t count)
{
    const size_t stride = bnn_channel_stride(channels);
    for (size_t i = 0; i < count; i++)
        if (i % stride >= channels) pixels[i] = 0;
}

static pass pass_of(const bnn_layer *layer, size_t images)
{
    pass p = {.in_count = images * bnn_layer_in_count(layer),
              .out_count = images * bnn_layer_out_count(layer)};
    p.in = normals(p.in_count, 1, 1);
    if (layer->in_layout == BNN_LAYOUT_CHANNELS_LAST) clear_padding(layer->in_channels, p.in, p.in_count);
    p.weight =
        normals(layer->weight_count, 1 / sqrt((double)layer->weight_count / (double)layer->out_channels), 2);
    p.bias = normals(layer->bias_count, 0.5, 3);
    p.out_gradient = normals(p.out_count, 1, 4);
    if (layer->kind == BNN_LAYER_CONV) clear_padding(layer->out_channels, p.out_gradient, p.out_count);
    p.out = reals(p.out_count);
    p.in_gradient = reals(p.in_count);
    p.weight_gradient = reals(layer->weight_count);
    p.bias_gradient = reals(layer->bias_count);
    return p;
}

static void pass_free(pass *p)
{
    bnn_real *all[] = {p->in,          p->weight,          p->bias,         p->out_gradient, p->out,
                       p->in_gradient, p->weight_gradient, p->bias_gradient};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

/* A unit of one block in `parts` blocks. Outputs and gradients start as garbage, as in a reused workspace, and what
 * works in place is not aligned. */
static void run(const bnn_layer_ops *ops, const bnn_layer *layer, pass *p, size_t images, size_t parts,
                bool backward)
{
    const size_t block = (images + parts - 1) / parts, packed_count = ops->packed_count(layer);
    const size_t shift = ops->in_place ? 1 : 0;
    bnn_real *packed = garbage(shift + packed_count) + shift;
    bnn_real *packed_gradient = garbage(shift + packed_count) + shift;
    bnn_real *saved = garbage(ops->saved_count(layer, block));
    bnn_real *scratch = garbage(ops->scratch_count(layer, block));
    bnn_real *gradient = reals(p->out_count);
    memcpy(gradient, p->out_gradient, p->out_count * sizeof *gradient);
    memset(p->out, 0x5a, p->out_count * sizeof *p->out);
    memset(p->in_gradient, 0x5a, p->in_count * sizeof *p->in_gradient);
    ops->pack(layer, p->weight, p->bias, packed);
    for (size_t first = 0; first < images; first += block) {
        const size_t n = images - first < block ? images - first : block;
        const size_t in = first * bnn_layer_in_count(layer), out = first * bnn_layer_out_count(layer);
        ops->forward(layer, packed, p->in + in, n, p->out + out, backward ? saved : NULL, scratch);
        if (backward)
            ops->backward(layer, packed, p->in + in, p->out + out, gradient + out, n, p->in_gradient + in,
                          first > 0, packed_gradient, saved, scratch);
    }
    if (backward) ops->unpack_gradient(layer, packed_gradient, p->weight_gradient, p->bias_gradient);
    free(gradient);
    free(scratch);
    free(saved);
    free(packed_gradient - shift);
    free(packed - shift);
}

/* Whether output (n, y, x, o) is decided by a clear margin, given the values before ReLU and pooling. */
static bool is_clear(const bnn_layer *layer, const bnn_real *values, size_t n, size_t y, size_t x, size_t o)
{
    const size_t stride = bnn_channel_stride(layer->out_channels), window = layer->pool ? 2 : 1;
    double most = -INFINITY, second = layer->relu ? 0 : -INFINITY;
    for (size_t v = 0; v < window * window; v++) {
        const size_t row = n * layer->in_height + y * window + v / window, column = x * window + v % window;
        const double value = (double)values[(row * layer->in_width + column) * stride + o];
        if (value > most) {
            second = fmax(most, second);
            most = value;
        } else
            second = fmax(second, value);
    }
    return fabs(most - second) > NEAR_TIE && (!layer->relu || fabs(most) > NEAR_TIE);
}

/* Removes the gradient of outputs that rounding could decide either way. */
static void clear_near_ties(const bnn_layer *layer, pass *p, size_t images)
{
    const bnn_layer_ops *naive = bnn_layer_ops_for(layer, "naive");
    bnn_layer plain = *layer;
    plain.relu = plain.pool = false;
    plain.out_height = plain.in_height;
    plain.out_width = plain.in_width;
    bnn_real *values = reals(images * bnn_layer_out_count(&plain)),
             *packed = reals(naive->packed_count(&plain));
    naive->pack(&plain, p->weight, p->bias, packed);
    naive->forward(&plain, packed, p->in, images, values, NULL, NULL);
    const size_t stride = bnn_channel_stride(layer->out_channels);
    for (size_t i = 0; i < p->out_count; i++) {
        const size_t o = i % stride, pixel = i / stride, row = pixel / layer->out_width;
        if (o < layer->out_channels && !is_clear(layer, values, row / layer->out_height,
                                                 row % layer->out_height, pixel % layer->out_width, o))
            p->out_gradient[i] = 0;
    }
    free(packed);
    free(values);
}

/* Rounding is relative to the largest of the n figures or, where that is more, to their usual size: a sum of normals may
 * come out small by chance. */
static void assert_same(const char *what, const char *which, const bnn_real *found, const bnn_real *expected,
                        size_t n, double usual)
{
    const double tolerance = strncmp(which, "winograd", 8) == 0 ? WINOGRAD_TOLERANCE : TOLERANCE;
    double scale = usual;
    for (size_t i = 0; i < n; i++) scale = fmax(scale, fabs((double)expected[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)found[i] - (double)expected[i]) <= tolerance * scale))
            fail_msg("%s: %s[%zu] is %.9g, expected %.9g (scale %.3g)", which, what, i, (double)found[i],
                     (double)expected[i], scale);
}

static void compare_all(const bnn_layer *layer, size_t images, size_t parts)
{
    const bnn_layer_ops *naive = bnn_layer_ops_for(layer, "naive");
    const double terms = sqrt((double)(images * layer->out_height * layer->out_width)); /* N(0, 1) each */
    pass expected = pass_of(layer, images), found = pass_of(layer, images);
    clear_near_ties(layer, &expected, images);
    memcpy(found.out_gradient, expected.out_gradient, found.out_count * sizeof *found.out_gradient);
    run(naive, layer, &expected, images, 1, true);
    for (const bnn_layer_ops *const *ops = bnn_layer_ops_list; *ops; ops++) {
        if (*ops == naive || !bnn_layer_ops_fit(*ops, layer)) continue;
        const char *which = describe(layer, (*ops)->name, images);
        run(*ops, layer, &found, images, parts, true);
        assert_same("out", which, found.out, expected.out, found.out_count, 1e-3);
        assert_same("in_gradient", which, found.in_gradient, expected.in_gradient, found.in_count, 1e-3);
        assert_same("weight_gradient", which, found.weight_gradient, expected.weight_gradient,
                    layer->weight_count, terms);
        assert_same("bias_gradient", which, found.bias_gradient, expected.bias_gradient, layer->bias_count,
                    terms);
        run(*ops, layer, &found, images, parts, false);
        assert_same("out without saved", which, found.out, expected.out, found.out_count, 1e-3);
    }
    pass_free(&expected);
    pass_free(&found);
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
                    const bnn_layer layer = conv_layer(layouts[l], channels[i], channels[o], sizes[s][0],
                                                       sizes[s][1], 3, turn * 5 % 8);
                    compare_all(&layer, images, images == 17 ? 3 : 1);
                }
}

static void every_flag(void **state)
{
    (void)state;
    for (size_t l = 0; l < 2; l++)
        for (unsigned flags = 0; flags < 8; flags++) {
            const bnn_layer wide = conv_layer(layouts[l], 4, 20, 11, 10, 3, flags);
            const bnn_layer small = conv_layer(layouts[l], 6, 3, 2, 3, 3, flags);
            compare_all(&wide, 3, 2);
            compare_all(&small, 3, 1);
        }
}

static void other_kernels(void **state)
{
    (void)state;
    for (size_t l = 0; l < 2; l++)
        for (unsigned flags = 0; flags < 8; flags++) {
            const bnn_layer one = conv_layer(layouts[l], 5, 7, 6, 5, 1, flags);
            const bnn_layer five = conv_layer(layouts[l], 3, 6, 7, 6, 5, flags);
            const bnn_layer beyond = conv_layer(layouts[l], 2, 3, 2, 2, 7, flags);
            compare_all(&one, 3, 1);
            compare_all(&five, 3, 1);
            compare_all(&beyond, 2, 1);
        }
}

static bnn_layer dense_layer(bnn_layout layout, size_t inputs, size_t outputs, bool relu)
{
    const size_t pixels = layout == BNN_LAYOUT_FLAT ? 1 : 4;
    return (bnn_layer){.kind = BNN_LAYER_DENSE,
                       .in_layout = layout,
                       .in_channels = inputs / pixels,
                       .in_height = pixels / 2 + pixels % 2,
                       .in_width = pixels / 2 + pixels % 2,
                       .out_channels = outputs,
                       .out_height = 1,
                       .out_width = 1,
                       .relu = relu,
                       .weight_count = outputs * inputs,
                       .bias_count = outputs};
}

/* One dense layer by three loops: what run() does with a kernel. */
static void run_dense_naive(const bnn_layer *layer, pass *p, size_t images)
{
    const size_t inputs = bnn_layer_in_count(layer), outputs = layer->out_channels;
    bnn_real *gradient = reals(p->out_count);
    bnn_gemm_naive(false, true, images, outputs, inputs, 1, p->in, inputs, p->weight, inputs, 0, p->out,
                   outputs);
    memset(p->bias_gradient, 0, outputs * sizeof *p->bias_gradient);
    for (size_t i = 0; i < p->out_count; i++) {
        p->out[i] += p->bias[i % outputs];
        const bool alive = !layer->relu || p->out[i] > 0;
        if (!alive) p->out[i] = 0;
        gradient[i] = alive ? p->out_gradient[i] : 0;
        p->bias_gradient[i % outputs] += gradient[i];
    }
    bnn_gemm_naive(true, false, outputs, inputs, images, 1, gradient, outputs, p->in, inputs, 0,
                   p->weight_gradient, inputs);
    bnn_gemm_naive(false, false, images, inputs, outputs, 1, gradient, outputs, p->weight, inputs, 0,
                   p->in_gradient, inputs);
    free(gradient);
}

static void dense_layers(void **state)
{
    static const size_t inputs[] = {16, 20, 48, 144}, outputs[] = {1, 3, 10, 33}, batches[] = {1, 3, 17, 128};
    (void)state;
    for (unsigned i = 0; i < 4 * 4 * 4; i++) {
        const bnn_layer layer = dense_layer(i & 1 ? BNN_LAYOUT_FLAT : BNN_LAYOUT_PLANAR, inputs[i % 4],
                                            outputs[i / 4 % 4], i % 3 > 0);
        const size_t images = batches[i / 16];
        pass expected = pass_of(&layer, images), found = pass_of(&layer, images);
        run_dense_naive(&layer, &expected, images);
        for (const bnn_layer_ops *const *ops = bnn_layer_ops_list; *ops; ops++) {
            if (!bnn_layer_ops_fit(*ops, &layer)) continue;
            const char *which = describe(&layer, (*ops)->name, images);
            run(*ops, &layer, &found, images, images == 17 ? 3 : 1, true);
            assert_same("out", which, found.out, expected.out, found.out_count, 1e-3);
            assert_same("in_gradient", which, found.in_gradient, expected.in_gradient, found.in_count, 1e-3);
            assert_same("weight_gradient", which, found.weight_gradient, expected.weight_gradient,
                        layer.weight_count, sqrt((double)images));
            assert_same("bias_gradient", which, found.bias_gradient, expected.bias_gradient, layer.bias_count,
                        sqrt((double)images));
        }
        pass_free(&expected);
        pass_free(&found);
    }
}

/* With all weights zero every value of a window is the bias: the first of them takes the gradient when the
 * bias is positive, none when it is zero or negative. */
static void ties_go_to_the_first(void **state)
{
    (void)state;
    for (size_t l = 0; l < 2; l++) {
        const bnn_layer layer = conv_layer(layouts[l], 4, 3, 8, 8, 3, 3);
        for (const bnn_layer_ops *const *ops = bnn_layer_ops_list; *ops; ops++) {
            if (!bnn_layer_ops_fit(*ops, &layer)) continue;
            pass p = pass_of(&layer, 1);
            memset(p.weight, 0, layer.weight_count * sizeof *p.weight);
            for (size_t i = 0; i < p.in_count; i++) p.in[i] = 0;
            const bool planar = layouts[l] == BNN_LAYOUT_PLANAR;
            const size_t pixel = 2 * 8 + 4; /* the first of its window */
            p.in[planar ? pixel : pixel * bnn_channel_stride(4)] = 1;
            p.bias[0] = 2, p.bias[1] = 0, p.bias[2] = -1;
            run(*ops, &layer, &p, 1, 1, true);
            /* The centre tap of channel 0 sees that pixel; the window is (1, 2) of the pooled image. */
            const bnn_real g = p.out_gradient[(1 * 4 + 2) * bnn_channel_stride(3)];
            assert_close(p.weight_gradient[4], g, TOLERANCE, 1);
            for (size_t o = 1; o < 3; o++) assert_close(p.weight_gradient[o * 4 * 9 + 4], 0, TOLERANCE, 1);
            assert_true(p.out[0] == 2 && p.out[1] == 0 && p.out[2] == 0);
            assert_true(p.bias_gradient[1] == 0 && p.bias_gradient[2] == 0);
            pass_free(&p);
        }
    }
}

/* A NaN among the weights must reach the output: training stops on a non-finite loss. */
static void not_a_number_is_kept(void **state)
{
    (void)state;
    for (size_t l = 0; l < 2; l++) {
        const bnn_layer layer = conv_layer(layouts[l], 4, 3, 8, 8, 3, 3);
        for (const bnn_layer_ops *const *ops = bnn_layer_ops_list; *ops; ops++) {
            if (!bnn_layer_ops_fit(*ops, &layer)) continue;
            pass p = pass_of(&layer, 1);
            p.weight[4] = (bnn_real)NAN;
            run(*ops, &layer, &p, 1, 1, true);
            assert_true(isnan(p.out[0]));
            pass_free(&p);
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

static void names(void **state)
{
    const bnn_layer layer = conv_layer(BNN_LAYOUT_CHANNELS_LAST, 8, 8, 8, 8, 3, 3);
    const bnn_layer five = conv_layer(BNN_LAYOUT_CHANNELS_LAST, 8, 8, 8, 8, 5, 3);
    (void)state;
    assert_string_equal(bnn_layer_ops_for(&layer, "winograd-portable")->name, "winograd-portable");
    assert_string_equal(bnn_layer_ops_for(&layer, "portable")->name, "winograd-portable");
    assert_string_equal(bnn_layer_ops_for(&layer, "gemm")->name, "gemm");
    assert_ptr_equal(bnn_layer_ops_for(&layer, "winograd"), bnn_layer_ops_for(&layer, NULL));
    assert_ptr_equal(bnn_layer_ops_for(&layer, "port"), bnn_layer_ops_for(&layer, NULL));
    assert_string_equal(bnn_layer_ops_for(&five, "winograd")->name, "gemm");
    assert_string_equal(bnn_layer_ops_for(&five, "naive")->name, "naive");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(products),
        cmocka_unit_test(odd_shapes),
        cmocka_unit_test(every_flag),
        cmocka_unit_test(other_kernels),
        cmocka_unit_test(dense_layers),
        cmocka_unit_test(ties_go_to_the_first),
        cmocka_unit_test(not_a_number_is_kept),
    };
    bnn_blas_single_thread();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
