/* Figures of classes and standard errors against brute force, closed forms and simulation. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/metrics.h"
#include "synthetic.h"
#include "testing.h"

#define EXACT 1e-12

static bnn_metrics *measure(const double *p, size_t draws, size_t order, size_t images, size_t classes,
                            const uint32_t *labels)
{
    bnn_metrics_accumulator *accumulator;
    bnn_metrics *metrics;
    bnn_error error = {0};
    assert_int_equal(bnn_metrics_begin(draws, order, classes, &accumulator, &error), BNN_OK);
    if (bnn_metrics_add(accumulator, p, images, labels, NULL, &error)) fail_msg("%s", error.message);
    assert_int_equal(bnn_metrics_end(accumulator, &metrics, &error), BNN_OK);
    bnn_metrics_discard(accumulator);
    return metrics;
}

/* (order, IMAGES, CLASSES) in steps of 1/16, so that scores tie, and labels of all classes but one. */
enum { IMAGES = 40, CLASSES = 4, ORDER = 3, MISSING = 2 };

static void make_predictions(double *p, uint32_t *labels)
{
    bnn_pcg32 rng;
    bnn_pcg32_seed(&rng, 4, 1);
    for (size_t row = 0; row < ORDER * IMAGES; row++, p += CLASSES) {
        size_t left = 16;
        for (size_t c = 0; c < CLASSES; c++) {
            const size_t part = c + 1 < CLASSES ? bnn_pcg32_below(&rng, (uint32_t)left + 1) : left;
            p[c] = (double)part / 16;
            left -= part;
        }
    }
    for (size_t i = 0; i < IMAGES; i++) {
        labels[i] = (uint32_t)bnn_pcg32_below(&rng, CLASSES - 1);
        if (labels[i] >= MISSING) labels[i]++;
    }
}

/* P(p_c of an image of class c > that of another) + P(tie)/2 over all pairs of the first `views` views. */
static double auroc_by_pairs(const double *p, const uint32_t *labels, size_t views, size_t c)
{
    double wins = 0, pairs = 0;
    for (size_t a = 0; a < views * IMAGES; a++)
        for (size_t b = 0; b < views * IMAGES; b++) {
            if (labels[a % IMAGES] != c || labels[b % IMAGES] == c) continue;
            const double own = p[a * CLASSES + c], other = p[b * CLASSES + c];
            wins += own > other ? 1 : own == other ? 0.5 : 0;
            pairs++;
        }
    return wins / pairs;
}

static size_t argmax(const double *p)
{
    size_t best = 0;
    for (size_t c = 1; c < CLASSES; c++)
        if (p[c] > p[best]) best = c;
    return best;
}

static void check_class(const bnn_metrics *m, const double *p, const uint32_t *labels, size_t views, size_t c)
{
    size_t of_class = 0, predicted = 0, right = 0;
    for (size_t row = 0; row < views * IMAGES; row++) {
        const size_t found = argmax(p + row * CLASSES);
        of_class += labels[row % IMAGES] == c;
        predicted += found == c;
        right += labels[row % IMAGES] == c && found == c;
    }
    const bnn_class_figures *f = &m->of_class[c];
    const double auroc = views > 1 ? f->auroc_orbit : f->auroc, pairs = auroc_by_pairs(p, labels, views, c);
    assert_int_equal(f->count * views, of_class);
    const double precision = views > 1 ? f->precision_orbit : f->precision;
    if (predicted)
        assert_close(precision, (double)right / (double)predicted, EXACT, 0);
    else
        assert_true(isnan(precision));
    if (c == MISSING) {
        assert_true(isnan(views > 1 ? f->recall_orbit : f->recall) && isnan(auroc) && isnan(f->entropy));
        return;
    }
    assert_close(views > 1 ? f->recall_orbit : f->recall, (double)right / (double)of_class, EXACT, 0);
    assert_close(auroc, pairs, EXACT, 0);
}

