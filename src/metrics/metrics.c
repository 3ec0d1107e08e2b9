#include "bnn/metrics.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/calibration.h"
#include "bnn/numeric.h"
#include "metrics/defect.h"
#include "metrics/figures.h"

#define SYMMETRIC_KL_EPSILON 1e-8

/* What is kept of an image; what needs a label is NaN without one. */
struct image_figures {
    double confidence, correct, nll, expected_nll, brier;
    double correct_orbit, nll_orbit, brier_orbit;
    double entropy, mutual_information, orbit_mutual_information;
    double orbit_agreement, orbit_identity_agreement;
    double symmetric_kl, symmetric_kl_variance; /* over g != e: mean, and variance about it */
    double defect_plugin, defect_unbiased;
};

struct bnn_metrics_accumulator {
    size_t draws, order, classes;
    size_t count, capacity;
    bool labelled;
    double temperature;
    struct image_figures *images; /* (capacity), the first `count` used */
    double *predictive;           /* (capacity, order, classes), and (capacity) */
    uint32_t *labels;
    bnn_defect *defect;
    double *orbit;         /* (draws, order, classes): p_t(g.x) of one image */
    double *mean, *rest;   /* (order, classes): F(g.x), and what its sum over draws lost by rounding */
    double *orbit_average; /* (classes): mean_g F(g.x) */
    size_t *predicted;     /* (order): argmax F(g.x) */
    size_t *votes;         /* (classes) */
    bnn_reliability_bin reliability[BNN_ECE_BINS], reliability_orbit[BNN_ECE_BINS]; /* sums, not means */
};

bnn_status bnn_metrics_begin(size_t draws, size_t order, size_t classes,
                             bnn_metrics_accumulator **accumulator, bnn_error *error)
{
    size_t plane, items;
    *accumulator = NULL;
    if (!draws || !order || !classes)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "probabilities: %zu draws, %zu group elements, %zu classes, expected at least 1 of each", draws,
            order, classes);
    if (__builtin_mul_overflow(order, classes, &plane) || __builtin_mul_overflow(draws, plane, &items))
        return bnn_no_memory(error, "the probabilities of an image", draws, order);
    bnn_metrics_accumulator *a = bnn_alloc(1, sizeof *a);
    if (!a) return bnn_no_memory(error, "metrics", 1, sizeof *a);
    a->draws = draws, a->order = order, a->classes = classes, a->temperature = 1;
    a->orbit = bnn_alloc(items, sizeof *a->orbit);
    a->mean = bnn_alloc(plane, sizeof *a->mean);
    a->rest = bnn_alloc(plane, sizeof *a->rest);
    a->orbit_average = bnn_alloc(classes, sizeof *a->orbit_average);
    a->predicted = bnn_alloc(order, sizeof *a->predicted);
    a->votes = bnn_alloc(classes, sizeof *a->votes);
    bnn_status status = BNN_OK;
    if (!a->orbit || !a->mean || !a->rest || !a->orbit_average || !a->predicted || !a->votes)
        status = bnn_no_memory(error, "metrics", items, sizeof *a->orbit);
    if (!status) status = bnn_defect_create(draws, order, classes, &a->defect, error);
    if (status) {
        bnn_metrics_discard(a);
        return status;
    }
    *accumulator = a;
    return BNN_OK;
}

void bnn_metrics_discard(bnn_metrics_accumulator *accumulator)
{
    if (!accumulator) return;
    bnn_defect_free(accumulator->defect);
    free(accumulator->votes);
    free(accumulator->predicted);
    free(accumulator->orbit_average);
    free(accumulator->rest);
    free(accumulator->mean);
    free(accumulator->orbit);
    free(accumulator->labels);
    free(accumulator->predictive);
    free(accumulator->images);
    free(accumulator);
}

void bnn_metrics_set_temperature(bnn_metrics_accumulator *accumulator, double temperature)
{
    accumulator->temperature = temperature;
}

