#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "bnn/group.h"
#include "bnn/html.h"
#include "commands/figures.h"
#include "commands/report.h"

/* Confusion matrices of more classes are left to the JSON. */
enum { CONFUSION_CLASSES = 32, CAPTION = 1024 };

typedef struct page {
    FILE *out;
    const cJSON *runs, *configurations;
    size_t run_count, configuration_count;
    size_t charts; /* so far */
    bnn_error *error;
} page;

static double number_of(const cJSON *value)
{
    return cJSON_IsNumber(value) ? value->valuedouble : NAN;
}

static double number_at(const cJSON *json, const char *path)
{
    return number_of(figures_find(json, path));
}

static const char *text_at(const cJSON *json, const char *path)
{
    const char *text = cJSON_GetStringValue(figures_find(json, path));
    return text ? text : "";
}

static const cJSON *configuration_at(const page *p, size_t number)
{
    return cJSON_GetArrayItem(p->configurations, (int)number);
}

/* Run i of a configuration; NULL after the last. */
static const cJSON *run_of(const page *p, const cJSON *configuration, size_t i)
{
    const cJSON *number = cJSON_GetArrayItem(figures_find(configuration, "runs"), (int)i);
    return number ? cJSON_GetArrayItem(p->runs, (int)number->valuedouble) : NULL;
}

/* ---- charts made of JSON ---------------------------------------------------------------------------------- */

/* A chart and its series, whose memory ends with it. As memory for JSON, that of charts does not fail (main.c). */
typedef struct drawing {
    bnn_chart chart;
    bnn_series *series;
} drawing;

static drawing begin_chart(const char *title, const char *x, const char *y, size_t most_series)
{
    const bnn_axis whole = {.least = NAN, .most = NAN};
    drawing d = {.chart = {.title = title, .x = whole, .y = whole},
                 .series = cJSON_malloc((most_series + 1) * sizeof(bnn_series))};
    d.chart.series = d.series;
    d.chart.x.label = x;
    d.chart.y.label = y;
    return d;
}

/* A new series of n points, NaN so far. */
static bnn_series *add_series(drawing *d, bnn_series_style style, size_t colour, const char *label, size_t n)
{
    bnn_series *series = &d->series[d->chart.count++];
    double *figures = cJSON_malloc((4 * n + 1) * sizeof *figures);
    for (size_t i = 0; i < 4 * n; i++) figures[i] = NAN;
    *series = (bnn_series){.label = label,
                           .colour = colour,
                           .style = style,
                           .count = n,
                           .x = figures,
                           .y = figures + n,
                           .x_error = figures + 2 * n,
                           .y_error = figures + 3 * n};
    return series;
}

static bnn_status end_chart(page *p, drawing *d, const char *caption)
{
    const bnn_status status = bnn_html_chart(p->out, &d->chart, ++p->charts, caption, p->error);
    for (size_t k = 0; k < d->chart.count; k++) cJSON_free(d->series[k].x);
    cJSON_free(d->series);
    return status;
}

/* ---- tables ------------------------------------------------------------------------------------------------ */

/* The figures of one of the two tables that any configuration has: columns (count of them) and their places in report_figures. */
static size_t choose_columns(const page *p, int uncertainty, bnn_html_column *columns,
                             const report_figure **chosen)
{
    size_t count = 0;
    for (const report_figure *f = report_figures; f->name; f++) {
        bool found = false;
        for (size_t c = 0; c < p->configuration_count; c++)
            found = found || figures_find(configuration_at(p, c), f->name);
        if (!found || f->uncertainty != uncertainty) continue;
        chosen[count] = f;
        columns[count++] = (bnn_html_column){f->title, f->meaning, f->format};
    }
    return count;
}

