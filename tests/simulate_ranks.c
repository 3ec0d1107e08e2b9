/* What a training step would take on R machines. The ranks' work is done here, one rank after the other on one thread, and timed;
 * their messages are those that the engine asks for, and go over a network that is stated:
 *     a link carries one message at a time in each direction, its bytes at the bandwidth, and they arrive after the latency;
 *     a message goes as soon as its sender's and its receiver's links are free, and its receiver has come to the exchange.
 * Nothing is received in truth: times count, numbers do not.
 *     simulate_ranks [WORK]      of one kind of work, from 0; default: all */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "bnn/ranks.h"

enum { SIDE = 28, MOST_RANKS = 64, EXCHANGES = 2 };

/* A rank's steps are timed for so many seconds, two at least. */
#define LONG_ENOUGH 0.3

static const struct work {
    const char *name;
    size_t widths[2], samples, items;
} works[] = {
    {"fcnn (32,64), S = 10, batch 128", {32, 64}, 10, 128},
    {"fcnn (128,256), S = 10, batch 128", {128, 256}, 10, 128},
    {"fcnn (128,256), S = 1, batch 128", {128, 256}, 1, 128},
    {"fcnn (128,256), S = 10, batch 1280", {128, 256}, 10, 1280},
};

static const struct network {
    const char *name;
    double bandwidth, latency; /* bytes a second, seconds */
} networks[] = {{"10 Gbit/s, 50 us", 1.25e9, 50e-6}, {"100 Gbit/s, 2 us", 12.5e9, 2e-6}};

enum { NETWORKS = sizeof networks / sizeof *networks };

/* ---- ranks that are one process ----------------------------------------------------------------------------- */

static size_t ranks = 1, rank;

/* What a rank does in a step: work, an exchange, work, an exchange, work. */
static struct trace {
    double work[EXCHANGES + 1]; /* seconds, the fastest of the steps */
    struct letter {
        size_t to, bytes;
    } * sent[EXCHANGES];
    size_t count[EXCHANGES];
} traces[MOST_RANKS];

static size_t stretch; /* of work in this step */
static double began;   /* when */

static void end_stretch(void)
{
    struct trace *trace = &traces[rank];
    trace->work[stretch] = fmin(trace->work[stretch], now() - began);
    stretch++;
}

size_t bnn_ranks_count(void)
{
    return ranks;
}

size_t bnn_rank(void)
{
    return rank;
}

bnn_status bnn_ranks_agree(const char *what, const char *text, bnn_error *error)
{
    (void)what, (void)text, (void)error;
    return BNN_OK;
}

void bnn_exchange_run(const bnn_exchange *exchange)
{
    struct trace *trace = &traces[rank];
    const size_t k = stretch;
    if (k == EXCHANGES) exit(BNN_FAILED);
    end_stretch();
    free(trace->sent[k]);
    trace->count[k] = 0;
    trace->sent[k] = bnn_alloc(exchange->count, sizeof *trace->sent[k]);
    if (!trace->sent[k]) exit(BNN_FAILED);
    for (size_t m = 0; m < exchange->count; m++)
        if (exchange->messages[m].sent)
            trace->sent[k][trace->count[k]++] =
                (struct letter){exchange->messages[m].rank, exchange->messages[m].size};
    began = now();
}