static bnn_status check_row(const bnn_metrics_accumulator *a, const double *row, size_t t, size_t g, size_t i,
                            bnn_error *error)
{
    char text[BNN_NUMBER_TEXT];
    double sum = 0;
    for (size_t c = 0; c < a->classes; c++) {
        if (!(isfinite(row[c]) && row[c] >= 0))
            return bnn_fail(
                error, BNN_BAD_INPUT,
                "probabilities: draw %zu, group element %zu, image %zu: class %zu has %s, expected a "
                "finite number of at least 0",
                t, g, i, c, bnn_number_text(row[c], text));
        sum += row[c];
    }
    if (fabs(sum - 1) > BNN_ROW_SUM_TOLERANCE)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "probabilities: draw %zu, group element %zu, image %zu: found a sum of %.9g, expected 1 "
            "within %g",
            t, g, i, sum, BNN_ROW_SUM_TOLERANCE);
    return BNN_OK;
}

static bnn_status check_chunk(const bnn_metrics_accumulator *a, const double *probabilities, size_t images,
                              const uint32_t *labels, bnn_error *error)
{
    const size_t rows = a->draws * a->order * images;
    if (a->count && a->labelled != (labels != NULL))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "labels: image %zu is the first %s one, expected all images alike", a->count,
                        labels ? "labelled" : "unlabelled");
    for (size_t i = 0; labels && i < images; i++)
        if (labels[i] >= a->classes)
            return bnn_fail(error, BNN_BAD_INPUT, "labels: image %zu has label %lu, expected less than %zu",
                            a->count + i, (unsigned long)labels[i], a->classes);
    for (size_t r = 0; r < rows; r++) {
        const size_t t = r / images / a->order, g = r / images % a->order, i = a->count + r % images;
        const bnn_status status = check_row(a, probabilities + r * a->classes, t, g, i, error);
        if (status) return status;
    }
    return BNN_OK;
}

static bnn_status reserve(bnn_metrics_accumulator *a, size_t images, bnn_error *error)
{
    const size_t wanted = a->count + images, plane = a->order * a->classes;
    if (wanted <= a->capacity) return BNN_OK;
    const size_t capacity = wanted > 2 * a->capacity ? wanted : 2 * a->capacity;
    struct image_figures *grown = bnn_alloc(capacity, sizeof *grown);
    double *predictive = bnn_alloc(capacity, plane * sizeof *predictive);
    uint32_t *labels = bnn_alloc(capacity, sizeof *labels);
    if (!grown || !predictive || !labels) {
        free(grown);
        free(predictive);
        free(labels);
        return bnn_no_memory(error, "the figures of the images", capacity, sizeof *grown);
    }
    if (a->count) {
        memcpy(grown, a->images, a->count * sizeof *grown);
        memcpy(predictive, a->predictive, a->count * plane * sizeof *predictive);
        memcpy(labels, a->labels, a->count * sizeof *labels);
    }
    free(a->images);
    free(a->predictive);
    free(a->labels);
    a->images = grown;
    a->predictive = predictive;
    a->labels = labels;
    a->capacity = capacity;
    return BNN_OK;
}

size_t bnn_metrics_largest(const double *p, size_t classes)
{
    size_t best = 0;
    for (size_t c = 1; c < classes; c++)
        if (p[c] > p[best]) best = c;
    return best;
}

/* KL(a || b) + KL(b || a) = sum (a - b)(log a - log b). */
static double symmetric_kl(const double *a, const double *b, size_t classes)
{
    double sum = 0;
    for (size_t c = 0; c < classes; c++)
        sum += (a[c] - b[c]) * log((a[c] + SYMMETRIC_KL_EPSILON) / (b[c] + SYMMETRIC_KL_EPSILON));
    return sum;
}

size_t bnn_metrics_bin(double confidence)
{
    size_t b = 0;
    while (b < BNN_ECE_BINS - 1 && confidence > (double)(b + 1) / BNN_ECE_BINS) b++;
    return b;
}

static void add_to_bin(bnn_reliability_bin *bins, double confidence, double correct)
{
    const size_t b = bnn_metrics_bin(confidence);
    bins[b].count++;
    bins[b].accuracy += correct;
    bins[b].confidence += confidence;
}

/* orbit (T, G, C) and mean (G, C), orbit_average (C), predicted (G) <- those of image i of a chunk. The
 * mean does not depend on the order of the draws by as much as a rounding, which could break a tie of two classes, or of
 * the confidences of two images, and so change figures that count. */
