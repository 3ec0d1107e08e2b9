/* The gradients of a step's units, and their sums: who has which. Units are cut by the work alone; rank r of R runs consecutive
 * ones, and reduces consecutive runs of the parameters, its slice.
 *
 * A sample's chunks are added up by halves, ((c0 + c1) + (c2 + c3)) + ...: of that tree, a rank adds up what is all its own, and sends
 * the sums, slice by slice, to the ranks that reduce these. They finish the tree: the same additions, whoever does them. */
#ifndef BNN_SRC_UNITS_H
#define BNN_SRC_UNITS_H

#include "bnn/posterior.h"
#include "bnn/ranks.h"
#include "bnn/status.h"

/* What a unit has a gradient of. */
typedef enum bnn_of { BNN_OF_WEIGHTS, BNN_OF_SPREAD, BNN_OF_COUNT } bnn_of;

typedef struct bnn_units {
    size_t groups, chunks, units;     /* units: (groups of samples, chunks of items) */
    size_t count;                     /* parameters */
    size_t first, end;                /* units of this rank */
    size_t first_run, end_run;        /* runs that it reduces: */
    size_t from, reduced;             /* consecutive parameters, its slice */
    bnn_real *own[BNN_OF_COUNT];      /* (end - first, count) */
    size_t *place;                    /* (units) of another rank's sum that begins with the unit, in: */
    bnn_real *received[BNN_OF_COUNT]; /* (those sums, reduced) */
} bnn_units;

/* Cuts the work; without its arrays, and nothing to free. `runs` (run_count): all of the parameters. */
bnn_units bnn_units_cut(size_t groups, size_t chunks, const bnn_run *runs, size_t run_count);

/* The first parameter of a rank's slice; of rank R: all parameters. */
size_t bnn_units_slice(const bnn_units *units, const bnn_run *runs, size_t run_count, size_t rank);

/* Makes the arrays, with those of the spread where `spread`, and adds to the exchange what has to arrive before bnn_units_sum. */
bnn_status bnn_units_create(bnn_units *units, const bnn_run *runs, size_t run_count, bool spread,
                            bnn_exchange *exchange, bnn_error *error);
void bnn_units_free(bnn_units *units); /* one of zero bytes is legal */

bool bnn_units_has(const bnn_units *units, size_t unit);  /* this rank runs the unit */
bool bnn_units_reduces(const bnn_units *units, size_t r); /* and reduces run r */

/* (count) of a unit of this rank; NULL of the spread where there is none. */
bnn_real *bnn_units_gradient(const bnn_units *units, bnn_of of, size_t unit);

/* Of several ranks, before the exchange: adds up what is this rank's, over one run. */
void bnn_units_join(const bnn_units *units, const bnn_run *run);

/* The sum of a group's chunks over one run that this rank reduces, once it has what others sent. It takes the place of a summand:
 * to be asked for once a step. */
const bnn_real *bnn_units_sum(const bnn_units *units, bnn_of of, size_t group, const bnn_run *run);

#endif
