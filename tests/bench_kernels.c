/* Speed of the kernels on this machine, beside sgemm in the same process: ratios carry over, seconds do not.
 *     bench_kernels [threads]  */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/simd/normals.h"
#include "bench.h"
#include "bnn/network.h"

#define ROW(isa) {#isa, bnn_runs_here_##isa, bnn_normals_##isa},
static const struct {
    const char *name;
    bool (*runs_here)(void);
    void (*normals)(bnn_stream stream, bnn_real *out, size_t n);
} isas[] = {BNN_EACH_ISA(ROW)};
enum { ISAS = sizeof isas / sizeof *isas, BATCH = 128, MOST_LAYERS = 4 };

static void bench_normals(void)
{
    enum { N = 1 << 16 };
    static bnn_real out[N];
    for (size_t k = 0; k < ISAS; k++) {
        double best = INFINITY;
        for (uint64_t i = 0; isas[k].runs_here() && i < 20; i++) {
            const double start = now();
            isas[k].normals(bnn_stream_of(1, BNN_STREAM_TRAIN_NOISE, i, 0, 0), out, N);
            best = fmin(best, now() - start);
        }
        if (isfinite(best)) printf("normals, %-8s %6.2f ns each\n", isas[k].name, best / N * 1e9);
    }
}

/* One convolution of one worker, with what is run together with it, and the buffers for one block. */
typedef struct stage {
    bnn_kernel_shape shape;
    const bnn_kernel *kernel;
    size_t weights;
    bnn_real *weight, *packed, *packed_gradient, *gradient, *saved, *scratch, *out, *out_gradient;
} stage;

/* The kernel of a set, or the fastest, for the layer and what follows it. */
static const bnn_kernel *kernel_of(const bnn_network *network, size_t l, const char *set,
                                   bnn_kernel_shape *shape)
{
    bnn_network_fused(network, l, shape);
    const bnn_kernel *kernel = bnn_kernel_of_set(network->layers[l].type->kernels, shape, set);
    if (!kernel) exit(BNN_FAILED);
    return kernel;
}

static stage stage_of(const bnn_network *network, size_t l, const char *set, size_t block)
{
    const bnn_layer *layer = &network->layers[l];
    const size_t parameters = layer->weight_count + layer->bias_count;
    stage s = {.weights = layer->weight_count};
    s.kernel = kernel_of(network, l, set, &s.shape);
    const size_t out = block * bnn_activation_count(&s.shape.out),
                 packed = bnn_kernel_packed_count(s.kernel, &s.shape);
    const double fan_in = (double)layer->weight_count / (double)layer->bias_count;
    s.weight = random_reals(parameters, sqrt(2 / (fan_in + 1)), 5);
    s.gradient = bnn_alloc(parameters, sizeof *s.gradient);
    s.packed = bnn_alloc(packed, sizeof *s.packed);
    s.packed_gradient = bnn_alloc(packed, sizeof *s.packed);
    s.saved = bnn_alloc(bnn_kernel_saved_count(s.kernel, &s.shape, block), sizeof *s.saved);
    s.scratch = bnn_alloc(bnn_kernel_scratch_count(s.kernel, &s.shape, block), sizeof *s.scratch);
    s.out = bnn_alloc(out, sizeof *s.out);
    s.out_gradient = random_reals(out, 1, 6);
    return s;
}

