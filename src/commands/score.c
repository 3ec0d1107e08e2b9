#include <math.h>
#include <stdlib.h>

#include "bnn/metrics.h"
#include "bnn/npy.h"
#include "commands/command.h"
#include "commands/figures.h"

/* (N,C), (G,N,C) or (T,G,N,C). */
static bnn_status check_shape(const char *path, const bnn_npy *probs, size_t shape[4], bnn_error *error)
{
    if (probs->rank < 2 || probs->rank > 4 || probs->count == 0)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: found an array of rank %zu, expected (N,C), (G,N,C) or (T,G,N,C)", path,
                        probs->rank);
    for (size_t i = 0; i < 4; i++) shape[i] = i + probs->rank < 4 ? 1 : probs->shape[i + probs->rank - 4];
    return BNN_OK;
}

static bnn_status read_labels(const char *path, size_t images, size_t classes, uint32_t **labels,
                              bnn_error *error)
{
    bnn_npy *array = NULL;
    bnn_status status = bnn_npy_read(path, &array, error);
    if (status) return status;
    if (array->count != images) {
        status = bnn_fail(error, BNN_BAD_INPUT, "%s: found %zu labels, expected one for each of %zu images",
                          path, array->count, images);
        goto done;
    }
    *labels = bnn_alloc(images, sizeof **labels);
    if (!*labels) status = bnn_no_memory(error, "labels", images, sizeof **labels);
    for (size_t i = 0; !status && i < images; i++) {
        const double label = array->data[i];
        if (!(label >= 0 && label < (double)classes) || label != floor(label))
            status = bnn_fail(error, BNN_BAD_INPUT, "%s: label %zu is %g, expected an integer from 0 to %zu",
                              path, i, label, classes - 1);
        else
            (*labels)[i] = (uint32_t)label;
    }
done:
    bnn_npy_free(array);
    return status;
}

static bnn_status score(const cmd_line *line, const bnn_npy *probs, const size_t shape[4],
                        const uint32_t *labels, bnn_error *error)
{
    bnn_metrics_accumulator *accumulator = NULL;
    bnn_metrics *metrics = NULL;
    bnn_status status = bnn_metrics_begin(shape[0], shape[1], shape[3], &accumulator, error);
    if (!status) {
        status = bnn_metrics_add(accumulator, probs->data, shape[2], labels, error);
        if (status == BNN_BAD_INPUT) bnn_fail_in(error, status, cmd_value(line, "probs"));
    }
    if (!status) status = bnn_metrics_end(accumulator, &metrics, error);
    if (!status) {
        cJSON *json = cJSON_CreateObject();
        figures_add_basic(json, metrics);
        figures_add_uncertainty(json, metrics);
        if (probs->rank > 2) figures_add_equivariance(json, metrics, NULL, 0, 0, NULL, NULL);
        if (cmd_flag(line, "json"))
            status = cmd_print_json(json, error);
        else {
            figures_print(json);
            cJSON_Delete(json);
        }
    }
    bnn_metrics_free(metrics);
    bnn_metrics_discard(accumulator);
    return status;
}

static bnn_status run(const subcommand *command, int argc, char **argv, bnn_error *error)
{
    cmd_line line;
    bool done;
    bnn_npy *probs = NULL;
    uint32_t *labels = NULL;
    size_t shape[4];
    bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    if (status || done) return status;
    const char *probs_path = cmd_value(&line, "probs"), *labels_path = cmd_value(&line, "labels");
    if (!probs_path) return bnn_fail(error, BNN_BAD_INPUT, "bnn score: --probs P.npy is missing");
    status = bnn_npy_read(probs_path, &probs, error);
    if (!status) status = check_shape(probs_path, probs, shape, error);
    if (!status && labels_path) status = read_labels(labels_path, shape[2], shape[3], &labels, error);
    if (!status) status = score(&line, probs, shape, labels, error);
    free(labels);
    bnn_npy_free(probs);
    return status;
}

static const cmd_option options[] = {
    {"probs", "P.npy", "probabilities: (N,C), (G,N,C) with the identity first, or (T,G,N,C)"},
    {"labels", "Y.npy", "labels (N); without them only what needs none"},
    {"json", NULL, "print one JSON object"},
    {NULL, NULL, NULL},
};

const subcommand cmd_score = {.name = "score",
                              .operands = "",
                              .summary = "measure predictions of any framework",
                              .options = options,
                              .run = run};