static void classes_are_counted(void **state)
{
    double p[ORDER * IMAGES * CLASSES], recall = 0, recall_orbit = 0, auroc = 0, auroc_orbit = 0, entropy = 0;
    uint32_t labels[IMAGES];
    size_t all = 0, all_orbit = 0;
    (void)state;
    make_predictions(p, labels);
    bnn_metrics *m = measure(p, 1, ORDER, IMAGES, CLASSES, labels);
    for (size_t c = 0; c < CLASSES; c++) {
        check_class(m, p, labels, 1, c);
        check_class(m, p, labels, ORDER, c);
        if (c == MISSING) continue;
        recall += m->of_class[c].recall / (CLASSES - 1);
        recall_orbit += m->of_class[c].recall_orbit / (CLASSES - 1);
        auroc += auroc_by_pairs(p, labels, 1, c) / (CLASSES - 1);
        auroc_orbit += auroc_by_pairs(p, labels, ORDER, c) / (CLASSES - 1);
        entropy += m->of_class[c].entropy * (double)m->of_class[c].count / IMAGES;
    }
    assert_close(m->balanced_accuracy, recall, EXACT, 0);
    assert_close(m->balanced_accuracy_orbit, recall_orbit, EXACT, 0);
    assert_close(m->auroc, auroc, EXACT, 0);
    assert_close(m->auroc_orbit, auroc_orbit, EXACT, 0);
    assert_close(m->entropy, entropy, EXACT, 0);
    for (size_t i = 0; i < IMAGES; i++) {
        size_t *count = &m->confusion[labels[i] * CLASSES + argmax(p + i * CLASSES)];
        assert_true(*count > 0);
        --*count; /* every image has its place, */
    }
    for (size_t k = 0; k < CLASSES * CLASSES; k++) all += m->confusion[k], all_orbit += m->confusion_orbit[k];
    assert_true(all == 0 && all_orbit == ORDER * IMAGES); /* and there is no other count */
    bnn_metrics_free(m);
}

/* A classifier that says 0 always: accuracy hides what balanced accuracy, recall and AUROC show. */
static void a_majority_vote_is_seen(void **state)
{
    double p[100 * 5];
    uint32_t labels[100];
    (void)state;
    for (size_t i = 0; i < 100; i++) {
        labels[i] = i < 80 ? 0 : i < 90 ? 1 : i < 95 ? 2 : i < 98 ? 3 : 4;
        for (size_t c = 0; c < 5; c++) p[i * 5 + c] = c == 0 ? 0.8 : 0.05;
    }
    bnn_metrics *m = measure(p, 1, 1, 100, 5, labels);
    assert_close(m->accuracy, 0.8, EXACT, 0);
    assert_close(m->balanced_accuracy, 0.2, EXACT, 0);
    assert_close(m->auroc, 0.5, EXACT, 0);
    assert_close(m->of_class[0].precision, 0.8, EXACT, 0);
    assert_true(isnan(m->of_class[4].precision) && m->of_class[4].recall == 0);
    assert_close(m->balanced_nll, -(log(0.8) + 4 * log(0.05)) / 5, EXACT, 0);
    bnn_metrics_free(m);
    m = measure(p, 1, 1, 100, 5, NULL);
    assert_true(!m->of_class && !m->labels && isnan(m->auroc) && isnan(m->balanced_accuracy) &&
                isnan(m->standard_error.accuracy));
    bnn_metrics_free(m);
}

/* ---- standard errors ----------------------------------------------------------------------------------- */

/* The predictions without image i. */
static void leave_out(const double *p, const uint32_t *labels, size_t i, double *q, uint32_t *others)
{
    for (size_t g = 0; g < ORDER; g++)
        for (size_t k = 0, n = 0; k < IMAGES; k++)
            if (k != i)
                memcpy(q + (g * (IMAGES - 1) + n++) * CLASSES, p + (g * IMAGES + k) * CLASSES,
                       CLASSES * sizeof *p);
    for (size_t k = 0, n = 0; k < IMAGES; k++)
        if (k != i) others[n++] = labels[k];
}

