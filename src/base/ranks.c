#include "bnn/ranks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "bnn/io.h"

#ifdef BNN_MPI
/* ---- several ranks ------------------------------------------------------------------------------------------ */

#include <errno.h>
#include <mpi.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

/* A message of MPI has an int of bytes at most. */
#define MOST_BYTES ((size_t)1 << 30)

/* How long a rank that has failed waits for others that may have failed alike. */
#define GRACE 2.0

/* A message without bytes, before a rank ends all of them. */
#define LAST_WORD 1

/* How long the first rank that may tell of a loss listens whether it is told already; and others, which let it tell. */
#define FIRST_VOICE 0.1
#define SECOND_VOICE 5.0

/* How long a rank that waits only lets others run, before it sleeps. */
#define LIVELY 0.01

/* What ranks compare. */
#define SHORT_TEXT 256

/* Of steps, and of the end, which a rank that has failed comes to while others are in a step. */
static MPI_Comm steps = MPI_COMM_NULL, ending = MPI_COMM_NULL;

/* The process of each rank that runs where this one does, 0 of others: whether it lives can be asked. */
static pid_t *processes;

/* (ranks) How the work of each has ended: where messages may arrive to the end of the program. */
static int *statuses;

/* Seconds that a rank is waited for. */
static double patience = 600;

static void __attribute__((noreturn)) die(size_t rank, const char *what)
{
    fprintf(stderr, "bnn: rank %zu of %zu: %s (says rank %zu)\n", rank, bnn_ranks_count(), what, bnn_rank());
    bnn_ranks_abort(BNN_FAILED);
}

/* Whether a rank that has said why ends the job, within some seconds. */
static bool is_ended(double seconds)
{
    const double start = bnn_seconds();
    int told = 0;
    do {
        if (MPI_Iprobe(MPI_ANY_SOURCE, LAST_WORD, ending, &told, MPI_STATUS_IGNORE) != MPI_SUCCESS) break;
        usleep(1000);
    } while (!told && bnn_seconds() - start < seconds);
    return told;
}

/* Every other rank sees that one is lost: the first of them says so, and with that ends the job. */
static void __attribute__((noreturn)) die_of(size_t lost)
{
    const size_t first = lost == 0;
    if (is_ended(bnn_rank() == first ? FIRST_VOICE : SECOND_VOICE)) {
        is_ended(SECOND_VOICE);
        exit(BNN_FAILED);
    }
    die(lost, "lost contact");
}

static void read_patience(void)
{
    const char *text = getenv("BNN_RANKS_PATIENCE");
    if (!text || (bnn_decimal(text, &patience) && patience > 0)) return;
    if (bnn_rank() == 0)
        fprintf(stderr, "bnn: BNN_RANKS_PATIENCE: found %s, expected seconds, more than 0\n", text);
    else
        is_ended(SECOND_VOICE);
    bnn_ranks_abort(BNN_BAD_INPUT);
}

/* Where a rank runs. */
typedef struct place {
    char host[256];
    pid_t process;
} place;

/* processes <- those that this one sees. */
static bool find_processes(void)
{
    const size_t count = bnn_ranks_count();
    place own = {.process = getpid()}, *places = bnn_alloc(count, sizeof *places);
    processes = bnn_alloc(count, sizeof *processes);
    statuses = bnn_alloc(count, sizeof *statuses);
    bool found =
        places && processes && statuses && gethostname(own.host, sizeof own.host - 1) == 0 &&
        MPI_Allgather(&own, sizeof own, MPI_BYTE, places, sizeof own, MPI_BYTE, steps) == MPI_SUCCESS;
    for (size_t r = 0; found && r < count; r++)
        if (strcmp(places[r].host, own.host) == 0 && kill(places[r].process, 0) == 0)
            processes[r] = places[r].process;
    free(places);
    return found;
}

void bnn_ranks_begin(void)
{
    int level;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level) != MPI_SUCCESS ||
        level < MPI_THREAD_FUNNELED || MPI_Comm_dup(MPI_COMM_WORLD, &steps) != MPI_SUCCESS ||
        MPI_Comm_dup(MPI_COMM_WORLD, &ending) != MPI_SUCCESS || !find_processes()) {
        fputs("bnn: MPI cannot be started, or not for programs with threads\n", stderr);
        exit(BNN_FAILED);
    }
    MPI_Comm_set_errhandler(steps, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(ending, MPI_ERRORS_RETURN);
    read_patience();
}

void bnn_ranks_leave(void)
{
    if (steps == MPI_COMM_NULL) return;
    fflush(NULL);
    MPI_Comm_free(&steps);
    MPI_Comm_free(&ending);
    free(processes);
    free(statuses);
    processes = NULL;
    statuses = NULL;
    MPI_Finalize();
}