static void load_image(bnn_metrics_accumulator *a, const double *probabilities, size_t images, size_t i)
{
    const size_t classes = a->classes, plane = a->order * classes;
    memset(a->mean, 0, plane * sizeof *a->mean);
    memset(a->rest, 0, plane * sizeof *a->rest);
    memset(a->orbit_average, 0, classes * sizeof *a->orbit_average);
    for (size_t t = 0; t < a->draws; t++) {
        double *orbit = a->orbit + t * plane;
        for (size_t g = 0; g < a->order; g++)
            memcpy(orbit + g * classes, probabilities + ((t * a->order + g) * images + i) * classes,
                   classes * sizeof *orbit);
        for (size_t k = 0; k < plane; k++) bnn_add_exactly(&a->mean[k], &a->rest[k], orbit[k]);
    }
    for (size_t k = 0; k < plane; k++) {
        a->mean[k] = (a->mean[k] + a->rest[k]) / (double)a->draws;
        a->orbit_average[k % classes] += a->mean[k] / (double)a->order;
    }
    for (size_t g = 0; g < a->order; g++)
        a->predicted[g] = bnn_metrics_largest(a->mean + g * classes, classes);
}

/* conditional_entropy: the mean over the members of the predictive of their entropy, or NULL: the members are the draws. */
static void add_information(const bnn_metrics_accumulator *a, const double *conditional_entropy,
                            struct image_figures *image)
{
    const size_t classes = a->classes;
    double conditional = 0, over_orbit = 0;
    image->entropy = bnn_entropy(a->mean, classes);
    for (size_t t = 0; t < a->draws; t++)
        conditional += bnn_entropy(a->orbit + t * a->order * classes, classes) / (double)a->draws;
    if (conditional_entropy)
        image->mutual_information = image->entropy - *conditional_entropy;
    else
        image->mutual_information = a->draws > 1 ? image->entropy - conditional : NAN;
    for (size_t g = 0; g < a->order; g++) over_orbit += bnn_entropy(a->mean + g * classes, classes);
    image->orbit_mutual_information = bnn_entropy(a->orbit_average, classes) - over_orbit / (double)a->order;
}

static void add_orbit(bnn_metrics_accumulator *a, struct image_figures *image)
{
    const size_t classes = a->classes, order = a->order;
    size_t most = 0, identical = 0;
    memset(a->votes, 0, classes * sizeof *a->votes);
    for (size_t g = 0; g < order; g++) {
        const size_t votes = ++a->votes[a->predicted[g]];
        if (votes > most) most = votes;
        identical += a->predicted[g] == a->predicted[0];
    }
    for (size_t g = 1; g < order; g++)
        image->symmetric_kl += symmetric_kl(a->mean, a->mean + g * classes, classes) / (double)(order - 1);
    for (size_t g = 1; g < order; g++) {
        const double residual = symmetric_kl(a->mean, a->mean + g * classes, classes) - image->symmetric_kl;
        image->symmetric_kl_variance += residual * residual / (double)(order - 1);
    }
    image->orbit_agreement = (double)most / (double)order;
    image->orbit_identity_agreement = (double)identical / (double)order;
}

static double brier(const double *p, size_t classes, size_t label)
{
    double sum = 0;
    for (size_t c = 0; c < classes; c++) {
        const double residual = p[c] - (c == label);
        sum += residual * residual;
    }
    return sum;
}

/* What needs the label, and the confidences beside it, of the image that comes next; label NULL leaves the former NaN. */
static void add_label(bnn_metrics_accumulator *a, const uint32_t *label, struct image_figures *image)
{
    const size_t classes = a->classes, order = a->order;
    for (size_t g = 0; g < order; g++) {
        double *p = a->predictive + (a->count * order + g) * classes;
        bnn_temper(a->mean + g * classes, classes, a->temperature, p);
        const double correct = label ? (double)(a->predicted[g] == *label) : NAN;
        const double score = label ? brier(p, classes, *label) : NAN;
        add_to_bin(a->reliability_orbit, p[a->predicted[g]], correct);
        image->correct_orbit += correct / (double)order;
        image->brier_orbit += score / (double)order;
        if (g > 0) continue;
        add_to_bin(a->reliability, p[a->predicted[g]], correct);
        image->confidence = p[a->predicted[g]];
        image->correct = correct;
        image->brier = score;
    }
    if (label) a->labels[a->count] = *label;
}