/* A row a configuration: mean and standard deviation over its runs; or, with `each`, a row a run. */
static void put_table(page *p, int uncertainty, bool each, const char *caption)
{
    enum { MOST = 32 };
    bnn_html_column columns[MOST];
    const report_figure *chosen[MOST];
    const size_t count = choose_columns(p, uncertainty, columns, chosen);
    const size_t rows = each ? p->run_count : p->configuration_count;
    const char **names = cJSON_malloc(rows * sizeof *names);
    size_t *colours = cJSON_malloc(rows * sizeof *colours);
    bnn_html_cell *cells = cJSON_malloc((rows * count + 1) * sizeof *cells);
    for (size_t r = 0; r < rows; r++) {
        const cJSON *row = each ? cJSON_GetArrayItem(p->runs, (int)r) : configuration_at(p, r);
        names[r] = text_at(row, each ? "directory" : "name");
        colours[r] = each ? (size_t)number_at(row, "configuration") : r;
        for (size_t c = 0; c < count; c++) {
            const cJSON *figure = figures_find(row, each ? chosen[c]->path : chosen[c]->name);
            cells[r * count + c] = each
                                       ? (bnn_html_cell){number_of(figure), NAN}
                                       : (bnn_html_cell){number_at(figure, "mean"), number_at(figure, "std")};
        }
    }
    const bnn_html_table table = {.caption = caption,
                                  .head = each ? "run" : "configuration",
                                  .columns = columns,
                                  .column_count = count,
                                  .names = names,
                                  .colours = colours,
                                  .row_count = rows,
                                  .cells = cells};
    bnn_html_table_of(p->out, &table);
    cJSON_free(names);
    cJSON_free(colours);
    cJSON_free(cells);
}

static bnn_status put_price(page *p)
{
    bnn_html_section(p->out, "The price of symmetry",
                     "What a configuration gains and gives up, from the likelihood to the clock.", 0);
    put_table(
        p, 0, false,
        "Mean over seeds ± standard deviation. ELBO: the expected log-likelihood less KL(q‖p), in "
        "nats, at the number "
        "N0 of base training images; its change at the step: right after q was symmetrized less right "
        "before. "
        "Defect: mean of ‖F(g.x) − F(x)‖² over images and group, estimated without bias, so that 0 "
        "within its error "
        "is exact symmetry. Seconds are those of training. Forwards: passes of the network a prediction.");
    if (p->run_count > p->configuration_count) {
        fprintf(p->out, "<details>\n<summary>Every run</summary>\n");
        put_table(p, 0, true, "The same figures of each run.");
        fprintf(p->out, "</details>\n");
    }
    bnn_html_end_section(p->out);
    return BNN_OK;
}

/* ---- symmetry ---------------------------------------------------------------------------------------------- */

static bnn_status put_comparison(page *p)
{
    drawing d = begin_chart("Accuracy against defect", "unbiased defect", "accuracy over the orbit",
                            2 * p->configuration_count);
    d.chart.x.scale = BNN_AXIS_SIGNED_LOG;
    for (size_t c = 0; c < p->configuration_count; c++) {
        const cJSON *configuration = configuration_at(p, c), *run;
        const size_t runs = (size_t)cJSON_GetArraySize(figures_find(configuration, "runs"));
        if (runs > 1) {
            bnn_series *each = add_series(&d, BNN_SERIES_POINTS, c, NULL, runs);
            each->faint = true;
            for (size_t i = 0; (run = run_of(p, configuration, i)); i++) {
                each->x[i] = number_at(run, "eval.equivariance.defect.unbiased");
                each->y[i] = number_at(run, "eval.accuracy_orbit");
            }
        }
        bnn_series *mean = add_series(&d, BNN_SERIES_POINTS, c, text_at(configuration, "name"), 1);
        mean->x[0] = number_at(configuration, "defect_unbiased.mean");
        mean->y[0] = number_at(configuration, "accuracy_orbit.mean");
        mean->x_error[0] = number_at(configuration, "defect_unbiased.std");
        mean->y_error[0] = number_at(configuration, "accuracy_orbit.std");
    }
    return end_chart(
        p, &d,
        "Up is better, left is more symmetric. Each configuration's mean over seeds with bars of one "
        "standard "
        "deviation; small marks are single runs. The axis is logarithmic away from 0 and linear about it: an "
        "estimate of an exact 0 falls on either side.");
}

