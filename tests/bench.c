/* Speed of training and evaluation on this machine, as ratios to sgemm in the same process: ratios carry over to other
 * machines, seconds do not.
 *     bench [--json]
 *     mpirun -np R bench --ranks     image-samples/s of fcnn (128,256) on R ranks of one thread (make bench-mpi)
 * What is compared takes turns, and a ratio is the median over turns, as a slow moment meets all of one. Each row runs in a process
 * of its own, so that its peak memory is its own. */
#include <cjson/cJSON.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "bench.h"
#include "bnn/engine.h"
#include "bnn/evaluate.h"
#include "bnn/optimizer.h"
#include "bnn/ranks.h"

enum { BATCH = 128, SAMPLES = 10, SIDE = 28 };

static const struct row {
    const char *name;
    bnn_network_type type;
    size_t widths[3], width_count, side;
    int steps; /* timed */
} rows[] = {
    {"fcnn (32,64)", BNN_NETWORK_FCNN, {32, 64}, 2, SIDE, 25},
    {"fcnn (128,256)", BNN_NETWORK_FCNN, {128, 256}, 2, SIDE, 7},
    {"cnn (32,64)", BNN_NETWORK_CNN, {32, 64}, 2, SIDE, 25},
    {"mlp 784-400-400-10", BNN_NETWORK_MLP, {400, 400}, 2, SIDE, 41},
};

/* Networks whose steps of one sample are compared with steps of SAMPLES. */
static const struct row single_rows[] = {
    {"fcnn (32,64)", BNN_NETWORK_FCNN, {32, 64}, 2, SIDE, 40},
    {"fcnn (128,256)", BNN_NETWORK_FCNN, {128, 256}, 2, SIDE, 8},
    {"fcnn (64,128,256)", BNN_NETWORK_FCNN, {64, 128, 256}, 3, 32, 8},
};

/* Networks whose estimators are compared. */
static const struct row estimator_rows[] = {
    {"fcnn (32,64)", BNN_NETWORK_FCNN, {32, 64}, 2, SIDE, 12},
    {"fcnn (32,64,128)", BNN_NETWORK_FCNN, {32, 64, 128}, 3, SIDE, 12},
    {"mlp 784-400-400-10", BNN_NETWORK_MLP, {400, 400}, 2, SIDE, 40},
};

/* Operations an image and weight draw by direct convolution, 2 to a multiply-add: forward; and the gradients of the
 * weights and, but for the first layer, of the inputs. */
static double operations(const bnn_network *network, bool training)
{
    double sum = 0;
    for (size_t l = 0; l < network->layer_count; l++) {
        const bnn_layer *layer = &network->layers[l];
        const double pixels =
            layer->type == &bnn_layer_conv ? (double)(layer->shape.in.height * layer->shape.in.width) : 1;
        sum += 2 * (double)layer->weight_count * pixels * (training ? (l ? 3 : 2) : 1);
    }
    return sum;
}

static bnn_model *model_for(const struct row *row)
{
    return bench_model(row->type, row->widths, row->width_count, row->side);
}

/* Seconds of one training step in its parts. */
typedef struct parts {
    double draw, passes, update;
} parts;

static parts time_step(bnn_model *model, bnn_engine *engine, bnn_optimizer *optimizer, const bnn_real *in,
                       const uint32_t *labels, uint64_t step, int threads)
{
    const double start = now();
    bnn_engine_draw(engine, 1, BNN_STREAM_TRAIN_NOISE, step);
    const double drawn = now();
    bnn_engine_step(engine, in, labels, 1e-4);
    const double passed = now();
    bench_update(model, engine, optimizer, threads);
    return (parts){drawn - start, passed - drawn, now() - passed};
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, size_t n)
{
    qsort(x, n, sizeof *x, by_size);
    return x[n / 2];
}

/* The process's peak memory so far. */
static void add_memory(cJSON *result)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    cJSON_AddNumberToObject(result, "peak_memory_mib", (double)usage.ru_maxrss / 1024);
}

/* Seconds of some work's turns, and the yardstick's GFLOP/s before and after each. */
enum { MOST_TURNS = 64 };
typedef struct timing {
    products products;
    double seconds[MOST_TURNS], peaks[MOST_TURNS + 1];
    size_t count;
} timing;

