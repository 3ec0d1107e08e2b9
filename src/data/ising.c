#include "data/ising.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum {
    FORGET = 100,  /* turns of each spin, on average, before anything is measured */
    MEASURE = 100, /* over which the mean cluster is measured */
    APART = 8      /* between two configurations */
};

struct bnn_ising {
    size_t size;
    uint64_t bond;  /* 2^32 times the probability that an equal neighbour joins the cluster, 1 - exp(-2/T) */
    size_t updates; /* cluster flips between two configurations */
    bnn_pcg32 rng;
    int8_t *spins;    /* (size, size) */
    uint32_t *border; /* (size * size): sites of the cluster whose neighbours are to be asked */
};

void bnn_ising_free(bnn_ising *chain)
{
    if (!chain) return;
    free(chain->border);
    free(chain->spins);
    free(chain);
}

/* Flips the cluster of a random site; returns the sites in it. */
static size_t flip_cluster(bnn_ising *c)
{
    const uint32_t size = (uint32_t)c->size, sites = size * size;
    const uint32_t seed = bnn_pcg32_below(&c->rng, sites);
    const int8_t spin = c->spins[seed];
    size_t waiting = 1, flipped = 1;
    c->spins[seed] = (int8_t)-spin;
    c->border[0] = seed;
    while (waiting > 0) {
        const uint32_t at = c->border[--waiting], x = at % size, row = at - x;
        const uint32_t neighbours[4] = {x ? at - 1 : row + size - 1, x + 1 < size ? at + 1 : row,
                                        row ? at - size : at + sites - size,
                                        row + size < sites ? at + size : x};
        for (size_t n = 0; n < 4; n++) {
            const uint32_t next = neighbours[n];
            if (c->spins[next] != spin || bnn_pcg32_next(&c->rng) >= c->bond) continue;
            c->spins[next] = (int8_t)-spin;
            c->border[waiting++] = next;
            flipped++;
        }
    }
    return flipped;
}

/* Cluster flips until `turns` of each spin, on average; returns their number. */
static size_t run_chain(bnn_ising *c, size_t turns)
{
    size_t flipped = 0, updates = 0;
    for (; flipped < turns * c->size * c->size; updates++) flipped += flip_cluster(c);
    return updates;
}

bnn_status bnn_ising_create(size_t size, double temperature, bnn_stream stream, bnn_ising **chain,
                            bnn_error *error)
{
    bnn_ising *c = bnn_alloc(1, sizeof *c);
    *chain = NULL;
    if (!c) return bnn_no_memory(error, "a lattice", 1, sizeof *c);
    *c = (bnn_ising){.size = size,
                     .bond = (uint64_t)ldexp(-expm1(-2 / temperature), 32),
                     .rng = bnn_stream_open(stream),
                     .spins = bnn_alloc(size * size, sizeof *c->spins),
                     .border = bnn_alloc(size * size, sizeof *c->border)};
    if (!c->spins || !c->border) {
        bnn_ising_free(c);
        return bnn_no_memory(error, "a lattice", size * size, sizeof *c->border);
    }
    for (size_t i = 0; i < size * size; i++) c->spins[i] = 1;
    run_chain(c, FORGET);
    c->updates = run_chain(c, MEASURE) * APART / MEASURE + 1;
    *chain = c;
    return BNN_OK;
}

void bnn_ising_next(bnn_ising *chain, int8_t *spins)
{
    for (size_t i = 0; i < chain->updates; i++) flip_cluster(chain);
    const bool turned = bnn_pcg32_next(&chain->rng) & 1;
    for (size_t i = 0; i < chain->size * chain->size; i++)
        spins[i] = (int8_t)(turned ? -chain->spins[i] : chain->spins[i]);
}