/* Where an element stands around the circle, in degrees; *flip <- whether it reflects. */
static double angle_of(const bnn_group *group, size_t element, bool *flip)
{
    *flip = group->kind == BNN_GROUP_DIHEDRAL && element >= group->n;
    if (group->kind == BNN_GROUP_TRANSLATION) return 360.0 * (double)element / (double)group->order;
    return 360.0 * (double)(element % group->n) / (double)group->n;
}

/* The mean over runs of the defect under each element, around the circle and closed. */
static void add_circle(const page *p, drawing *d, const cJSON *configuration, size_t colour,
                       const bnn_group *group, bool flips)
{
    const bool dihedral = group->kind == BNN_GROUP_DIHEDRAL;
    const size_t points = dihedral ? group->n : group->order;
    const cJSON *run;
    bnn_series *s = add_series(d, flips ? BNN_SERIES_DASHED : BNN_SERIES_LINE_POINTS, colour,
                               flips ? NULL : text_at(configuration, "name"), points + 1);
    for (size_t k = 0; k <= points; k++) {
        const size_t element = k % points + (flips ? points : 0);
        double sum = 0, n = 0;
        bool flip;
        for (size_t i = 0; (run = run_of(p, configuration, i)); i++, n++)
            sum += number_of(
                cJSON_GetArrayItem(figures_find(run, "eval.equivariance.defect.per_element"), (int)element));
        s->x[k] = angle_of(group, element, &flip);
        s->y[k] = sum / n;
    }
}

/* Of all configurations of a group, whose first one is `first`. */
static bnn_status put_polar(page *p, size_t first)
{
    const cJSON *example = run_of(p, configuration_at(p, first), 0);
    const char *name = text_at(example, "eval.equivariance.group");
    bnn_group *group;
    bnn_spoke spokes[BNN_GROUP_MAX_ORDER];
    size_t spoke_count = 0;
    char title[64] = "";
    const bnn_status status = bnn_group_create(name, &group, p->error);
    if (status) return status;
    bnn_append(title, sizeof title, "Defect under each element of %s", group->name);
    drawing d = begin_chart(title, "", "", 2 * p->configuration_count);
    d.chart.y.scale = BNN_AXIS_SIGNED_LOG;
    d.chart.y.least = 0;
    for (size_t g = 0; g < group->order; g++) {
        const cJSON *names = figures_find(example, "eval.equivariance.defect.elements");
        bool flip;
        const double angle = angle_of(group, g, &flip);
        if (!flip && g % ((group->order + 31) / 32) == 0)
            spokes[spoke_count++] =
                (bnn_spoke){angle, cJSON_GetStringValue(cJSON_GetArrayItem(names, (int)g))};
    }
    d.chart.spokes = spokes;
    d.chart.spoke_count = spoke_count;
    for (size_t c = first; c < p->configuration_count; c++) {
        if (strcmp(text_at(run_of(p, configuration_at(p, c), 0), "eval.equivariance.group"), name) != 0)
            continue;
        add_circle(p, &d, configuration_at(p, c), c, group, false);
        if (group->kind == BNN_GROUP_DIHEDRAL) add_circle(p, &d, configuration_at(p, c), c, group, true);
    }
    bnn_group_free(group);
    return end_chart(
        p, &d,
        "How far the prediction moves when an image is moved by g: distance from the middle, logarithmic but "
        "for the middle, where the defect is 0 (or its estimate below). Mean over seeds; dashed: "
        "reflections.");
}

static bnn_status put_polars(page *p)
{
    bnn_status status = BNN_OK;
    for (size_t c = 0; !status && c < p->configuration_count; c++) {
        const char *name = text_at(run_of(p, configuration_at(p, c), 0), "eval.equivariance.group");
        bool seen = false;
        for (size_t b = 0; b < c; b++)
            seen = seen || strcmp(text_at(run_of(p, configuration_at(p, b), 0), "eval.equivariance.group"),
                                  name) == 0;
        const bool trivial = number_at(run_of(p, configuration_at(p, c), 0), "eval.equivariance.order") <= 1;
        if (!seen && !trivial) status = put_polar(p, c);
    }
    return status;
}