static void timing_begin(timing *t, int threads)
{
    t->products = products_create(threads);
    t->count = 0;
    products_rate(&t->products);
    t->peaks[0] = products_rate(&t->products);
}

static void timing_add(timing *t, double seconds)
{
    t->seconds[t->count++] = seconds;
    t->peaks[t->count] = products_rate(&t->products);
}

/* Adds the rate of work of so many image-samples and operations a turn, and what it is of the yardstick. */
static void timing_end(timing *t, double image_samples, double gflop, const char *what, cJSON *result)
{
    double ratios[MOST_TURNS];
    char name[64];
    for (size_t i = 0; i < t->count; i++)
        ratios[i] = gflop / t->seconds[i] / ((t->peaks[i] + t->peaks[i + 1]) / 2);
    const double seconds = median(t->seconds, t->count);
    snprintf(name, sizeof name, "%s_image_samples_per_second", what);
    cJSON_AddNumberToObject(result, name, image_samples / seconds);
    snprintf(name, sizeof name, "%s_gflops", what);
    cJSON_AddNumberToObject(result, name, gflop / seconds);
    snprintf(name, sizeof name, "%s_over_peak", what);
    cJSON_AddNumberToObject(result, name, median(ratios, t->count));
    cJSON_AddNumberToObject(result, "sgemm_peak_gflops", median(t->peaks, t->count + 1));
    products_free(&t->products);
}

/* With `yardstick` threads of products, or none. */
static void bench_training(const struct row *row, int threads, int yardstick, cJSON *result)
{
    bnn_model *model = model_for(row);
    const bnn_engine_options options = {.samples = SAMPLES, .items = BATCH, .views = 1, .threads = threads};
    const bnn_optimizer_rule *rule = bnn_optimizer_find("sgd");
    const bnn_optimizer_options sgd = {.lr = 1e-3, .rho_lr_factor = 10, .momentum = 0.9, .nesterov = true};
    bnn_engine *engine;
    bnn_optimizer *optimizer;
    bnn_error error;
    timing turns;
    parts sum = {0, 0, 0};
    uint32_t labels[BATCH];
    bnn_real *in = random_reals(BATCH * SIDE * SIDE, 1, 4);
    for (uint32_t i = 0; i < BATCH; i++) labels[i] = i % CLASSES;
    bench_check(bnn_engine_create(model->posterior, &options, &engine, &error), &error);
    bench_check(bnn_optimizer_create(rule, &sgd, model->posterior->count, &optimizer, &error), &error);
    time_step(model, engine, optimizer, in, labels, 0, threads);
    add_memory(result);
    timing_begin(&turns, yardstick);
    for (int step = 0; step < row->steps; step++) {
        const parts t = time_step(model, engine, optimizer, in, labels, (uint64_t)step + 1, threads);
        timing_add(&turns, t.draw + t.passes + t.update);
        sum.draw += t.draw, sum.passes += t.passes, sum.update += t.update;
    }
    timing_end(&turns, SAMPLES * BATCH, SAMPLES * BATCH * operations(model->network, true) * 1e-9, "training",
               result);
    const double seconds = sum.draw + sum.passes + sum.update;
    cJSON_AddNumberToObject(result, "share_draw", sum.draw / seconds);
    cJSON_AddNumberToObject(result, "share_passes", sum.passes / seconds);
    cJSON_AddNumberToObject(result, "share_update", sum.update / seconds);
    bnn_optimizer_free(optimizer);
    bnn_engine_free(engine);
    free(in);
    bnn_model_free(model);
}

/* ---- one sample --------------------------------------------------------------------------------------------- */

enum { SINGLES = 3, REPEATS = 5 };

/* Image-samples a second of steps of one sample, as a part of those of SAMPLES samples over a whole batch: REPEATS steps of one
 * sample, and one of SAMPLES, a round. */