static double clamped_log(double p)
{
    return log(fmax(p, DBL_MIN));
}

/* log F_T(y) = log F(y)/T - log sum_c F(c)^(1/T), with a log F(y) that may be more exact than F(y). */
static double tempered_likelihood(const bnn_metrics_accumulator *a, const double *p, size_t label,
                                  double log_likelihood)
{
    const double most = clamped_log(p[bnn_metrics_largest(p, a->classes)]);
    double sum = 0;
    if (a->temperature == 1) return log_likelihood;
    for (size_t c = 0; c < a->classes; c++)
        sum += exp(((c == label ? log_likelihood : clamped_log(p[c])) - most) / a->temperature);
    return (log_likelihood - most) / a->temperature - log(sum);
}

/* The likelihoods of image i of a chunk: those of `terms`, else the logs of the probabilities; label NULL: NaN. */
static void add_likelihood(const bnn_metrics_accumulator *a, const uint32_t *label,
                           const bnn_image_terms *terms, size_t images, size_t i, struct image_figures *image)
{
    const size_t classes = a->classes, order = a->order;
    if (!label) {
        image->nll = image->nll_orbit = image->expected_nll = NAN;
        return;
    }
    for (size_t g = 0; g < order; g++) {
        const double *p = a->mean + g * classes;
        const double of_mean =
            terms->log_likelihood ? terms->log_likelihood[g * images + i] : clamped_log(p[*label]);
        const double log_likelihood = tempered_likelihood(a, p, *label, of_mean);
        if (g == 0) image->nll = -log_likelihood;
        image->nll_orbit -= log_likelihood / (double)order;
    }
    if (terms->expected_log_likelihood) {
        image->expected_nll = -terms->expected_log_likelihood[i];
        return;
    }
    for (size_t t = 0; t < a->draws; t++)
        image->expected_nll -= clamped_log(a->orbit[t * order * classes + *label]) / (double)a->draws;
}

bnn_status bnn_metrics_add(bnn_metrics_accumulator *accumulator, const double *probabilities, size_t images,
                           const uint32_t *labels, const bnn_image_terms *terms, bnn_error *error)
{
    static const bnn_image_terms none;
    bnn_metrics_accumulator *a = accumulator;
    if (!terms) terms = &none;
    if (!images) return BNN_OK;
    bnn_status status = check_chunk(a, probabilities, images, labels, error);
    if (!status) status = reserve(a, images, error);
    if (status) return status;
    a->labelled = labels != NULL;
    for (size_t i = 0; i < images; i++) {
        struct image_figures image = {0};
        load_image(a, probabilities, images, i);
        add_information(a, terms->conditional_entropy ? &terms->conditional_entropy[i] : NULL, &image);
        add_orbit(a, &image);
        add_label(a, labels ? &labels[i] : NULL, &image);
        add_likelihood(a, labels ? &labels[i] : NULL, terms, images, i, &image);
        bnn_defect_add(a->defect, a->orbit, a->mean, &image.defect_plugin, &image.defect_unbiased);
        a->images[a->count++] = image;
    }
    return BNN_OK;
}

/* A figure of every image, by its place in struct image_figures. */
static void copy_figure(const bnn_metrics_accumulator *a, size_t offset, double *figures)
{
    for (size_t i = 0; i < a->count; i++)
        figures[i] = *(const double *)((const char *)&a->images[i] + offset);
}

/* The mean over images of one figure and, where `std` is given, its standard deviation (population). */
static double mean_of(const bnn_metrics_accumulator *a, size_t offset, double *scratch, double *std)
{
    const double n = (double)a->count;
    double sum = 0, squares = 0;
    copy_figure(a, offset, scratch);
    for (size_t i = 0; i < a->count; i++) sum += scratch[i];
    for (size_t i = 0; i < a->count; i++) squares += (scratch[i] - sum / n) * (scratch[i] - sum / n);
    if (std) *std = sqrt(squares / n);
    return sum / n;
}

