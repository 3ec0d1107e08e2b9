/* Speed of the kernels on this machine, beside sgemm in the same process: ratios carry over, seconds do not.
 *     bench_kernels [threads]  */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/simd/normals.h"
#include "bench.h"
#include "bnn/layer.h"
#include "bnn/network.h"

#define ROW(isa) {#isa, bnn_runs_here_##isa, bnn_normals_##isa},
static const struct {
    const char *name;
    bool (*runs_here)(void);
    void (*normals)(bnn_stream stream, bnn_real *out, size_t n);
} isas[] = {BNN_EACH_ISA(ROW)};
enum { ISAS = sizeof isas / sizeof *isas };

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

/* One layer of one worker, with the buffers for one block. */
typedef struct stage {
    const bnn_layer *layer;
    const bnn_layer_ops *ops;
    bnn_real *weight, *packed, *packed_gradient, *gradient, *saved, *scratch, *out, *out_gradient;
} stage;

static stage stage_of(const bnn_layer *layer, const char *name, size_t block)
{
    stage s = {.layer = layer, .ops = bnn_layer_ops_for(layer, name)};
    const size_t fan_in = layer->in_channels * layer->kernel * layer->kernel;
    s.weight = random_reals(layer->weight_count + layer->bias_count, sqrt(2 / (double)(fan_in + 1)), 5);
    s.gradient = bnn_alloc(layer->weight_count + layer->bias_count, sizeof *s.gradient);
    s.packed = bnn_alloc(s.ops->packed_count(layer), sizeof *s.packed);
    s.packed_gradient = bnn_alloc(s.ops->packed_count(layer), sizeof *s.packed);
    s.saved = bnn_alloc(s.ops->saved_count(layer, block), sizeof *s.saved);
    s.scratch = bnn_alloc(s.ops->scratch_count(layer, block), sizeof *s.scratch);
    s.out = bnn_alloc(block * bnn_layer_out_count(layer), sizeof *s.out);
    s.out_gradient = random_reals(block * bnn_layer_out_count(layer), 1, 6);
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
        s->ops->pack(s->layer, s->weight, s->weight + s->layer->weight_count, s->packed);
    }
    for (size_t first = 0; first < count; first += block) {
        const size_t n = count - first < block ? count - first : block;
        const bnn_real *in = images + first * bnn_layer_in_count(stages[0].layer);
        for (size_t l = 0; l < layers; l++) {
            stage *s = &stages[l];
            s->ops->forward(s->layer, s->packed, l ? stages[l - 1].out : in, n, s->out, s->saved, s->scratch);
            SPENT(l, 0, n);
        }
        for (size_t l = layers; l-- > 0;) {
            stage *s = &stages[l];
            s->ops->backward(s->layer, s->packed, l ? stages[l - 1].out : in, s->out, s->out_gradient, n,
                             l ? stages[l - 1].out_gradient : NULL, first > 0, s->packed_gradient, s->saved,
                             s->scratch);
            SPENT(l, 1, n);
        }
    }
    for (size_t l = 0; l < layers; l++) {
        stage *s = &stages[l];
        s->ops->unpack_gradient(s->layer, s->packed_gradient, s->gradient,
                                s->gradient + s->layer->weight_count);
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
        if (layer->kind != BNN_LAYER_CONV) continue;
        sum += 2.0 * (double)(layer->weight_count * layer->in_height * layer->in_width) * (l ? 3 : 2);
    }
    return sum;
}

enum { BATCH = 128, MOST_LAYERS = 4 };

/* Forward and backward of the conv layers over a batch for `samples` draws, shared between threads. */
static void bench_convolutions(const size_t *widths, size_t layers, const char *name, size_t block,
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
        for (size_t l = 0; l < layers; l++) stages[l] = stage_of(&network->layers[l], name, block);
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
        const bnn_layer_ops *ops = bnn_layer_ops_for(&network->layers[l], name);
        printf("  %s %.1f + %.1f + %.1f", ops->name, 1e6 * fastest[l][0], 1e6 * fastest[l][1],
               1e6 * fastest[l][2]);
    }
    printf("\n");
    free(images);
    bnn_network_free(network);
}

int main(int count, char **arguments)
{
    static const size_t widths[][2] = {{32, 64}, {128, 256}}, blocks[] = {2, 4, 8, 16};
    const int threads = count > 1 ? atoi(arguments[1]) : omp_get_num_procs();
    bench_start(arguments);
    if (threads < 1) return 2;
    bench_normals();
    for (size_t w = 0; w < 2; w++) {
        const double peak = product_peak(threads);
        printf("%s products of 1024^3 on %d threads: %.0f GFLOP/s\n", bnn_blas_core(), threads, peak);
        for (size_t b = 0; b < 4; b++) bench_convolutions(widths[w], 2, NULL, blocks[b], threads, peak);
        for (size_t k = 1; w == 0 && k < ISAS; k++)
            if (isas[k].runs_here()) bench_convolutions(widths[w], 2, isas[k].name, 4, threads, peak);
        bench_convolutions(widths[w], 2, "gemm", 4, threads, peak);
    }
    return 0;
}