static void bench_single(const struct row *row, int threads, cJSON *result)
{
    static const struct {
        const char *name;
        size_t samples, items;
    } steps[SINGLES] = {{"samples_10_batch_128", SAMPLES, BATCH},
                        {"samples_1_batch_128", 1, BATCH},
                        {"samples_1_batch_64", 1, BATCH / 2}};
    const bnn_optimizer_options adamw = {
        .lr = 1e-3, .rho_lr_factor = 1, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
    const size_t rounds = (size_t)row->steps;
    bnn_model *model = model_for(row);
    bnn_engine *engines[SINGLES];
    bnn_optimizer *optimizer;
    bnn_error error;
    uint32_t labels[BATCH];
    bnn_real *in = random_reals(BATCH * row->side * row->side, 1, 4);
    double *rates = bnn_alloc(SINGLES * rounds, sizeof *rates),
           *ratios = bnn_alloc(SINGLES * rounds, sizeof *ratios);
    if (!rates || !ratios) exit(BNN_FAILED);
    for (uint32_t i = 0; i < BATCH; i++) labels[i] = i % CLASSES;
    bench_check(bnn_optimizer_create(bnn_optimizer_find("adamw"), &adamw, model->posterior->count, &optimizer,
                                     &error),
                &error);
    for (size_t k = 0; k < SINGLES; k++) {
        const bnn_engine_options options = {
            .samples = steps[k].samples, .items = steps[k].items, .views = 1, .threads = threads};
        bench_check(bnn_engine_create(model->posterior, &options, &engines[k], &error), &error);
        time_step(model, engines[k], optimizer, in, labels, 0, threads);
    }
    for (size_t r = 0; r < rounds; r++) {
        double seconds[SINGLES] = {0};
        for (size_t repeat = 0; repeat < REPEATS; repeat++)
            for (size_t k = repeat ? 1 : 0; k < SINGLES; k++) {
                const parts t =
                    time_step(model, engines[k], optimizer, in, labels, r * REPEATS + repeat + 1, threads);
                seconds[k] += t.draw + t.passes + t.update;
            }
        for (size_t k = 0; k < SINGLES; k++) {
            rates[k * rounds + r] =
                (double)(steps[k].samples * steps[k].items * (k ? REPEATS : 1)) / seconds[k];
            ratios[k * rounds + r] = rates[k * rounds + r] / rates[r];
        }
    }
    for (size_t k = 0; k < SINGLES; k++) {
        cJSON *entry = cJSON_AddObjectToObject(result, steps[k].name);
        cJSON_AddNumberToObject(entry, "image_samples_per_second", median(rates + k * rounds, rounds));
        cJSON_AddNumberToObject(entry, "ratio", median(ratios + k * rounds, rounds));
        bnn_engine_free(engines[k]);
    }
    bnn_optimizer_free(optimizer);
    free(rates);
    free(ratios);
    free(in);
    bnn_model_free(model);
}

static bnn_status ignore(void *context, const bnn_predictions *predictions, bnn_error *error)
{
    (void)context, (void)predictions, (void)error;
    return BNN_OK;
}

static void bench_evaluation(const struct row *row, int threads, cJSON *result)
{
    enum { DRAWS = 16 };
    bnn_model *model = model_for(row);
    bnn_dataset data = {.count = row->steps > 10 ? 1024 : 256, .channels = 1, .height = SIDE, .width = SIDE};
    const bnn_predict_options options = {.group = model->group,
                                         .samples = DRAWS,
                                         .seed = 1,
                                         .purpose = BNN_STREAM_EVALUATION_NOISE,
                                         .threads = threads};
    bnn_error error;
    timing turns;
    data.images = random_reals(data.count * SIDE * SIDE, 1, 5);
    bench_check(bnn_predict(model, &data, &options, ignore, NULL, &error), &error);
    add_memory(result);
    timing_begin(&turns, threads);
    for (int repeat = 0; repeat < 5; repeat++) {
        const double start = now();
        bench_check(bnn_predict(model, &data, &options, ignore, NULL, &error), &error);
        timing_add(&turns, now() - start);
    }
    const double predictions = (double)(data.count * DRAWS * model->group->order);
    timing_end(&turns, predictions, predictions * operations(model->network, false) * 1e-9, "evaluation",
               result);
    free(data.images);
    bnn_model_free(model);
}

/* ns a number from N(0, 1), on one thread. */
static double bench_normals(void)
{
    enum { N = 1 << 16 };
    static bnn_real out[N];
    double best = INFINITY;
    for (uint64_t i = 0; i < 50; i++) {
        const double start = now();
        bnn_normals(bnn_stream_of(1, BNN_STREAM_TRAIN_NOISE, i, 0, 0), out, N);
        best = fmin(best, now() - start);
    }
    return best / N * 1e9;
}

/* Image-samples a second of each estimator's draws and passes, a step of each a turn. */
static void estimator_rates(const struct row *row, int threads, const bnn_real *in, const uint32_t *labels,
                            cJSON *result)
{
    enum { MOST = 8 };
    bnn_model *model = model_for(row);
    bnn_engine *engines[MOST];
    bnn_error error;
    const size_t count = 2 * (size_t)row->steps;
    double *rates = bnn_alloc(MOST * count, sizeof *rates), *ratios = bnn_alloc(MOST * count, sizeof *ratios);
    if (!rates || !ratios) exit(BNN_FAILED);
    for (size_t e = 0; bnn_estimators[e]; e++) {
        const bnn_engine_options options = {.samples = SAMPLES,
                                            .items = BATCH,
                                            .views = 1,
                                            .estimator = bnn_estimators[e],
                                            .threads = threads};
        bench_check(bnn_engine_create(model->posterior, &options, &engines[e], &error), &error);
    }
    for (size_t turn = 0; turn < count; turn++)
        for (size_t e = 0; bnn_estimators[e]; e++) {
            const double start = now();
            bnn_engine_draw(engines[e], 1, BNN_STREAM_TRAIN_NOISE, turn);
            bnn_engine_step(engines[e], in, labels, 1e-4);
            rates[e * count + turn] = SAMPLES * BATCH / (now() - start);
            ratios[e * count + turn] = rates[e * count + turn] / rates[turn];
        }
    for (size_t e = 0; bnn_estimators[e]; e++) {
        cJSON *entry = cJSON_GetObjectItemCaseSensitive(result, bnn_estimators[e]->row.name);
        cJSON_AddNumberToObject(entry, "training_image_samples_per_second", median(rates + e * count, count));
        cJSON_AddNumberToObject(entry, "rate_over_weight", median(ratios + e * count, count));
        bnn_engine_free(engines[e]);
    }
    free(rates);
    free(ratios);
    bnn_model_free(model);
}

/* The variance of the gradient of mu and rho, summed over parameters, for each estimator: 2 samples a step, a network and a
 * batch of the quickstart's kind, right after initialisation; and its speed. */
static void bench_estimators(const struct row *row, int threads, cJSON *result)
{
    enum { STEPS = 100 };
    bnn_real *in = random_reals(BATCH * SIDE * SIDE, 1, 4);
    uint32_t labels[BATCH];
    for (uint32_t i = 0; i < BATCH; i++) labels[i] = i % CLASSES;
    for (size_t e = 0; bnn_estimators[e]; e++) {
        bnn_model *model = model_for(row);
        const size_t n = model->posterior->count;
        const bnn_engine_options options = {
            .samples = 2, .items = BATCH, .views = 1, .estimator = bnn_estimators[e], .threads = threads};
        bnn_engine *engine;
        bnn_error error;
        double *sum = bnn_alloc(4 * n, sizeof *sum), variance[2] = {0, 0};
        bench_check(sum ? bnn_engine_create(model->posterior, &options, &engine, &error)
                        : bnn_no_memory(&error, "sums", 4 * n, sizeof *sum),
                    &error);
        for (uint64_t step = 0; step < STEPS; step++) {
            bnn_engine_draw(engine, 1, BNN_STREAM_TRAIN_NOISE, step);
            bnn_engine_step(engine, in, labels, 0);
            const bnn_real *gradients[] = {bnn_engine_mu_gradient(engine), bnn_engine_scale_gradient(engine)};
            for (size_t j = 0; j < 2 * n; j++) {
                const double g = (double)gradients[j / n][j % n];
                sum[j] += g;
                sum[2 * n + j] += g * g;
            }
        }
        for (size_t j = 0; j < 2 * n; j++)
            variance[j / n] += (sum[2 * n + j] - sum[j] * sum[j] / STEPS) / (STEPS - 1);
        cJSON *entry = cJSON_AddObjectToObject(result, bnn_estimators[e]->row.name);
        cJSON_AddNumberToObject(entry, "mu_gradient_variance", variance[0]);
        cJSON_AddNumberToObject(entry, "rho_gradient_variance", variance[1]);
        free(sum);
        bnn_engine_free(engine);
        bnn_model_free(model);
    }
    estimator_rates(row, threads, in, labels, result);
    free(in);
}

/* ---- processes ------------------------------------------------------------------------------------------------ */

enum { TRAINING, EVALUATION, ESTIMATORS, SINGLE };

static cJSON *measure(const struct row *row, int what, int threads)
{
    cJSON *result = cJSON_CreateObject();
    if (what == ESTIMATORS) {
        bench_estimators(row, threads, result);
        return result;
    }
    if (what == SINGLE) {
        bench_single(row, threads, result);
        return result;
    }
    if (what == TRAINING)
        bench_training(row, threads, threads, result);
    else
        bench_evaluation(row, threads, result);
    cJSON_AddNumberToObject(result, "ns_per_normal", bench_normals());
    return result;
}

/* measure() in a child. */
static cJSON *measure_apart(const struct row *row, int what, int threads)
{
    int ends[2], state;
    char text[4096] = "";
    size_t length = 0;
    if (pipe(ends) != 0) exit(BNN_FAILED);
    const pid_t child = fork();
    if (child < 0) exit(BNN_FAILED);
    if (child == 0) {
        char *line = cJSON_PrintUnformatted(measure(row, what, threads));
        const ssize_t written = line ? write(ends[1], line, strlen(line)) : -1;
        _exit(written > 0 ? 0 : 1);
    }
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)got;
    close(ends[0]);
    waitpid(child, &state, 0);
    cJSON *result = cJSON_Parse(text);
    if (!result) exit(BNN_FAILED);
    return result;
}

