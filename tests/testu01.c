/* The raw bits behind the weight draws under the batteries of TestU01 (L'Ecuyer and Simard, "TestU01: A C Library for
 * Empirical Testing of Random Number Generators", ACM Trans. Math. Softw. 33(4), 2007), in the order in which training
 * uses them: step by step, run by run of the parameters, sample by sample, from each stream as many consecutive outputs
 * as bnn_normals takes.
 *     make testu01                           SmallCrush, seconds
 *     make testu01 BATTERY=crush             Crush, half an hour
 *     make testu01 BATTERY=crush-reversed    the bits of every output in reverse order, as the batteries look mostly at
 *                                            the upper ones; smallcrush-reversed too
 * Fails when a p-value lies within 1e-6 of 0 or 1; of the 15 and 144 of the two batteries, some within 1e-3 are chance.
 * Needs libtestu01-0-dev (Debian, section non-free; not part of `make deps`). */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <testu01/bbattery.h>
#include <testu01/swrite.h>
#include <testu01/unif01.h>

#include "bnn/posterior.h"

enum { SEED = 0, SAMPLES = 10 };
#define SUSPICIOUS 1e-6

/* Where training stands: the outputs of a stream that are left, and which stream is next. */
typedef struct source {
    const bnn_run *runs; /* (run_count) */
    size_t run_count, run, sample, left;
    uint64_t step;
    bnn_pcg32 rng;
    bool reversed;
} source;

/* The stream of bnn_sampler_noise; bnn_normals takes pairs of lanes, whole ones at the end of a run too. */
static void open_next(source *s)
{
    enum { TURN = 2 * BNN_NORMAL_LANES };
    const bnn_run *run = &s->runs[s->run];
    s->rng = bnn_stream_open(
        bnn_stream_of(SEED, BNN_STREAM_TRAIN_NOISE, s->step, s->sample, run->layer + (run->index << 16)));
    s->left = (run->count + TURN - 1) / TURN * TURN;
    if (++s->sample < SAMPLES) return;
    s->sample = 0;
    if (++s->run < s->run_count) return;
    s->run = 0;
    s->step++;
}

static uint32_t reversed(uint32_t x)
{
    x = (x >> 1 & 0x55555555u) | (x & 0x55555555u) << 1;
    x = (x >> 2 & 0x33333333u) | (x & 0x33333333u) << 2;
    x = (x >> 4 & 0x0f0f0f0fu) | (x & 0x0f0f0f0fu) << 4;
    return __builtin_bswap32(x);
}

static unsigned long next_bits(void *param, void *state)
{
    source *s = state;
    (void)param;
    if (s->left == 0) open_next(s);
    s->left--;
    const uint32_t bits = bnn_pcg32_next(&s->rng);
    return s->reversed ? reversed(bits) : bits;
}

static double next_uniform(void *param, void *state)
{
    return (double)next_bits(param, state) * 0x1p-32;
}

static void write_state(void *state)
{
    const source *s = state;
    printf("step %llu, run %zu, sample %zu\n", (unsigned long long)s->step, s->run, s->sample);
}

static const struct battery {
    const char *name;
    void (*run)(unif01_Gen *generator);
    bool reversed;
} batteries[] = {{"smallcrush", bbattery_SmallCrush, false},
                 {"smallcrush-reversed", bbattery_SmallCrush, true},
                 {"crush", bbattery_Crush, false},
                 {"crush-reversed", bbattery_Crush, true}};

static const struct battery *find_battery(const char *name)
{
    for (size_t i = 0; i < sizeof batteries / sizeof *batteries; i++)
        if (strcmp(batteries[i].name, name) == 0) return &batteries[i];
    return NULL;
}

/* The number of p-values that cannot be chance. */
static int suspicious(void)
{
    int count = 0;
    for (int i = 0; i < bbattery_NTests; i++)
        count +=
            bbattery_pVal[i] >= 0 && !(bbattery_pVal[i] > SUSPICIOUS && bbattery_pVal[i] < 1 - SUSPICIOUS);
    return count;
}

static bnn_status run_battery(const struct battery *battery, bnn_error *error)
{
    const bnn_network_spec spec = {.type = BNN_NETWORK_FCNN, /* the default one */
                                   .input = {1, 28, 28},
                                   .classes = 10,
                                   .widths = {32, 64},
                                   .width_count = 2,
                                   .kernel = 3};
    bnn_network *network = NULL;
    bnn_run *runs = NULL;
    bnn_status status = bnn_network_create(&spec, &network, error);
    const size_t count = status ? 0 : bnn_network_runs(network, NULL);
    if (!status && !(runs = bnn_alloc(count, sizeof *runs)))
        status = bnn_no_memory(error, "runs", count, sizeof *runs);
    if (!status) {
        source s = {.runs = runs, .run_count = count, .reversed = battery->reversed};
        char name[] = "bnn's weight draws, raw";
        unif01_Gen generator = {
            .state = &s, .name = name, .GetU01 = next_uniform, .GetBits = next_bits, .Write = write_state};
        bnn_network_runs(network, runs);
        swrite_Basic = FALSE; /* the summary alone */
        battery->run(&generator);
        if (suspicious())
            status = bnn_fail(error, BNN_FAILED, "%d p-values within %g of 0 or 1", suspicious(), SUSPICIOUS);
    }
    free(runs);
    bnn_network_free(network);
    return status;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "smallcrush";
    const struct battery *battery = find_battery(name);
    bnn_error error;
    const bnn_status status =
        battery ? run_battery(battery, &error)
                : bnn_fail(&error, BNN_BAD_INPUT,
                           "found %s, expected smallcrush or crush, with -reversed or not", name);
    if (status) fprintf(stderr, "testu01: %s\n", error.message);
    return (int)status;
}