/* What a rank does in a step of that work. */
static void record(const struct work *work, const bnn_real *in, const uint32_t *labels)
{
    const bnn_engine_options options = {
        .samples = work->samples, .items = work->items, .views = 1, .threads = 1};
    const bnn_optimizer_options adamw = {
        .lr = 1e-3, .rho_lr_factor = 1, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
    bnn_model *model = bench_model(BNN_NETWORK_FCNN, work->widths, 2, SIDE);
    bnn_engine *engine;
    bnn_optimizer *optimizer;
    bnn_error error;
    bench_check(bnn_engine_create(model->posterior, &options, &engine, &error), &error);
    bench_check(bnn_optimizer_create(bnn_optimizer_find("adamw"), &adamw, model->posterior->count, &optimizer,
                                     &error),
                &error);
    for (size_t k = 0; k <= EXCHANGES; k++) traces[rank].work[k] = INFINITY;
    for (size_t k = 0; k < EXCHANGES; k++) traces[rank].count[k] = 0;
    const double start = now();
    for (uint64_t step = 0; step < 2 || now() - start < LONG_ENOUGH; step++) {
        stretch = 0;
        began = now();
        bnn_engine_draw(engine, 1, BNN_STREAM_TRAIN_NOISE, step);
        bnn_engine_step(engine, in, labels, 1e-4);
        bench_update(model, engine, optimizer, 1);
        end_stretch();
    }
    while (stretch <= EXCHANGES) traces[rank].work[stretch++] = 0; /* one rank tells nobody anything */
    bnn_optimizer_free(optimizer);
    bnn_engine_free(engine);
    bnn_model_free(model);
}

/* ---- the network ---------------------------------------------------------------------------------------------- */

/* A message on its way. */
typedef struct envelope {
    size_t from, to;
    double seconds; /* of a link */
} envelope;

/* times (ranks): when each comes to exchange k -> when it has sent and received everything. */
static void deliver(const struct network *network, size_t k, double *times)
{
    size_t count = 0;
    for (size_t r = 0; r < ranks; r++) count += traces[r].count[k];
    envelope *waiting = bnn_alloc(count, sizeof *waiting);
    double out[MOST_RANKS], in[MOST_RANKS], done[MOST_RANKS];
    if (!waiting) exit(BNN_FAILED);
    for (size_t r = 0, n = 0; r < ranks; r++) {
        out[r] = in[r] = done[r] = times[r];
        for (size_t m = 0; m < traces[r].count[k]; m++) {
            const struct letter *letter = &traces[r].sent[k][m];
            waiting[n++] = (envelope){r, letter->to, (double)letter->bytes / network->bandwidth};
        }
    }
    while (count) { /* the message that can go first */
        size_t next = 0;
        double first = INFINITY;
        for (size_t m = 0; m < count; m++) {
            const double start = fmax(out[waiting[m].from], in[waiting[m].to]);
            if (start < first) first = start, next = m;
        }
        const envelope e = waiting[next];
        waiting[next] = waiting[--count];
        out[e.from] = in[e.to] = first + e.seconds;
        done[e.from] = fmax(done[e.from], out[e.from]);
        done[e.to] = fmax(done[e.to], in[e.to] + network->latency);
    }
    memcpy(times, done, ranks * sizeof *times);
    free(waiting);
}

/* Seconds of a step: until the last rank is done. */
static double step_on(const struct network *network)
{
    double times[MOST_RANKS], last = 0;
    for (size_t r = 0; r < ranks; r++) times[r] = traces[r].work[0];
    for (size_t k = 0; k < EXCHANGES; k++) {
        deliver(network, k, times);
        for (size_t r = 0; r < ranks; r++) times[r] += traces[r].work[k + 1];
    }
    for (size_t r = 0; r < ranks; r++) last = fmax(last, times[r]);
    return last;
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

/* The longest work of a rank, in seconds, and the most that one sends in a step, in bytes. */
static void summarise(double *work, double *bytes)
{
    *work = *bytes = 0;
    for (size_t r = 0; r < ranks; r++) {
        double seconds = traces[r].work[0], sent = 0;
        for (size_t k = 0; k < EXCHANGES; k++) {
            seconds += traces[r].work[k + 1];
            for (size_t m = 0; m < traces[r].count[k]; m++) sent += (double)traces[r].sent[k][m].bytes;
        }
        *work = fmax(*work, seconds);
        *bytes = fmax(*bytes, sent);
    }
}

static void simulate(const struct work *work, const bnn_real *in, const uint32_t *labels)
{
    double alone = 0;
    printf("\n%s\n%8s %12s %12s", work->name, "ranks", "work, ms", "sent, MB");
    for (size_t n = 0; n < NETWORKS; n++) printf("  %20s", networks[n].name);
    printf("\n");
    for (ranks = 1; ranks <= MOST_RANKS; ranks *= 2) {
        double seconds, bytes;
        for (rank = 0; rank < ranks; rank++) record(work, in, labels);
        summarise(&seconds, &bytes);
        if (ranks == 1) alone = seconds;
        printf("%8zu %12.2f %12.3f", ranks, seconds * 1e3, bytes * 1e-6);
        for (size_t n = 0; n < NETWORKS; n++) {
            const double step = step_on(&networks[n]);
            printf("  %9.2f ms %7.2f x", step * 1e3, alone / step);
        }
        printf("\n");
        fflush(stdout);
    }
    ranks = 1, rank = 0;
}

int main(int count, char **arguments)
{
    bench_start(arguments);
    printf(
        "a training step (adamw, one thread a rank): the longest work of a rank, what a rank sends at most, "
        "and\n"
        "with the exchanges over each network the whole, and how many times as fast as on one rank it is\n");
    for (size_t w = 0; w < sizeof works / sizeof *works; w++) {
        bnn_real *in = random_reals(works[w].items * SIDE * SIDE, 1, 4);
        uint32_t *labels = bnn_alloc(works[w].items, sizeof *labels);
        if (!labels) exit(BNN_FAILED);
        for (uint32_t i = 0; i < works[w].items; i++) labels[i] = i % CLASSES;
        if (count < 2 || strtoul(arguments[1], NULL, 10) == w) simulate(&works[w], in, labels);
        free(labels);
        free(in);
    }
    for (size_t r = 0; r < MOST_RANKS; r++)
        for (size_t k = 0; k < EXCHANGES; k++) free(traces[r].sent[k]);
    return 0;
}