static double figure(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name)->valuedouble;
}

static void print_row(const char *name, int threads, const cJSON *training, const cJSON *evaluation)
{
    printf("%-19s %2d %9.0f %9.0f %7.0f %7.0f %6.2f %10.0f %6.2f %5.0f %5.0f%% %5.0f%% %5.0f%%\n", name,
           threads, figure(training, "sgemm_peak_gflops"),
           figure(training, "training_image_samples_per_second"), figure(training, "training_gflops"),
           figure(training, "peak_memory_mib"), figure(training, "training_over_peak"),
           figure(evaluation, "evaluation_image_samples_per_second"),
           figure(evaluation, "evaluation_over_peak"), figure(evaluation, "peak_memory_mib"),
           100 * figure(training, "share_draw"), 100 * figure(training, "share_passes"),
           100 * figure(training, "share_update"));
    fflush(stdout);
}

static cJSON *bench_rows(bool table)
{
    cJSON *list = cJSON_CreateArray();
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (int threads = 1; threads <= 2; threads++) {
            cJSON *entry = cJSON_CreateObject();
            cJSON *training = measure_apart(&rows[r], TRAINING, threads);
            cJSON *evaluation = measure_apart(&rows[r], EVALUATION, threads);
            if (table) print_row(rows[r].name, threads, training, evaluation);
            cJSON_AddStringToObject(entry, "network", rows[r].name);
            cJSON_AddNumberToObject(entry, "threads", threads);
            cJSON_AddItemToObject(entry, "training", training);
            cJSON_AddItemToObject(entry, "evaluation", evaluation);
            cJSON_AddItemToArray(list, entry);
        }
    return list;
}

