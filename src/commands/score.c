#include <math.h>
#include <stdlib.h>

#include "bnn/metrics.h"
#include "bnn/npy.h"
#include "bnn/numeric.h"
#include "commands/command.h"
#include "commands/figures.h"

/* --renormalize takes rows whose sum is this close to 1: more than rounding to any common format, and less than what is no
 * distribution. */
#define RENORMALIZED_MOST 0.05

/* (N,C), (G,N,C) or (T,G,N,C). */
static bnn_status check_shape(const char *path, const bnn_npy *probs, size_t shape[4], bnn_error *error)
{
    char text[200];
    if (probs->rank < 2 || probs->rank > 4 || probs->count == 0)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "%s: found an array of shape %s, expected (N,C), (G,N,C) or (T,G,N,C), none of them 0", path,
            bnn_npy_shape_text(probs, text));
    for (size_t i = 0; i < 4; i++) shape[i] = i + probs->rank < 4 ? 1 : probs->shape[i + probs->rank - 4];
    return BNN_OK;
}

/* Refuses rows that are too far from a distribution, and with `renormalize` divides the others by their sums. What is no
 * number at all is left for bnn_metrics_add to refuse. */
static bnn_status check_sums(bnn_npy *probs, const size_t shape[4], bool renormalize, bnn_error *error)
{
    const size_t order = shape[1], images = shape[2], classes = shape[3];
    const double most = renormalize ? RENORMALIZED_MOST : BNN_ROW_SUM_TOLERANCE;
    for (size_t row = 0; row < probs->count / classes; row++) {
        double *p = probs->data + row * classes, sum = 0;
        for (size_t c = 0; c < classes; c++) sum += p[c];
        if (isfinite(sum) && fabs(sum - 1) > most)
            return bnn_fail(
                error, BNN_BAD_INPUT,
                "draw %zu, group element %zu, image %zu: found probabilities that sum to %.9g, expected 1 "
                "within %g%s",
                row / images / order, row / images % order, row % images, sum, most,
                renormalize ? "" : "; --renormalize divides every row by its sum");
        for (size_t c = 0; renormalize && c < classes; c++) p[c] /= sum;
    }
    return BNN_OK;
}

/* The log-likelihoods that logits tell better than their probabilities do; empty without labels. */
typedef struct likelihoods {
    double *members;  /* (T, G, N) log p_t(y | g.x) */
    double *mean;     /* (G, N) log F(g.x)_y */
    double *expected; /* (N) mean over the draws at g = e */
} likelihoods;

/* The row (T, G, N) of logits <- its probabilities. */
static bnn_status to_probabilities(double *row, size_t number, const size_t shape[4], const uint32_t *labels,
                                   double *likelihood, bnn_error *error)
{
    const size_t order = shape[1], images = shape[2], classes = shape[3];
    char text[BNN_NUMBER_TEXT];
    for (size_t c = 0; c < classes; c++)
        if (!isfinite(row[c]))
            return bnn_fail(
                error, BNN_BAD_INPUT,
                "draw %zu, group element %zu, image %zu: found the logit %s of class %zu, expected "
                "a finite number",
                number / images / order, number / images % order, number % images,
                bnn_number_text(row[c], text), c);
    const double log_sum = bnn_log_mean_exp(row, classes, 1) + log((double)classes);
    if (labels) *likelihood = row[labels[number % images]] - log_sum;
    for (size_t c = 0; c < classes; c++) row[c] = exp(row[c] - log_sum);
    return BNN_OK;
}

/* The array's logits <- probabilities, `l` and `terms` <- what they say of the labels. */
static bnn_status take_logits(bnn_npy *logits, const size_t shape[4], const uint32_t *labels, likelihoods *l,
                              bnn_image_terms *terms, bnn_error *error)
{
    const size_t draws = shape[0], over = shape[1] * shape[2], images = shape[2], rows = draws * over;
    bnn_status status = BNN_OK;
    l->members = bnn_alloc(labels ? rows : 0, sizeof *l->members);
    l->mean = bnn_alloc(labels ? over : 0, sizeof *l->mean);
    l->expected = bnn_alloc(labels ? images : 0, sizeof *l->expected);
    if (!l->members || !l->mean || !l->expected) return bnn_no_memory(error, "likelihoods", rows, 1);
    for (size_t row = 0; !status && row < rows; row++)
        status = to_probabilities(logits->data + row * shape[3], row, shape, labels,
                                  l->members + (labels ? row : 0), error);
    if (status || !labels) return status;
    for (size_t i = 0; i < over; i++) l->mean[i] = bnn_log_mean_exp(l->members + i, draws, over);
    for (size_t i = 0; i < images; i++)
        for (size_t t = 0; t < draws; t++) l->expected[i] += l->members[t * over + i] / (double)draws;
    *terms = (bnn_image_terms){.log_likelihood = l->mean, .expected_log_likelihood = l->expected};
    return BNN_OK;
}

