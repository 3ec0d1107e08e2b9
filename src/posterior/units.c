#include "posterior/units.h"

#include <stdlib.h>

bnn_units bnn_units_cut(size_t groups, size_t chunks, const bnn_run *runs, size_t run_count)
{
    const bnn_run *last = &runs[run_count - 1];
    const size_t rank = bnn_rank();
    bnn_units u = {.groups = groups, .chunks = chunks, .units = groups * chunks};
    u.count = last->from + last->count;
    u.first = bnn_rank_begin(u.units, rank);
    u.end = bnn_rank_begin(u.units, rank + 1);
    u.first_run = bnn_rank_begin(run_count, rank);
    u.end_run = bnn_rank_begin(run_count, rank + 1);
    u.from = bnn_units_slice(&u, runs, run_count, rank);
    u.reduced = bnn_units_slice(&u, runs, run_count, rank + 1) - u.from;
    return u;
}

size_t bnn_units_slice(const bnn_units *units, const bnn_run *runs, size_t run_count, size_t rank)
{
    const size_t run = bnn_rank_begin(run_count, rank);
    return run < run_count ? runs[run].from : units->count;
}

bool bnn_units_has(const bnn_units *units, size_t unit)
{
    return unit >= units->first && unit < units->end;
}

bool bnn_units_reduces(const bnn_units *units, size_t r)
{
    return r >= units->first_run && r < units->end_run;
}

/* Whether of several ranks one has all of the units from `unit` on, up to `width` of them that are of one group. */
static bool are_of_one_rank(const bnn_units *u, size_t unit, size_t width)
{
    const size_t c = unit % u->chunks,
                 last = c + width < u->chunks ? unit + width - 1 : unit - c + u->chunks - 1;
    return bnn_ranks_count() > 1 && bnn_rank_of(u->units, unit) == bnn_rank_of(u->units, last);
}

/* How many of the chunks from `unit` on, the first of such, their rank adds up. */
static size_t joined(const bnn_units *u, size_t unit)
{
    const size_t c = unit % u->chunks;
    size_t width = 1;
    while (c % (2 * width) == 0 && width < u->chunks && are_of_one_rank(u, unit, 2 * width)) width *= 2;
    return c + width < u->chunks ? width : u->chunks - c;
}

/* Adds what ranks send each other of the sum that begins with `unit`; `sums`: of other ranks, so far. */
static bnn_status add_sum(bnn_units *u, size_t unit, const bnn_run *runs, size_t run_count, size_t *sums,
                          bnn_exchange *exchange, bnn_error *error)
{
    const size_t rank = bnn_rank_of(u->units, unit);
    bnn_status status = BNN_OK;
    u->place[unit] = bnn_units_has(u, unit) ? 0 : (*sums)++;
    for (bnn_of of = 0; of < BNN_OF_COUNT && u->own[of]; of++)
        if (!bnn_units_has(u, unit))
            status = bnn_exchange_receive(exchange, rank, u->received[of] + u->place[unit] * u->reduced,
                                          u->reduced * sizeof **u->own, error);
        else
            for (size_t r = 0; !status && r < bnn_ranks_count(); r++) {
                const size_t from = bnn_units_slice(u, runs, run_count, r);
                status = bnn_exchange_send(
                    exchange, r, bnn_units_gradient(u, of, unit) + from,
                    (bnn_units_slice(u, runs, run_count, r + 1) - from) * sizeof **u->own, error);
            }
    return status;
}

bnn_status bnn_units_create(bnn_units *units, const bnn_run *runs, size_t run_count, bool spread,
                            bnn_exchange *exchange, bnn_error *error)
{
    bnn_units *u = units;
    const size_t own = u->end - u->first, kinds = spread ? BNN_OF_COUNT : 1;
    size_t sums = 0;
    for (size_t unit = 0; unit < u->units; unit += joined(u, unit)) sums += !bnn_units_has(u, unit);
    u->place = bnn_alloc(u->units, sizeof *u->place);
    bool made = u->place;
    for (size_t of = 0; of < kinds; of++) {
        u->own[of] = bnn_alloc(own * u->count, sizeof **u->own);
        u->received[of] = bnn_alloc(bnn_ranks_count() > 1 ? sums * u->reduced : 0, sizeof **u->own);
        made = made && u->own[of] && u->received[of];
    }
    if (!made) return bnn_no_memory(error, "a training step", own * u->count, sizeof **u->own);
    bnn_status status = BNN_OK;
    sums = 0;
    for (size_t unit = 0; !status && unit < u->units; unit += joined(u, unit))
        status = add_sum(u, unit, runs, run_count, &sums, exchange, error);
    return status;
}

void bnn_units_free(bnn_units *units)
{
    for (size_t of = 0; of < BNN_OF_COUNT; of++) {
        free(units->own[of]);
        free(units->received[of]);
    }
    free(units->place);
}

bnn_real *bnn_units_gradient(const bnn_units *units, bnn_of of, size_t unit)
{
    return units->own[of] ? units->own[of] + (unit - units->first) * units->count : NULL;
}

/* A unit's gradient at a run's first parameter, or another rank's sum that begins with the unit. */
static bnn_real *at(const bnn_units *u, bnn_of of, size_t unit, const bnn_run *run)
{
    if (bnn_units_has(u, unit)) return bnn_units_gradient(u, of, unit) + run->from;
    return u->received[of] + u->place[unit] * u->reduced + (run->from - u->from);
}

/* Adds up a group's chunks over one run, by halves, left in the first chunk's array: what is of one rank alone, or what is not. */
static void add_up(const bnn_units *u, bnn_of of, size_t group, const bnn_run *run, bool of_one)
{
    for (size_t half = 1; half < u->chunks; half *= 2)
        for (size_t c = 0; c + half < u->chunks; c += 2 * half) {
            const size_t unit = group * u->chunks + c;
            if (are_of_one_rank(u, unit, 2 * half) != of_one || (of_one && !bnn_units_has(u, unit))) continue;
            bnn_real *sum = at(u, of, unit, run);
            const bnn_real *other = at(u, of, unit + half, run);
            for (size_t j = 0; j < run->count; j++) sum[j] += other[j];
        }
}

void bnn_units_join(const bnn_units *units, const bnn_run *run)
{
    for (size_t g = units->first / units->chunks; g * units->chunks < units->end; g++)
        for (bnn_of of = 0; of < BNN_OF_COUNT && units->own[of]; of++) add_up(units, of, g, run, true);
}

const bnn_real *bnn_units_sum(const bnn_units *units, bnn_of of, size_t group, const bnn_run *run)
{
    add_up(units, of, group, run, false);
    return at(units, of, group * units->chunks, run);
}