/* The jackknife of a mean is its standard error, so every error is that of figures measured anew without each image in turn. */
static void errors_are_jackknives(void **state)
{
    double p[ORDER * IMAGES * CLASSES], q[ORDER * IMAGES * CLASSES], figures[8][IMAGES];
    uint32_t labels[IMAGES], others[IMAGES];
    (void)state;
    make_predictions(p, labels);
    for (size_t i = 0; i < IMAGES; i++) {
        leave_out(p, labels, i, q, others);
        bnn_metrics *m = measure(q, 1, ORDER, IMAGES - 1, CLASSES, others);
        const double found[] = {m->accuracy,       m->nll,       m->ece,       m->brier,
                                m->accuracy_orbit, m->nll_orbit, m->ece_orbit, m->brier_orbit};
        for (size_t f = 0; f < 8; f++) figures[f][i] = found[f];
        bnn_metrics_free(m);
    }
    bnn_metrics *m = measure(p, 1, ORDER, IMAGES, CLASSES, labels);
    const bnn_standard_errors *of_x = &m->standard_error, *orbit = &m->standard_error_orbit;
    const double errors[] = {of_x->accuracy,  of_x->nll,  of_x->ece,  of_x->brier,
                             orbit->accuracy, orbit->nll, orbit->ece, orbit->brier};
    for (size_t f = 0; f < 8; f++) {
        double mean = 0, squares = 0;
        for (size_t i = 0; i < IMAGES; i++) mean += figures[f][i] / IMAGES;
        for (size_t i = 0; i < IMAGES; i++) squares += pow(figures[f][i] - mean, 2);
        assert_close(errors[f], sqrt((IMAGES - 1.0) / IMAGES * squares), 1e-9, 0);
    }
    bnn_metrics_free(m);
}

/* Images whose views are copies are no more than the images: the error of a cluster is that of one. */
static void copies_do_not_count(void **state)
{
    double p[ORDER * IMAGES * CLASSES];
    uint32_t labels[IMAGES];
    (void)state;
    make_predictions(p, labels);
    for (size_t g = 1; g < ORDER; g++) memcpy(p + g * IMAGES * CLASSES, p, IMAGES * CLASSES * sizeof *p);
    bnn_metrics *m = measure(p, 1, ORDER, IMAGES, CLASSES, labels);
    assert_close(m->standard_error_orbit.accuracy, m->standard_error.accuracy, EXACT, 0);
    assert_close(m->standard_error_orbit.ece, m->standard_error.ece, EXACT, 0);
    assert_close(m->standard_error.accuracy, sqrt(m->accuracy * (1 - m->accuracy) / (IMAGES - 1)), EXACT, 0);
    bnn_metrics_free(m);
}

/* Two classes; F_0 is uniform on [1/2, 1], and right with probability F_0 less a bias: the deviations of the figures over data
 * sets, and the mean of their errors. */
static void errors_are_deviations_over_data_sets(void **state)
{
    enum { SETS = 1500, N = 200 };
    static double figures[4][SETS], p[2 * N];
    double mean_error[4] = {0};
    uint32_t labels[N];
    bnn_pcg32 rng;
    (void)state;
    bnn_pcg32_seed(&rng, 8, 2);
    for (size_t s = 0; s < SETS; s++) {
        for (size_t i = 0; i < N; i++) {
            p[2 * i] = 0.5 + 0.5 * bnn_pcg32_uniform(&rng);
            p[2 * i + 1] = 1 - p[2 * i];
            labels[i] = bnn_pcg32_uniform(&rng) > p[2 * i] - 0.2;
        }
        bnn_metrics *m = measure(p, 1, 1, N, 2, labels);
        const double found[] = {m->accuracy, m->nll, m->ece, m->brier};
        const double errors[] = {m->standard_error.accuracy, m->standard_error.nll, m->standard_error.ece,
                                 m->standard_error.brier};
        for (size_t f = 0; f < 4; f++) figures[f][s] = found[f], mean_error[f] += errors[f] / SETS;
        bnn_metrics_free(m);
    }
    for (size_t f = 0; f < 4; f++) {
        double mean = 0, squares = 0;
        for (size_t s = 0; s < SETS; s++) mean += figures[f][s] / SETS;
        for (size_t s = 0; s < SETS; s++) squares += pow(figures[f][s] - mean, 2);
        assert_close(mean_error[f], sqrt(squares / (SETS - 1)), 0.1,
                     0); /* 5 standard errors of a deviation */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_are_counted),
        cmocka_unit_test(a_majority_vote_is_seen),
        cmocka_unit_test(errors_are_jackknives),
        cmocka_unit_test(copies_do_not_count),
        cmocka_unit_test(errors_are_deviations_over_data_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