static bnn_status measure(const bnn_npy *probs, const size_t shape[4], const uint32_t *labels,
                          const bnn_image_terms *terms, bnn_metrics **metrics, bnn_error *error)
{
    bnn_metrics_accumulator *accumulator = NULL;
    bnn_status status = bnn_metrics_begin(shape[0], shape[1], shape[3], &accumulator, error);
    if (!status) status = bnn_metrics_add(accumulator, probs->data, shape[2], labels, terms, error);
    if (!status) status = bnn_metrics_end(accumulator, metrics, error);
    bnn_metrics_discard(accumulator);
    return status;
}

/* Of probabilities or of logits, as the line says. */
static bnn_status score(const cmd_line *line, bnn_npy *array, const size_t shape[4], const uint32_t *labels,
                        bnn_metrics **metrics, bnn_error *error)
{
    likelihoods l = {0};
    bnn_image_terms terms = {0};
    bnn_status status = cmd_flag(line, "logits")
                            ? take_logits(array, shape, labels, &l, &terms, error)
                            : check_sums(array, shape, cmd_flag(line, "renormalize"), error);
    if (!status) status = measure(array, shape, labels, &terms, metrics, error);
    free(l.members);
    free(l.mean);
    free(l.expected);
    return status;
}

static bnn_status check_options(const cmd_line *line, bnn_error *error)
{
    if (cmd_flag(line, "probs") == cmd_flag(line, "logits"))
        return bnn_fail(error, BNN_BAD_INPUT, "bnn score: expected one of --probs P.npy and --logits L.npy");
    if (cmd_flag(line, "logits") && cmd_flag(line, "renormalize"))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "bnn score: --renormalize: is for --probs; the sums of logits say nothing");
    return BNN_OK;
}

static bnn_status print(const cmd_line *line, const bnn_metrics *metrics, bool orbit, bnn_error *error)
{
    cJSON *json = cJSON_CreateObject();
    figures_add_basic(json, metrics);
    figures_add_uncertainty(json, metrics);
    if (orbit) figures_add_equivariance(json, metrics, NULL, 0, 0, NULL, NULL);
    figures_add_classes(json, metrics);
    cJSON_AddStringToObject(json, "version", BNN_VERSION);
    if (cmd_flag(line, "json")) return cmd_print_json(json, error);
    figures_print(json, cmd_flag(line, "classes"));
    cJSON_Delete(json);
    return BNN_OK;
}

static bnn_status run(const subcommand *command, int argc, char **argv, bnn_error *error)
{
    cmd_line line;
    bool done;
    bnn_npy *probs = NULL;
    bnn_metrics *metrics = NULL;
    uint32_t *labels = NULL;
    size_t shape[4];
    bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    if (!status && !done) status = check_options(&line, error);
    if (status || done) return status;
    const char *path = cmd_value(&line, cmd_flag(&line, "logits") ? "logits" : "probs"),
               *name = bnn_input_name(path), *labels_path = cmd_value(&line, "labels");
    if (cmd_flag(&line, "classes") && !labels_path)
        return bnn_fail(error, BNN_BAD_INPUT, "bnn score: --classes: expected --labels too");
    status = bnn_npy_read(path, &probs, error);
    if (!status) status = check_shape(name, probs, shape, error);
    if (!status && labels_path) status = bnn_labels_read(labels_path, shape[2], shape[3], &labels, error);
    if (!status) {
        status = score(&line, probs, shape, labels, &metrics, error);
        if (status == BNN_BAD_INPUT) bnn_fail_in(error, status, name);
    }
    if (!status) status = print(&line, metrics, probs->rank > 2, error);
    bnn_metrics_free(metrics);
    free(labels);
    bnn_npy_free(probs);
    return status;
}

static const cmd_option options[] = {
    {"probs", "P.npy", "probabilities: (N,C), (G,N,C) with the identity first, or (T,G,N,C)"},
    {"logits", "L.npy",
     "logits instead, of the same shapes: likelihoods are formed from them, as in bnn eval"},
    {"labels", "Y.npy", "labels (N) or (N,1); without them only what needs none"},
    {"renormalize", NULL, "divide every row by its sum, which may miss 1 by 5 %"},
    {"classes", NULL, "print the figures of every class and the confusion matrix; --json always has them"},
    {"json", NULL, "print one JSON object"},
    {NULL, NULL, NULL},
};

const subcommand cmd_score = {
    .name = "score",
    .operands = "",
    .summary = "measure predictions of any framework",
    .details = "Every row of --probs sums to 1 within 0.001; --renormalize takes rows that "
               "were rounded more (bfloat16). Likelihoods are\n"
               "those of the probabilities given: one below 2.2e-308, 0 too, "
               "counts as 2.2e-308, which is at most 708.4 nats an\n"
               "image. (`bnn eval` and --logits form them from logits.)\n" FIGURES_NOTES,
    .options = options,
    .run = run};
