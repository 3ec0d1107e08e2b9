#include "bnn/ranks.h"

#include <stdlib.h>

size_t bnn_rank_begin(size_t total, size_t rank)
{
    return rank * total / bnn_ranks_count();
}

size_t bnn_rank_of(size_t total, size_t piece)
{
    return ((piece + 1) * bnn_ranks_count() - 1) / total;
}

static bnn_status add(bnn_exchange *x, bnn_message message, bnn_error *error)
{
    if (message.rank == bnn_rank() || !message.size) return BNN_OK;
    if (x->count == x->room) {
        const size_t room = x->room ? 2 * x->room : 16;
        bnn_message *more = realloc(x->messages, room * sizeof *more);
        if (!more) return bnn_no_memory(error, "messages", room, sizeof *more);
        x->messages = more;
        x->room = room;
    }
    x->messages[x->count++] = message;
    return BNN_OK;
}

bnn_status bnn_exchange_send(bnn_exchange *exchange, size_t rank, void *data, size_t size, bnn_error *error)
{
    return add(exchange, (bnn_message){rank, true, data, size}, error);
}

bnn_status bnn_exchange_receive(bnn_exchange *exchange, size_t rank, void *data, size_t size,
                                bnn_error *error)
{
    return add(exchange, (bnn_message){rank, false, data, size}, error);
}

bnn_status bnn_exchange_gather(bnn_exchange *exchange, void *data, size_t size, const size_t *begin,
                               bnn_error *error)
{
    char *const bytes = data;
    const size_t own = bnn_rank();
    bnn_status status = BNN_OK;
    for (size_t r = 0; !status && r < bnn_ranks_count(); r++) {
        status = bnn_exchange_send(exchange, r, bytes + begin[own] * size,
                                   (begin[own + 1] - begin[own]) * size, error);
        if (!status)
            status = bnn_exchange_receive(exchange, r, bytes + begin[r] * size,
                                          (begin[r + 1] - begin[r]) * size, error);
    }
    return status;
}

void bnn_exchange_free(bnn_exchange *exchange)
{
    free(exchange->messages);
    *exchange = (bnn_exchange){.messages = NULL};
}