static bnn_status put_sweeps(page *p)
{
    drawing d = begin_chart("Defect against the number of draws", "weight draws T", "defect",
                            2 * p->configuration_count);
    char caption[CAPTION] = "";
    double images = 0, repeats = 0;
    d.chart.x.scale = BNN_AXIS_LOG2;
    d.chart.y.scale = BNN_AXIS_SIGNED_LOG;
    for (size_t c = 0; c < p->configuration_count; c++) {
        const cJSON *sweep = figures_find(run_of(p, configuration_at(p, c), 0), "sample_sweep"), *row;
        const cJSON *rows = figures_find(sweep, "rows");
        const size_t n = (size_t)cJSON_GetArraySize(rows);
        size_t i = 0;
        if (n == 0) continue;
        images = number_at(sweep, "images");
        repeats = number_at(sweep, "repeats");
        bnn_series *plugin =
            add_series(&d, BNN_SERIES_LINE_POINTS, c, text_at(configuration_at(p, c), "name"), n);
        bnn_series *unbiased = add_series(&d, BNN_SERIES_DASHED, c, NULL, n);
        cJSON_ArrayForEach(row, rows)
        {
            plugin->x[i] = unbiased->x[i] = number_at(row, "samples");
            plugin->y[i] = number_at(row, "plugin_mean");
            plugin->y_error[i] = number_at(row, "plugin_std");
            unbiased->y[i++] = number_at(row, "unbiased_mean");
        }
    }
    bnn_append(caption, sizeof caption,
               "F is a mean over T draws of the weights, and its noise alone makes a defect, which falls as "
               "1/T: solid, the "
               "plug-in estimate, with the standard deviation over %.0f repeats. Dashed: the unbiased one, "
               "which has no such "
               "floor. First run of each configuration, %.0f images.",
               repeats, images);
    return end_chart(p, &d, caption);
}

static bnn_status put_symmetry(page *p)
{
    bnn_html_section(p->out, "Symmetry", "Does the prediction stay the same when the image is moved?", 1);
    bnn_status status = put_comparison(p);
    if (!status) status = put_polars(p);
    if (!status) status = put_sweeps(p);
    bnn_html_end_section(p->out);
    return status;
}

/* ---- training ---------------------------------------------------------------------------------------------- */

static void add_curve(drawing *d, const cJSON *run, const char *path, bnn_series_style style, size_t colour,
                      const char *label)
{
    const cJSON *epochs = figures_find(run, "epochs"), *epoch;
    size_t i = 0;
    bnn_series *s = add_series(d, style, colour, label, (size_t)cJSON_GetArraySize(epochs));
    s->faint = true;
    cJSON_ArrayForEach(epoch, epochs)
    {
        s->x[i] = number_at(epoch, "epoch");
        s->y[i++] = number_at(epoch, path);
    }
}

static bool has_any(const cJSON *run, const char *path)
{
    const cJSON *epoch;
    cJSON_ArrayForEach(
        epoch, figures_find(run, "epochs")) if (cJSON_IsNumber(figures_find(epoch, path))) return true;
    return false;
}

/* A curve a run, and where there are validations, another one, dashed. */
static bnn_status put_curves(page *p, const char *title, const char *label, const char *path,
                             const char *validation, const char *caption)
{
    drawing d = begin_chart(title, "epoch", label, 2 * p->run_count);
    for (size_t c = 0; c < p->configuration_count; c++) {
        const cJSON *configuration = configuration_at(p, c), *run;
        for (size_t i = 0; (run = run_of(p, configuration, i)); i++) {
            add_curve(&d, run, path, BNN_SERIES_LINE, c, i == 0 ? text_at(configuration, "name") : NULL);
            if (validation && has_any(run, validation))
                add_curve(&d, run, validation, BNN_SERIES_DASHED, c, NULL);
        }
    }
    return end_chart(p, &d, caption);
}

