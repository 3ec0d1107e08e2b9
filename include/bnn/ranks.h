/* Ranks: the processes that share the work of one command, as `mpirun -np R bnn ...` starts them, and what they tell each other. A
 * build without MPI (make MPI=1) has one, and one rank tells nobody anything. Rank 0 alone writes files and speaks.
 *
 * All ranks call the functions that talk in the same order, each from its first thread. What work a rank does is told by the
 * work and its own number; the order in which numbers are added never is, so results have the same bits for any R.
 *
 * A rank that is lost, or silent for BNN_RANKS_PATIENCE seconds (environment; default 600), ends the job: one line on standard
 * error names it, and the exit code is 1. */
#ifndef BNN_RANKS_H
#define BNN_RANKS_H

#include <stdbool.h>
#include <stddef.h>

#include "bnn/status.h"

/* Joins the other ranks, at the beginning of the program. Before it, and without others, R is 1. */
void bnn_ranks_begin(void);

/* For work that is not shared: rank 0 goes on alone, the other processes end, with exit code 0. */
void bnn_ranks_part(void);

/* The end of the work, for every rank. *status and *error <- those of the job: where all have failed, what rank 0 says; where
 * some have, what the first of these says, with its number. They are left to that rank to print: *error has no message on the others.
 * False where this rank has failed and others do not come, as they count on it: it is to print *error and call bnn_ranks_abort. */
bool bnn_ranks_meet(bnn_status *status, bnn_error *error);

/* Leaves the other ranks, once all have come to this point. R is 1 from then on. */
void bnn_ranks_leave(void);

/* Ends all ranks with that exit code. */
void bnn_ranks_abort(bnn_status status) __attribute__((noreturn));

size_t bnn_ranks_count(void); /* R */
size_t bnn_rank(void);        /* of this process, from 0 */

/* The first of `total` pieces of work that is a rank's; it has those before the next rank's first. Of rank R: total. */
size_t bnn_rank_begin(size_t total, size_t rank);

/* The rank that has a piece. */
size_t bnn_rank_of(size_t total, size_t piece);

/* data (size bytes) <- rank 0's. */
void bnn_ranks_tell(void *data, size_t size);

/* BNN_BAD_INPUT, on every rank, where one has another text than rank 0; the message names it and says what the text is. */
bnn_status bnn_ranks_agree(const char *what, const char *text, bnn_error *error);

/* Messages that go out together, as often as wanted, from and to the same places. One of zero bytes is empty. */
typedef struct bnn_message {
    size_t rank; /* from which, or to which */
    bool sent;   /* or received */
    void *data;  /* borrowed */
    size_t size; /* bytes */
} bnn_message;

typedef struct bnn_exchange {
    bnn_message *messages; /* (count) */
    size_t count, room;
} bnn_exchange;

/* Adds a message; what one rank sends to another arrives in the order in which both add it. */
bnn_status bnn_exchange_send(bnn_exchange *exchange, size_t rank, void *data, size_t size, bnn_error *error);
bnn_status bnn_exchange_receive(bnn_exchange *exchange, size_t rank, void *data, size_t size,
                                bnn_error *error);

/* Adds what gives every rank all of data: items of `size` bytes, of which rank r has those from begin[r] up to begin[r + 1]. */
bnn_status bnn_exchange_gather(bnn_exchange *exchange, void *data, size_t size, const size_t *begin,
                               bnn_error *error);

/* Sends and receives all of it, and returns when it has arrived. */
void bnn_exchange_run(const bnn_exchange *exchange);
void bnn_exchange_free(bnn_exchange *exchange); /* one of zero bytes is legal */

#endif