void bnn_ranks_part(void)
{
    const bool first = bnn_rank() == 0;
    bnn_ranks_leave();
    if (!first) exit(BNN_OK);
}

void bnn_ranks_abort(bnn_status status)
{
    fflush(NULL);
    if (steps == MPI_COMM_NULL) exit((int)status);
    MPI_Request word; /* nobody waits for it: NOLINTBEGIN(clang-analyzer-optin.mpi.MPI-Checker) */
    for (size_t r = 0; r < bnn_ranks_count(); r++)
        if (r != bnn_rank()) MPI_Isend(NULL, 0, MPI_BYTE, (int)r, LAST_WORD, ending, &word);
    is_ended(FIRST_VOICE); /* it goes out meanwhile: NOLINTEND(clang-analyzer-optin.mpi.MPI-Checker) */
    MPI_Abort(MPI_COMM_WORLD, (int)status);
    exit((int)status);
}

size_t bnn_ranks_count(void)
{
    int count = 1;
    if (steps != MPI_COMM_NULL) MPI_Comm_size(steps, &count);
    return (size_t)count;
}

size_t bnn_rank(void)
{
    int rank = 0;
    if (steps != MPI_COMM_NULL) MPI_Comm_rank(steps, &rank);
    return (size_t)rank;
}

static bool is_gone(size_t rank)
{
    return processes[rank] && kill(processes[rank], 0) && errno == ESRCH;
}

/* Between two looks at messages: others may want the processor. False where one of their ranks is gone. */
static bool pause_after(double waited, const size_t *ranks, int count)
{
    if (waited < LIVELY)
        sched_yield();
    else
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    for (int i = 0; waited >= LIVELY && i < count; i++)
        if (is_gone(ranks[i])) return false;
    return true;
}

/* Whether all requests are fulfilled within some seconds. `rank`: whose message is the first that is not. */
static bool wait_for(MPI_Request *requests, const size_t *ranks, int count, double seconds, size_t *rank)
{
    double last = bnn_seconds(), waited = 0;
    int done = 0;
    *rank = bnn_rank();
    while (!done && waited < seconds) {
        const double now = bnn_seconds();
        waited += now - last < 1 ? now - last : 0; /* it was this process that was stopped */
        last = now;
        if (MPI_Testall(count, requests, &done, MPI_STATUSES_IGNORE) != MPI_SUCCESS) break;
        if (!done && !pause_after(waited, ranks, count)) break;
    }
    for (int i = 0, fulfilled = 1; !done && i < count; i++) {
        if (is_gone(ranks[i])) return *rank = ranks[i], false;
        if (fulfilled) *rank = ranks[i];
        if (fulfilled && MPI_Test(&requests[i], &fulfilled, MPI_STATUS_IGNORE) != MPI_SUCCESS) fulfilled = 0;
    }
    return done;
}

/* Messages under way. */
typedef struct posted {
    MPI_Request *requests; /* (count) */
    size_t *ranks;         /* (count) */
    int count;
} posted;

static posted post(const bnn_exchange *x, MPI_Comm ranks)
{
    size_t room = 0;
    for (size_t m = 0; m < x->count; m++) room += (x->messages[m].size + MOST_BYTES - 1) / MOST_BYTES;
    posted p = {malloc((room + 1) * sizeof *p.requests), malloc((room + 1) * sizeof *p.ranks), 0};
    if (!p.requests || !p.ranks) die(bnn_rank(), "out of memory for messages");
    for (size_t m = 0; m < x->count; m++) {
        const bnn_message *message = &x->messages[m];
        for (size_t at = 0; at < message->size; at += MOST_BYTES, p.count++) {
            const size_t rest = message->size - at;
            const int size = (int)(rest < MOST_BYTES ? rest : MOST_BYTES), rank = (int)message->rank;
            char *data = (char *)message->data + at;
            MPI_Request *request = &p.requests[p.count];
            p.ranks[p.count] = message->rank;
            if ((message->sent ? MPI_Isend(data, size, MPI_BYTE, rank, 0, ranks, request)
                               : MPI_Irecv(data, size, MPI_BYTE, rank, 0, ranks, request)) != MPI_SUCCESS)
                die_of(message->rank);
        }
    }
    return p;
}

static void clear(posted *p)
{
    free(p->requests);
    free(p->ranks);
}

void bnn_exchange_run(const bnn_exchange *exchange)
{
    size_t silent;
    if (!exchange->count) return;
    posted p = post(exchange, steps);
    if (!wait_for(p.requests, p.ranks, p.count, patience, &silent)) die_of(silent);
    clear(&p);
}