/* Sums to means; returns the expected calibration error sum_b n_b/n |accuracy_b - confidence_b|. */
static double calibrate(const bnn_reliability_bin *sums, size_t n, bnn_reliability_bin *bins)
{
    double error = 0;
    for (size_t b = 0; b < BNN_ECE_BINS; b++) {
        const double count = (double)sums[b].count;
        bins[b].count = sums[b].count;
        bins[b].accuracy = sums[b].accuracy / count;
        bins[b].confidence = sums[b].confidence / count;
        if (sums[b].count) error += fabs(sums[b].accuracy - sums[b].confidence) / (double)n;
    }
    return error;
}

#define FIGURE(name) offsetof(struct image_figures, name)

static void fill_means(const bnn_metrics_accumulator *a, double *scratch, bnn_metrics *m)
{
    double between; /* standard deviation over images of the image's mean symmetric KL */
    m->accuracy = mean_of(a, FIGURE(correct), scratch, NULL);
    m->nll = mean_of(a, FIGURE(nll), scratch, NULL);
    m->brier = mean_of(a, FIGURE(brier), scratch, NULL);
    m->expected_nll = mean_of(a, FIGURE(expected_nll), scratch, NULL);
    m->entropy = mean_of(a, FIGURE(entropy), scratch, NULL);
    m->mutual_information = mean_of(a, FIGURE(mutual_information), scratch, NULL);
    m->accuracy_orbit = mean_of(a, FIGURE(correct_orbit), scratch, NULL);
    m->nll_orbit = mean_of(a, FIGURE(nll_orbit), scratch, NULL);
    m->brier_orbit = mean_of(a, FIGURE(brier_orbit), scratch, NULL);
    m->orbit_mutual_information = mean_of(a, FIGURE(orbit_mutual_information), scratch, NULL);
    m->orbit_agreement = mean_of(a, FIGURE(orbit_agreement), scratch, NULL);
    m->orbit_identity_agreement = mean_of(a, FIGURE(orbit_identity_agreement), scratch, NULL);
    m->symmetric_kl_mean = mean_of(a, FIGURE(symmetric_kl), scratch, &between);
    const double within = mean_of(a, FIGURE(symmetric_kl_variance), scratch, NULL);
    m->symmetric_kl_std = sqrt(within + between * between);
    m->defect_plugin = mean_of(a, FIGURE(defect_plugin), scratch, &m->defect_plugin_std);
    m->defect_unbiased = mean_of(a, FIGURE(defect_unbiased), scratch, NULL);
    copy_figure(a, FIGURE(defect_unbiased), scratch);
    m->defect_standard_error = bnn_defect_standard_error(a->defect, scratch);
}