/* A line a layer and run. */
static bnn_status put_spread(page *p, size_t number)
{
    const cJSON *configuration = configuration_at(p, number), *run, *epoch;
    const cJSON *first = cJSON_GetArrayItem(figures_find(run_of(p, configuration, 0), "epochs"), 0);
    const cJSON *layers = figures_find(first, "layers"), *layer;
    const size_t layer_count = (size_t)cJSON_GetArraySize(layers);
    char title[320] = "";
    bnn_append(title, sizeof title, "Sigma over the prior's, %s", text_at(configuration, "name"));
    drawing d = begin_chart(title, "epoch", "mean of sigma/s", p->run_count * layer_count);
    d.chart.y.scale = BNN_AXIS_LOG;
    for (size_t i = 0; (run = run_of(p, configuration, i)); i++) {
        const cJSON *epochs = figures_find(run, "epochs");
        size_t l = 0;
        cJSON_ArrayForEach(layer, layers)
        {
            size_t e = 0;
            bnn_series *s = add_series(&d, BNN_SERIES_LINE, l, i == 0 ? text_at(layer, "name") : NULL,
                                       (size_t)cJSON_GetArraySize(epochs));
            s->faint = true;
            cJSON_ArrayForEach(epoch, epochs)
            {
                s->x[e] = number_at(epoch, "epoch");
                s->y[e++] =
                    number_at(cJSON_GetArrayItem(figures_find(epoch, "layers"), (int)l), "sigma_over_prior");
            }
            l++;
        }
    }
    return end_chart(p, &d,
                     "How uncertain each layer's weights are, as a share of what the prior allows: 1 has "
                     "learnt nothing, near 0 "
                     "the weights are all but fixed. A line a layer and seed.");
}

static bnn_status put_training(page *p)
{
    bnn_html_section(p->out, "Training",
                     "A line a run, an epoch a point; dashed where validation images are meant.", 1);
    bnn_status status = put_curves(
        p, "ELBO", "ELBO an image (nats)", "elbo_per_example", NULL,
        "The evidence lower bound at N0, which training raises: how well the labels are predicted, less "
        "the price KL(q‖p) of all that was learnt.");
    if (!status)
        status = put_curves(p, "Negative log-likelihood", "NLL (nats)", "train_nll", "validation_nll",
                            "How surprising the right labels are to single draws of the network (solid: "
                            "training), and to their "
                            "mean (dashed: validation).");
    if (!status)
        status = put_curves(p, "KL", "KL(q‖p) (nats)", "kl", NULL,
                            "How far the posterior q has moved from the prior p: what the model has taken "
                            "from the data, never "
                            "rescaled.");
    if (!status)
        status =
            put_curves(p, "Accuracy", "accuracy", "train_accuracy", "validation_accuracy",
                       "Of training images under single draws (solid), and of validation images (dashed).");
    for (size_t c = 0; !status && c < p->configuration_count; c++) status = put_spread(p, c);
    bnn_html_end_section(p->out);
    return status;
}

/* ---- calibration and uncertainty ---------------------------------------------------------------------------- */

/* Bins of all runs together. */
static void add_reliability(const page *p, drawing *d, size_t number)
{
    const cJSON *configuration = configuration_at(p, number), *run, *bin;
    const size_t bins =
        (size_t)cJSON_GetArraySize(figures_find(run_of(p, configuration, 0), "eval.uncertainty.reliability"));
    if (bins == 0) return;
    bnn_series *s = add_series(d, BNN_SERIES_LINE_POINTS, number, text_at(configuration, "name"), bins);
    for (size_t b = 0; b < bins; b++) {
        double count = 0, confidence = 0, correct = 0;
        for (size_t i = 0; (run = run_of(p, configuration, i)); i++) {
            bin = cJSON_GetArrayItem(figures_find(run, "eval.uncertainty.reliability"), (int)b);
            const double n = number_at(bin, "count");
            if (!(n > 0)) continue;
            count += n;
            confidence += n * number_at(bin, "confidence");
            correct += n * number_at(bin, "accuracy");
        }
        s->x[b] = confidence / count;
        s->y[b] = correct / count;
    }
}