static cJSON *bench_all_singles(bool table)
{
    enum { THREADS = 2 };
    cJSON *list = cJSON_CreateArray();
    if (table)
        printf("\nimage-samples/s of steps of one sample, %d threads, adamw; over S = %d, batch %d\n"
               "%-19s %12s %18s %18s\n",
               THREADS, SAMPLES, BATCH, "network", "S=10, 128", "S=1, batch 128", "S=1, batch 64");
    for (size_t r = 0; r < sizeof single_rows / sizeof *single_rows; r++) {
        cJSON *result = measure_apart(&single_rows[r], SINGLE, THREADS);
        if (table) printf("%-19s", single_rows[r].name);
        for (const cJSON *entry = result->child; table && cJSON_IsObject(entry); entry = entry->next) {
            printf(" %12.0f", figure(entry, "image_samples_per_second"));
            if (entry != result->child) printf(" %5.2f", figure(entry, "ratio"));
        }
        if (table) printf("\n");
        fflush(stdout);
        cJSON_AddStringToObject(result, "network", single_rows[r].name);
        cJSON_AddItemToArray(list, result);
    }
    return list;
}

static cJSON *bench_all_estimators(bool table)
{
    cJSON *list = cJSON_CreateArray();
    if (table)
        printf("\nvariance of the gradient, summed over the parameters (2 samples, batch %d), and speed (S = "
               "%d)\n"
               "%-19s %-9s %12s %12s %9s %8s\n%-19s %-9s %12s %12s %9s %8s\n",
               BATCH, SAMPLES, "", "", "", "", "training", "over", "network", "estimator", "mu", "rho",
               "samples/s", "weight");
    for (size_t r = 0; r < sizeof estimator_rows / sizeof *estimator_rows; r++) {
        const struct row *row = &estimator_rows[r];
        cJSON *result = measure_apart(row, ESTIMATORS, 2);
        for (size_t e = 0; table && bnn_estimators[e]; e++) {
            const cJSON *entry = cJSON_GetObjectItemCaseSensitive(result, bnn_estimators[e]->row.name);
            printf("%-19s %-9s %12.3e %12.3e %9.0f %8.2f\n", row->name, bnn_estimators[e]->row.name,
                   figure(entry, "mu_gradient_variance"), figure(entry, "rho_gradient_variance"),
                   figure(entry, "training_image_samples_per_second"), figure(entry, "rate_over_weight"));
        }
        fflush(stdout);
        cJSON_AddStringToObject(result, "network", row->name);
        cJSON_AddItemToArray(list, result);
    }
    return list;
}