/* Metrics of a's shape with all arrays zero; NULL when memory is short. */
static bnn_metrics *make_metrics(const bnn_metrics_accumulator *a)
{
    const size_t n = a->count, pairs = a->labelled ? a->classes * a->classes : 0;
    bnn_metrics *m = bnn_alloc(1, sizeof *m);
    if (!m) return NULL;
    m->draws = a->draws, m->order = a->order, m->images = n, m->classes = a->classes;
    m->labelled = a->labelled;
    m->predictive = bnn_alloc(n, a->order * a->classes * sizeof(double));
    m->confusion = bnn_alloc(pairs, sizeof(size_t));
    m->confusion_orbit = bnn_alloc(pairs, sizeof(size_t));
    bool whole = m->predictive && m->confusion && m->confusion_orbit;
    if (a->labelled) {
        m->labels = bnn_alloc(n, sizeof *m->labels);
        m->of_class = bnn_alloc(a->classes, sizeof *m->of_class);
        whole = whole && m->labels && m->of_class;
    }
    const struct {
        double **array;
        size_t count;
    } wanted[] = {{&m->defect_plugin_per_element, a->order},
                  {&m->defect_unbiased_per_element, a->order},
                  {&m->image_entropy, n},
                  {&m->image_mutual_information, n},
                  {&m->image_orbit_mutual_information, n},
                  {&m->image_defect, n}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        whole = (*wanted[i].array = bnn_alloc(wanted[i].count, sizeof(double))) && whole;
    if (whole) return m;
    bnn_metrics_free(m);
    return NULL;
}

static void copy_images(const bnn_metrics_accumulator *a, bnn_metrics *m)
{
    memcpy(m->predictive, a->predictive, a->count * a->order * a->classes * sizeof *m->predictive);
    if (m->labels) memcpy(m->labels, a->labels, a->count * sizeof *m->labels);
    copy_figure(a, FIGURE(entropy), m->image_entropy);
    copy_figure(a, FIGURE(mutual_information), m->image_mutual_information);
    copy_figure(a, FIGURE(orbit_mutual_information), m->image_orbit_mutual_information);
    copy_figure(a, FIGURE(defect_plugin), m->image_defect);
}

static double error_of(const bnn_metrics_accumulator *a, size_t offset, double *scratch)
{
    copy_figure(a, offset, scratch);
    return bnn_mean_error(scratch, a->count);
}

/* What needs labels: standard errors, and the figures of classes. */
static bnn_status fill_labelled(const bnn_metrics_accumulator *a, double *scratch, bnn_metrics *m,
                                bnn_error *error)
{
    m->standard_error =
        (bnn_standard_errors){error_of(a, FIGURE(correct), scratch), error_of(a, FIGURE(nll), scratch),
                              bnn_ece_error(a->predictive, a->labels, a->count, a->order, 1, a->classes),
                              error_of(a, FIGURE(brier), scratch)};
    m->standard_error_orbit = (bnn_standard_errors){
        error_of(a, FIGURE(correct_orbit), scratch), error_of(a, FIGURE(nll_orbit), scratch),
        bnn_ece_error(a->predictive, a->labels, a->count, a->order, a->order, a->classes),
        error_of(a, FIGURE(brier_orbit), scratch)};
    copy_figure(a, FIGURE(nll), scratch);
    return bnn_measure_classes(scratch, m, error);
}

static void fill_unlabelled(bnn_metrics *m)
{
    m->standard_error = m->standard_error_orbit = (bnn_standard_errors){NAN, NAN, NAN, NAN};
    m->balanced_accuracy = m->balanced_nll = m->auroc = NAN;
    m->balanced_accuracy_orbit = m->auroc_orbit = NAN;
}

bnn_status bnn_metrics_end(bnn_metrics_accumulator *accumulator, bnn_metrics **metrics, bnn_error *error)
{
    const bnn_metrics_accumulator *a = accumulator;
    const size_t n = a->count;
    *metrics = NULL;
    if (!n) return bnn_fail(error, BNN_BAD_INPUT, "probabilities: found no image, expected at least 1");
    double *confidence = bnn_alloc(n, sizeof *confidence), *scratch = bnn_alloc(n, sizeof *scratch);
    bnn_metrics *m = make_metrics(a);
    bnn_status status = BNN_OK;
    if (!confidence || !scratch || !m) {
        status = bnn_no_memory(error, "metrics", n, sizeof(double));
        goto done;
    }
    fill_means(a, scratch, m);
    m->ece = calibrate(a->reliability, n, m->reliability);
    m->ece_orbit = calibrate(a->reliability_orbit, n * a->order, m->reliability_orbit);
    copy_figure(a, FIGURE(confidence), confidence);
    copy_figure(a, FIGURE(correct), scratch);
    m->aurc = bnn_aurc(confidence, scratch, n);
    for (size_t g = 0; g < a->order; g++) {
        m->defect_plugin_per_element[g] = a->defect->plugin_per_element[g] / (double)n;
        m->defect_unbiased_per_element[g] = a->defect->unbiased_per_element[g] / (double)n;
    }
    copy_images(a, m);
    if (m->labelled)
        status = fill_labelled(a, scratch, m, error);
    else
        fill_unlabelled(m);
done:
    free(scratch);
    free(confidence);
    if (!status)
        *metrics = m;
    else
        bnn_metrics_free(m);
    return status;
}

void bnn_metrics_free(bnn_metrics *metrics)
{
    if (!metrics) return;
    free(metrics->labels);
    free(metrics->predictive);
    free(metrics->confusion_orbit);
    free(metrics->confusion);
    free(metrics->of_class);
    free(metrics->image_defect);
    free(metrics->image_orbit_mutual_information);
    free(metrics->image_mutual_information);
    free(metrics->image_entropy);
    free(metrics->defect_unbiased_per_element);
    free(metrics->defect_plugin_per_element);
    free(metrics);
}
