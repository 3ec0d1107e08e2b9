/* Figures of one class at a time. */
#include <math.h>
#include <stdlib.h>

#include "metrics/figures.h"

/* The AUROC of every class from the first `views` predictions of each image; scratch (2, images * views). Returns the mean over
 * classes that have one. */
static double measure_auroc(const bnn_metrics *m, size_t views, double *scratch)
{
    const size_t stride = m->order * m->classes;
    double sum = 0, classes = 0;
    for (size_t c = 0; c < m->classes; c++) {
        double *others = scratch, *own = scratch + m->images * views;
        size_t n = 0, k = 0;
        for (size_t i = 0; i < m->images; i++)
            for (size_t g = 0; g < views; g++) {
                const double score = m->predictive[i * stride + g * m->classes + c];
                if (m->labels[i] == c)
                    own[k++] = score;
                else
                    others[n++] = score;
            }
        const double figure = bnn_auroc(others, n, own, k);
        *(views > 1 ? &m->of_class[c].auroc_orbit : &m->of_class[c].auroc) = figure;
        if (isnan(figure)) continue;
        sum += figure;
        classes++;
    }
    return sum / classes;
}

/* confusion (classes, classes) of the first `views` predictions of each image. */
static void count_pairs(const bnn_metrics *m, size_t views, size_t *confusion)
{
    for (size_t i = 0; i < m->images; i++)
        for (size_t g = 0; g < views; g++) {
            const double *p = m->predictive + (i * m->order + g) * m->classes;
            confusion[m->labels[i] * m->classes + bnn_metrics_largest(p, m->classes)]++;
        }
}

static double recall_of(const size_t *confusion, size_t classes, size_t c)
{
    double row = 0;
    for (size_t k = 0; k < classes; k++) row += (double)confusion[c * classes + k];
    return (double)confusion[c * classes + c] / row;
}

static double precision_of(const size_t *confusion, size_t classes, size_t c)
{
    double column = 0;
    for (size_t k = 0; k < classes; k++) column += (double)confusion[k * classes + c];
    return (double)confusion[c * classes + c] / column;
}

/* The means over each class's images. */
static void average_images(const double *nll, bnn_metrics *m)
{
    for (size_t i = 0; i < m->images; i++) {
        bnn_class_figures *f = &m->of_class[m->labels[i]];
        f->count++;
        f->nll += nll[i];
        f->entropy += m->image_entropy[i];
        f->mutual_information += m->image_mutual_information[i];
        f->orbit_mutual_information += m->image_orbit_mutual_information[i];
    }
    for (size_t c = 0; c < m->classes; c++) {
        bnn_class_figures *f = &m->of_class[c];
        const double count = (double)f->count;
        f->nll /= count;
        f->entropy /= count;
        f->mutual_information /= count;
        f->orbit_mutual_information /= count;
    }
}

bnn_status bnn_measure_classes(const double *nll, bnn_metrics *m, bnn_error *error)
{
    const size_t views = m->images * m->order;
    double *scratch = bnn_alloc(2, views * sizeof *scratch), classes = 0;
    if (!scratch) return bnn_no_memory(error, "the classes' scores", 2, views * sizeof *scratch);
    average_images(nll, m);
    count_pairs(m, 1, m->confusion);
    count_pairs(m, m->order, m->confusion_orbit);
    m->balanced_accuracy = m->balanced_nll = m->balanced_accuracy_orbit = 0;
    for (size_t c = 0; c < m->classes; c++) {
        bnn_class_figures *f = &m->of_class[c];
        f->recall = recall_of(m->confusion, m->classes, c);
        f->precision = precision_of(m->confusion, m->classes, c);
        f->recall_orbit = recall_of(m->confusion_orbit, m->classes, c);
        f->precision_orbit = precision_of(m->confusion_orbit, m->classes, c);
        if (!f->count) continue;
        classes++;
        m->balanced_accuracy += f->recall;
        m->balanced_nll += f->nll;
        m->balanced_accuracy_orbit += f->recall_orbit;
    }
    m->balanced_accuracy /= classes;
    m->balanced_nll /= classes;
    m->balanced_accuracy_orbit /= classes;
    m->auroc = m->auroc_orbit = measure_auroc(m, 1, scratch);
    for (size_t c = 0; c < m->classes; c++) m->of_class[c].auroc_orbit = m->of_class[c].auroc;
    if (m->order > 1) m->auroc_orbit = measure_auroc(m, m->order, scratch);
    free(scratch);
    return BNN_OK;
}