/* Every rank steps; rank 0 prints. */
static int bench_ranks(void)
{
    cJSON *result = cJSON_CreateObject();
    bnn_ranks_begin();
    bench_training(&rows[1], 1, 0, result);
    if (bnn_rank() == 0) printf("%.1f\n", figure(result, "training_image_samples_per_second"));
    cJSON_Delete(result);
    bnn_ranks_leave();
    return 0;
}

int main(int count, char **arguments)
{
    const bool json = count > 1 && strcmp(arguments[1], "--json") == 0;
    bench_start(arguments);
    if (count > 1 && strcmp(arguments[1], "--ranks") == 0) return bench_ranks();
    if (!json)
        printf("S = %d, batch %d, %dx%d images; OpenBLAS core %s; GFLOP/s as by direct convolution\n\n"
               "%-19s %2s %9s %9s %7s %7s %6s %10s %6s %5s %6s %6s %6s\n%-19s %2s %9s %9s %7s %7s %6s %10s "
               "%6s %5s %6s "
               "%6s %6s\n",
               SAMPLES, BATCH, SIDE, SIDE, bnn_blas_core(), "", "", "sgemm", "training", "", "", "over",
               "evaluation", "over", "", "draw", "passes", "update", "network", "t", "GFLOP/s", "samples/s",
               "GFLOP/s", "MiB", "peak", "samples/s", "peak", "MiB", "", "", "");
    cJSON *result = cJSON_CreateObject();
    cJSON_AddStringToObject(result, "openblas_core", bnn_blas_core());
    cJSON_AddItemToObject(result, "rows", bench_rows(!json));
    cJSON_AddItemToObject(result, "single_samples", bench_all_singles(!json));
    cJSON_AddItemToObject(result, "estimators", bench_all_estimators(!json));
    cJSON_AddNumberToObject(result, "ns_per_normal", bench_normals());
    if (json) {
        char *text = cJSON_Print(result);
        if (text) puts(text);
        free(text);
    } else
        printf("\nnormals: %.2f ns each\n", figure(result, "ns_per_normal"));
    cJSON_Delete(result);
    return 0;
}