static bnn_status put_reliability(page *p)
{
    drawing d = begin_chart("Reliability", "confidence", "accuracy", p->configuration_count + 1);
    d.chart.x.least = d.chart.y.least = 0;
    d.chart.x.most = d.chart.y.most = 1;
    bnn_series *ideal = add_series(&d, BNN_SERIES_DASHED, BNN_CHART_COLOURS - 1, "as confident as right", 2);
    ideal->x[0] = ideal->y[0] = 0;
    ideal->x[1] = ideal->y[1] = 1;
    for (size_t c = 0; c < p->configuration_count; c++) add_reliability(p, &d, c);
    return end_chart(p, &d,
                     "Of the images that are predicted with some confidence, the share that is right: below "
                     "the diagonal the "
                     "model is too sure of itself. The 15 bins of the ECE, all seeds together.");
}

/* Shares of the images of all runs of a configuration, as a histogram. */
static void add_entropies(const page *p, drawing *d, const cJSON *configuration, const char *path,
                          size_t colour, const char *label)
{
    const cJSON *run, *first = figures_find(run_of(p, configuration, 0), path);
    const size_t bins = (size_t)cJSON_GetArraySize(figures_find(first, "counts"));
    const double width = number_at(first, "width");
    double total = 0;
    if (bins == 0) return;
    bnn_series *s = add_series(d, BNN_SERIES_STEPS, colour, label, bins + 1);
    for (size_t b = 0; b <= bins; b++) {
        s->x[b] = (double)b * width;
        s->y[b] = 0;
        for (size_t i = 0; b < bins && (run = run_of(p, configuration, i)); i++)
            s->y[b] += number_of(cJSON_GetArrayItem(figures_find(figures_find(run, path), "counts"), (int)b));
        total += s->y[b];
    }
    for (size_t b = 0; b <= bins; b++) s->y[b] /= total;
}

static bnn_status put_entropies(page *p, size_t number)
{
    const cJSON *configuration = configuration_at(p, number);
    const char *other = text_at(run_of(p, configuration, 0), "eval.uncertainty.ood.data");
    char title[320] = "", caption[CAPTION] = "";
    bnn_append(title, sizeof title, "Entropies, %s", text_at(configuration, "name"));
    bnn_append(caption, sizeof caption,
               "How undecided the predictions are, from 0, certain, to log C, a guess: shares of the images");
    if (*other)
        bnn_append(caption, sizeof caption,
                   ". Images unlike the training data should lie to the right; AUROC %.3f",
                   number_at(configuration, "auroc_entropy.mean"));
    bnn_append(caption, sizeof caption, ".");
    drawing d = begin_chart(title, "predictive entropy (nats)", "share of the images", 2);
    add_entropies(p, &d, configuration, "eval.uncertainty.entropy_histogram", 0, "evaluated images");
    add_entropies(p, &d, configuration, "eval.uncertainty.ood.entropy_histogram", 1, other);
    return end_chart(p, &d, caption);
}

static bnn_status put_uncertainty(page *p)
{
    bnn_html_section(p->out, "Calibration and uncertainty", "Does the model know what it does not know?", 0);
    put_table(p, 1, false,
              "Mean over seeds ± standard deviation. Entropies and informations in nats. AUROC: how well a "
              "score tells other "
              "data from the evaluated images (0.5: chance, 1: perfectly).");
    fprintf(p->out, "<div class=\"grid\">\n");
    bnn_status status = put_reliability(p);
    for (size_t c = 0; !status && c < p->configuration_count; c++) status = put_entropies(p, c);
    fprintf(p->out, "</div>\n");
    bnn_html_end_section(p->out);
    return status;
}

/* ---- classes and images ------------------------------------------------------------------------------------- */

static void put_confusion(page *p, const cJSON *configuration, size_t classes)
{
    double *counts = cJSON_malloc(classes * classes * sizeof *counts);
    const cJSON *run;
    for (size_t k = 0; k < classes * classes; k++) {
        counts[k] = 0;
        for (size_t i = 0; (run = run_of(p, configuration, i)); i++) {
            const cJSON *row = cJSON_GetArrayItem(figures_find(run, "eval.confusion"), (int)(k / classes));
            counts[k] += number_of(cJSON_GetArrayItem(row, (int)(k % classes)));
        }
    }
    bnn_html_confusion(
        p->out, text_at(configuration, "name"),
        "Rows are labels, columns predictions; images of all seeds together. Green is right; orange is what "
        "the label is taken for.",
        counts, classes);
    cJSON_free(counts);
}

