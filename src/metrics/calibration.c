#include "bnn/calibration.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/figures.h"

const char *const bnn_set_method_names[] = {"lac", "aps", NULL};

/* ---- temperature ----------------------------------------------------------------------------------------- */

static double log_of(double p)
{
    return log(fmax(p, DBL_MIN));
}

void bnn_temper(const double *probabilities, size_t classes, double temperature, double *tempered)
{
    double most = 0, sum = 0;
    if (temperature == 1) {
        if (tempered != probabilities) memcpy(tempered, probabilities, classes * sizeof *tempered);
        return;
    }
    for (size_t c = 0; c < classes; c++) most = fmax(most, probabilities[c]);
    for (size_t c = 0; c < classes; c++)
        sum += tempered[c] = exp((log_of(probabilities[c]) - log_of(most)) / temperature);
    for (size_t c = 0; c < classes; c++) tempered[c] /= sum;
}

/* The derivative of mean_i -log F_T(x_i)_(y_i) with respect to 1/T: mean_i (E_(F_T) log F - log F_y). */
static double slope(const double *probabilities, const uint32_t *labels, size_t images, size_t classes,
                    double temperature, double *tempered)
{
    double sum = 0;
    for (size_t i = 0; i < images; i++) {
        const double *p = probabilities + i * classes;
        bnn_temper(p, classes, temperature, tempered);
        for (size_t c = 0; c < classes; c++) sum += tempered[c] * log_of(p[c]);
        sum -= log_of(p[labels[i]]);
    }
    return sum / (double)images;
}

double bnn_fit_temperature(const double *probabilities, const uint32_t *labels, size_t images, size_t classes)
{
    double least = log(BNN_LEAST_TEMPERATURE), most = log(BNN_MOST_TEMPERATURE);
    double *tempered = bnn_alloc(classes, sizeof *tempered);
    if (!tempered) return NAN;
    for (size_t turn = 0; turn < 60; turn++) { /* to the last bits of log T */
        const double middle = (least + most) / 2;
        if (slope(probabilities, labels, images, classes, exp(middle), tempered) > 0)
            least = middle; /* at a smaller 1/T the likelihood is larger */
        else
            most = middle;
    }
    free(tempered);
    return fmin(fmax(exp((least + most) / 2), BNN_LEAST_TEMPERATURE), BNN_MOST_TEMPERATURE);
}

/* ---- sets ------------------------------------------------------------------------------------------------ */

double bnn_set_score(bnn_set_method method, const double *probabilities, size_t classes, size_t label)
{
    double above = 0;
    if (method == BNN_SETS_LAC) return 1 - probabilities[label];
    for (size_t c = 0; c < classes; c++)
        if (probabilities[c] > probabilities[label]) above += probabilities[c];
    return above;
}

static int smallest_first(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

bnn_status bnn_set_threshold(bnn_set_method method, const double *probabilities, const uint32_t *labels,
                             size_t images, size_t classes, double wanted, double *threshold,
                             bnn_error *error)
{
    const double rank = ceil((double)(images + 1) * wanted * (1 - 4 * DBL_EPSILON)); /* 0.07 * 100 > 7 */
    if (!(rank <= (double)images))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "found %zu calibration images, expected at least %.0f for a coverage of %g: with "
                        "fewer, every class is in every set",
                        images, ceil(wanted / (1 - wanted) - 1e-9), wanted);
    double *scores = bnn_alloc(images, sizeof *scores);
    if (!scores) return bnn_no_memory(error, "scores", images, sizeof *scores);
    for (size_t i = 0; i < images; i++)
        scores[i] = bnn_set_score(method, probabilities + i * classes, classes, labels[i]);
    qsort(scores, images, sizeof *scores, smallest_first);
    *threshold = scores[rank < 1 ? 0 : (size_t)rank - 1];
    free(scores);
    return BNN_OK;
}

size_t bnn_set_of(const bnn_calibration *calibration, const double *probabilities, size_t classes,
                  uint8_t *set)
{
    size_t size = 0;
    for (size_t c = 0; c < classes; c++) {
        set[c] = bnn_set_score((bnn_set_method)calibration->method, probabilities, classes, c) <=
                 calibration->threshold;
        size += set[c];
    }
    return size;
}

/* ---- figures --------------------------------------------------------------------------------------------- */

void bnn_set_figures_free(bnn_set_figures *figures)
{
    if (!figures) return;
    free(figures->of_class);
    free(figures->of_class_size);
    free(figures->of_element);
    free(figures->of_element_size);
    free(figures);
}

static bnn_set_figures *make_figures(size_t order, size_t classes)
{
    bnn_set_figures *f = bnn_alloc(1, sizeof *f);
    if (!f) return NULL;
    f->order = order, f->classes = classes;
    f->of_class = bnn_alloc(classes, sizeof(double));
    f->of_class_size = bnn_alloc(classes, sizeof(double));
    f->of_element = bnn_alloc(order, sizeof(double));
    f->of_element_size = bnn_alloc(order, sizeof(double));
    if (f->of_class && f->of_class_size && f->of_element && f->of_element_size) return f;
    bnn_set_figures_free(f);
    return NULL;
}

/* Adds the sets of image i over the orbit: sums, not means; sets (order, classes) is scratch. */
static void add_image(const bnn_calibration *calibration, const bnn_metrics *m, size_t i, uint8_t *sets,
                      bnn_set_figures *f)
{
    for (size_t g = 0; g < m->order; g++) {
        uint8_t *set = sets + g * m->classes;
        const size_t size =
            bnn_set_of(calibration, m->predictive + (i * m->order + g) * m->classes, m->classes, set);
        const double covered = m->labels ? (double)set[m->labels[i]] : NAN;
        f->of_element[g] += covered;
        f->of_element_size[g] += (double)size;
        f->agreement += memcmp(set, sets, m->classes) == 0;
        if (g > 0) continue;
        f->empty += size == 0;
        if (!m->labels) continue;
        f->of_class[m->labels[i]] += covered;
        f->of_class_size[m->labels[i]] += (double)size;
    }
}

/* Sums to means. */
static void average(const bnn_metrics *m, bnn_set_figures *f)
{
    const double n = (double)m->images;
    for (size_t g = 0; g < m->order; g++) {
        f->of_element[g] /= n;
        f->of_element_size[g] /= n;
    }
    for (size_t c = 0; c < m->classes; c++) {
        const double count = m->labels ? (double)m->of_class[c].count : 0; /* 0 / 0: NaN */
        f->of_class[c] /= count;
        f->of_class_size[c] /= count;
    }
    f->empty /= n;
    f->agreement /= n * (double)m->order;
    f->coverage = f->of_element[0];
    f->mean_size = f->of_element_size[0];
    f->standard_error = sqrt(f->coverage * (1 - f->coverage) / n);
}

bnn_status bnn_measure_sets(const bnn_calibration *calibration, const bnn_metrics *m,
                            bnn_set_figures **figures, bnn_error *error)
{
    uint8_t *sets = bnn_alloc(m->order, m->classes);
    *figures = make_figures(m->order, m->classes);
    if (!sets || !*figures) {
        free(sets);
        bnn_set_figures_free(*figures);
        *figures = NULL;
        return bnn_no_memory(error, "prediction sets", m->order, m->classes);
    }
    for (size_t i = 0; i < m->images; i++) add_image(calibration, m, i, sets, *figures);
    average(m, *figures);
    free(sets);
    return BNN_OK;
}