void bnn_ranks_tell(void *data, size_t size)
{
    bnn_exchange x = {.messages = NULL};
    bnn_error error;
    bnn_status status = BNN_OK;
    if (bnn_rank() > 0) status = bnn_exchange_receive(&x, 0, data, size, &error);
    for (size_t r = 1; !status && bnn_rank() == 0 && r < bnn_ranks_count(); r++)
        status = bnn_exchange_send(&x, r, data, size, &error);
    if (status) die(bnn_rank(), error.message);
    bnn_exchange_run(&x);
    bnn_exchange_free(&x);
}

/* A text of any length, short: what is left out is told by a hash. */
static void shorten(const char *text, char out[SHORT_TEXT])
{
    char sha256[BNN_SHA256];
    if (snprintf(out, SHORT_TEXT, "%s", text) < SHORT_TEXT) return;
    bnn_sha256(text, strlen(text), sha256);
    snprintf(out, SHORT_TEXT, "%.120s... (SHA-256 %s)", text, sha256);
}

bnn_status bnn_ranks_agree(const char *what, const char *text, bnn_error *error)
{
    const size_t count = bnn_ranks_count();
    bnn_exchange x = {.messages = NULL};
    char(*texts)[SHORT_TEXT] = bnn_alloc(count, sizeof *texts);
    size_t *begin = bnn_alloc(count + 1, sizeof *begin);
    bnn_status status = texts && begin ? BNN_OK : bnn_no_memory(error, "ranks", count, sizeof *texts);
    if (!status) {
        shorten(text, texts[bnn_rank()]);
        for (size_t r = 0; r <= count; r++) begin[r] = r;
        status = bnn_exchange_gather(&x, texts, sizeof *texts, begin, error);
    }
    if (!status) bnn_exchange_run(&x);
    for (size_t r = 1; !status && r < count; r++)
        if (strcmp(texts[r], texts[0]) != 0)
            status = bnn_fail(error, BNN_BAD_INPUT, "rank %zu: %s: found %s, expected that of rank 0, %s", r,
                              what, texts[r], texts[0]);
    bnn_exchange_free(&x);
    free(begin);
    free(texts);
    return status;
}

/* What the job comes to, once it is known what every rank does. */
static void conclude(bnn_status *status, bnn_error *error)
{
    const size_t count = bnn_ranks_count();
    char who[32];
    size_t failed = 0, first = count;
    for (size_t r = count; r-- > 0;)
        if (statuses[r]) failed++, first = r;
    if (!failed) return;
    *status = (bnn_status)statuses[first];
    snprintf(who, sizeof who, "rank %zu", first);
    if (bnn_rank() != first)
        error->message[0] = '\0';
    else if (failed < count && error->message[0])
        bnn_fail_in(error, *status, who);
}

bool bnn_ranks_meet(bnn_status *status, bnn_error *error)
{
    const size_t count = bnn_ranks_count();
    if (count == 1) return true;
    char who[32];
    bnn_exchange x = {.messages = NULL};
    size_t *begin = bnn_alloc(count + 1, sizeof *begin), silent;
    for (size_t r = 0; begin && r <= count; r++) begin[r] = r;
    bool met = begin && !bnn_exchange_gather(&x, statuses, sizeof *statuses, begin, NULL);
    if (met) {
        statuses[bnn_rank()] = (int)*status;
        posted p = post(&x, ending);
        met = wait_for(p.requests, p.ranks, p.count, *status ? GRACE : patience, &silent);
        if (!met && !*status) die_of(silent);
        clear(&p);
    }
    snprintf(who, sizeof who, "rank %zu", bnn_rank());
    if (met)
        conclude(status, error);
    else
        bnn_fail_in(error, *status, who);
    bnn_exchange_free(&x);
    free(begin);
    return met;
}

#else
/* ---- one rank ------------------------------------------------------------------------------------------- */

void bnn_ranks_begin(void)
{
}

void bnn_ranks_part(void)
{
}

void bnn_ranks_leave(void)
{
}

bool bnn_ranks_meet(bnn_status *status, bnn_error *error)
{
    (void)status, (void)error;
    return true;
}

void bnn_ranks_abort(bnn_status status)
{
    exit((int)status);
}

size_t bnn_ranks_count(void)
{
    return 1;
}

size_t bnn_rank(void)
{
    return 0;
}

void bnn_ranks_tell(void *data, size_t size)
{
    (void)data, (void)size;
}

bnn_status bnn_ranks_agree(const char *what, const char *text, bnn_error *error)
{
    (void)what, (void)text, (void)error;
    return BNN_OK;
}

void bnn_exchange_run(const bnn_exchange *exchange)
{
    (void)exchange;
}
#endif