static bnn_status put_classes(page *p)
{
    const size_t classes =
        (size_t)cJSON_GetArraySize(figures_find(run_of(p, configuration_at(p, 0), 0), "eval.confusion"));
    if (classes == 0 || classes > CONFUSION_CLASSES) return BNN_OK;
    bnn_html_section(p->out, "Classes", "What is taken for what.", 1);
    for (size_t c = 0; c < p->configuration_count; c++) {
        const cJSON *run = run_of(p, configuration_at(p, c), 0);
        const size_t own = (size_t)cJSON_GetArraySize(figures_find(run, "eval.confusion"));
        if (own > 0 && own <= CONFUSION_CLASSES) put_confusion(p, configuration_at(p, c), own);
    }
    bnn_html_end_section(p->out);
    return BNN_OK;
}

static bnn_status put_pictures(page *p, const report_picture *pictures)
{
    bnn_html_section(p->out, "The worst images", "Those whose prediction changes most over the orbit.", 0);
    for (size_t c = 0; c < p->configuration_count; c++) {
        const cJSON *configuration = configuration_at(p, c), *run = run_of(p, configuration, 0);
        char caption[CAPTION] = "";
        bnn_append(caption, sizeof caption,
                   "%s: images under each element of the group, and below each the predicted distribution "
                   "F(g.x) with twice "
                   "its standard error over draws; the label's bar is green. Were the model symmetric, a "
                   "row's bars would be "
                   "alike.",
                   text_at(run, "directory"));
        if (pictures[c].png)
            bnn_html_png(p->out, text_at(configuration, "name"), caption, pictures[c].png, pictures[c].size);
    }
    bnn_html_end_section(p->out);
    return BNN_OK;
}

/* "C4, D4": the groups of all configurations. Returns `text`. */
static char *group_names(const page *p, char *text, size_t size)
{
    *text = '\0';
    for (size_t c = 0; c < p->configuration_count; c++) {
        const char *name = text_at(run_of(p, configuration_at(p, c), 0), "eval.equivariance.group");
        bool seen = false;
        for (size_t b = 0; b < c; b++)
            seen = seen || strcmp(text_at(run_of(p, configuration_at(p, b), 0), "eval.equivariance.group"),
                                  name) == 0;
        if (!seen) bnn_append(text, size, "%s%s", *text ? ", " : "", name);
    }
    return text;
}

static void put_introduction(const page *p)
{
    const cJSON *run = run_of(p, configuration_at(p, 0), 0);
    const char *other = text_at(run, "eval.uncertainty.ood.data");
    char text[CAPTION] = "", groups[256];
    bnn_append(text, sizeof text,
               "%zu run%s of %zu configuration%s, evaluated on %.0f images with %.0f weight draws a "
               "prediction, group %s",
               p->run_count, p->run_count == 1 ? "" : "s", p->configuration_count,
               p->configuration_count == 1 ? "" : "s", number_at(run, "eval.images"),
               number_at(run, "eval.samples"), group_names(p, groups, sizeof groups));
    if (*other) bnn_append(text, sizeof text, "; out of distribution: %s", other);
    bnn_append(text, sizeof text, ". bnn %s.", BNN_VERSION);
    bnn_html_paragraph(p->out, text);
}

bnn_status report_page(FILE *out, const cJSON *report, const report_picture *pictures, bnn_error *error)
{
    page p = {.out = out,
              .runs = figures_find(report, "runs"),
              .configurations = figures_find(report, "configurations"),
              .error = error};
    p.run_count = (size_t)cJSON_GetArraySize(p.runs);
    p.configuration_count = (size_t)cJSON_GetArraySize(p.configurations);
    bnn_html_begin(out, "Symmetric Bayesian neural networks: a report");
    put_introduction(&p);
    bnn_status status = put_price(&p);
    if (!status) status = put_symmetry(&p);
    if (!status) status = put_training(&p);
    if (!status) status = put_uncertainty(&p);
    if (!status) status = put_classes(&p);
    if (!status) status = put_pictures(&p, pictures);
    bnn_html_end(out);
    return status;
}