static void stage_free(stage *s)
{
    bnn_real *all[] = {s->weight, s->gradient, s->packed, s->packed_gradient,
                       s->saved,  s->scratch,  s->out,    s->out_gradient};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

/* A unit of work as the engine runs it: one draw, forward and backward over the images in blocks. The
 * gradient that reaches the last layer is whatever is there. Seconds of each layer's passes are added to
 * `spent`. */
static void run_unit(stage *stages, size_t layers, const bnn_real *images, size_t count, size_t block,
                     double fastest[][3])
{
    double start = now(), end;
#define SPENT(l, what, n)                                                                                    \
    (end = now(), fastest[l][what] = fmin(fastest[l][what], (end - start) / (double)(n)), start = end)
    for (size_t l = 0; l < layers; l++) {
        stage *s = &stages[l];
        s->kernel->pack(&s->shape, s->weight, s->weight + s->weights, 0, s->shape.out.channels, s->packed);
    }
    for (size_t first = 0; first < count; first += block) {
        const size_t n = count - first < block ? count - first : block;
        bnn_pass passes[MOST_LAYERS];
        for (size_t l = 0; l < layers; l++) {
            stage *s = &stages[l];
            passes[l] = (bnn_pass){
                .images = n,
                .packed = s->packed,
                .in = {l ? stages[l - 1].out : images + first * bnn_activation_count(&s->shape.in)},
                .out = s->out,
                .saved = s->saved,
                .scratch = s->scratch,
                .out_gradient = s->out_gradient,
                .in_gradient = {l ? stages[l - 1].out_gradient : NULL},
                .packed_gradient = s->packed_gradient,
                .add = first > 0};
            s->kernel->forward(&s->shape, &passes[l]);
            SPENT(l, 0, n);
        }
        for (size_t l = layers; l-- > 0;) {
            stages[l].kernel->backward(&stages[l].shape, &passes[l]);
            SPENT(l, 1, n);
        }
    }
    for (size_t l = 0; l < layers; l++) {
        stage *s = &stages[l];
        s->kernel->unpack_gradient(&s->shape, s->packed_gradient, s->gradient, s->gradient + s->weights);
        SPENT(l, 2, count);
    }
#undef SPENT
}

/* Operations of one training pass of an image by direct convolution, 2 to a multiply-add. */
static double operations(const bnn_network *network)
{
    double sum = 0;
    for (size_t l = 0; l < network->layer_count; l++) {
        const bnn_layer *layer = &network->layers[l];
        if (layer->type != &bnn_layer_conv) continue;
        sum += 2.0 * (double)(layer->weight_count * layer->shape.in.height * layer->shape.in.width) *
               (l ? 3 : 2);
    }
    return sum;
}

/* The i-th convolution of a network. */
static size_t convolution(const bnn_network *network, size_t i)
{
    size_t l = 0;
    while (network->layers[l].type != &bnn_layer_conv || i-- > 0) l++;
    return l;
}

/* Forward and backward of the conv layers over a batch for `samples` draws, shared between threads. */
static void bench_convolutions(const size_t *widths, size_t layers, const char *set, size_t block,
                               int threads, double peak)
{
    bnn_network_spec spec = {.type = BNN_NETWORK_FCNN, .input = {1, 28, 28}, .classes = 10, .kernel = 3};
    bnn_network *network = NULL;
    memcpy(spec.widths, widths, layers * sizeof *widths);
    spec.width_count = layers;
    if (bnn_network_create(&spec, &network, NULL)) exit(1);
    bnn_real *images = random_reals(BATCH * 28 * 28, 1, 4);
    double fastest[MOST_LAYERS][3], best = INFINITY;
    for (size_t i = 0; i < 3 * MOST_LAYERS; i++) fastest[i / 3][i % 3] = INFINITY;
    const int samples = widths[0] > 64 ? threads : 5 * threads;
#pragma omp parallel num_threads(threads)
    {
        stage stages[MOST_LAYERS];
        double own[MOST_LAYERS][3];
        memcpy(own, fastest, sizeof own);
        for (size_t l = 0; l < layers; l++)
            stages[l] = stage_of(network, convolution(network, l), set, block);
        for (int repeat = 0; repeat < 8; repeat++) {
#pragma omp barrier
            const double start = now();
#pragma omp for
            for (int s = 0; s < samples; s++) run_unit(stages, layers, images, BATCH, block, own);
#pragma omp single
            best = fmin(best, now() - start);
        }
#pragma omp critical
        for (size_t l = 0; l < layers; l++) {
            for (int i = 0; i < 3; i++) fastest[l][i] = fmin(fastest[l][i], own[l][i]);
            stage_free(&stages[l]);
        }
    }
    const double rate = (double)samples * BATCH / best;
    printf("(%zu, %zu) block %2zu: %8.0f image-samples/s, %5.0f GFLOP/s, %.2f of the products' peak; us at "
           "best:",
           widths[0], widths[layers - 1], block, rate, rate * operations(network) * 1e-9,
           rate * operations(network) * 1e-9 / peak);
    for (size_t l = 0; l < layers; l++) {
        bnn_kernel_shape shape;
        printf("  %s %.1f + %.1f + %.1f", kernel_of(network, convolution(network, l), set, &shape)->name,
               1e6 * fastest[l][0], 1e6 * fastest[l][1], 1e6 * fastest[l][2]);
    }
    printf("\n");
    free(images);
    bnn_network_free(network);
}

/* The fastest of some. */
static double products_peak(int threads)
{
    products p = products_create(threads);
    double best = 0;
    for (int i = 0; i < 12; i++) best = fmax(best, products_rate(&p));
    products_free(&p);
    return best;
}

int main(int count, char **arguments)
{
    static const size_t widths[][2] = {{32, 64}, {128, 256}}, blocks[] = {2, 4, 8, 16};
    const int threads = count > 1 ? atoi(arguments[1]) : omp_get_num_procs();
    bench_start(arguments);
    if (threads < 1) return 2;
    bench_normals();
    for (size_t w = 0; w < 2; w++) {
        const double peak = products_peak(threads);
        printf("%s products of 1024^3 on %d threads: %.0f GFLOP/s\n", bnn_blas_core(), threads, peak);
        for (size_t b = 0; b < 4; b++) bench_convolutions(widths[w], 2, NULL, blocks[b], threads, peak);
        for (size_t k = 1; w == 0 && k < ISAS; k++)
            if (isas[k].runs_here()) bench_convolutions(widths[w], 2, isas[k].name, 4, threads, peak);
        bench_convolutions(widths[w], 2, "blas", 4, threads, peak);
    }
    return 0;
}
