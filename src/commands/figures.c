#include "commands/figures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands/command.h"

static void add_error(cJSON *json, const char *name, const char *suffix, double value)
{
    char key[64];
    snprintf(key, sizeof key, "%s%s_standard_error", name, suffix);
    cmd_add_number(json, key, value);
}

static void add_errors(cJSON *json, const bnn_standard_errors *errors, const char *suffix)
{
    add_error(json, "accuracy", suffix, errors->accuracy);
    add_error(json, "nll", suffix, errors->nll);
    add_error(json, "ece", suffix, errors->ece);
    add_error(json, "brier", suffix, errors->brier);
}

void figures_add_basic(cJSON *json, const bnn_metrics *m)
{
    cJSON_AddNumberToObject(json, "images", (double)m->images);
    cJSON_AddNumberToObject(json, "samples", (double)m->draws);
    if (!m->labelled) return;
    cmd_add_number(json, "accuracy", m->accuracy);
    cmd_add_number(json, "nll", m->nll);
    cmd_add_number(json, "ece", m->ece);
    cmd_add_number(json, "brier", m->brier);
    add_errors(json, &m->standard_error, "");
    cmd_add_number(json, "balanced_accuracy", m->balanced_accuracy);
    cmd_add_number(json, "auroc", m->auroc);
}

static void add_elements(cJSON *defect, const bnn_group *group, size_t height, size_t width)
{
    cJSON *names = cJSON_AddArrayToObject(defect, "elements");
    for (size_t g = 0; g < group->order; g++) {
        char name[64];
        bnn_group_element_name(group, g, height, width, name, sizeof name);
        cJSON_AddItemToArray(names, cJSON_CreateString(name));
    }
}

void figures_add_equivariance(cJSON *json, const bnn_metrics *m, const bnn_group *group, size_t height,
                              size_t width, const bnn_certificate *certificate, const char *no_certificate)
{
    if (m->labelled) {
        cmd_add_number(json, "accuracy_orbit", m->accuracy_orbit);
        cmd_add_number(json, "nll_orbit", m->nll_orbit);
        cmd_add_number(json, "ece_orbit", m->ece_orbit);
        cmd_add_number(json, "brier_orbit", m->brier_orbit);
        add_errors(json, &m->standard_error_orbit, "_orbit");
        cmd_add_number(json, "balanced_accuracy_orbit", m->balanced_accuracy_orbit);
        cmd_add_number(json, "auroc_orbit", m->auroc_orbit);
    }
    cJSON *equivariance = cJSON_AddObjectToObject(json, "equivariance");
    if (group) {
        cJSON_AddStringToObject(equivariance, "group", group->name);
        cJSON_AddBoolToObject(equivariance, "exact", bnn_group_is_exact(group, height, width));
    }
    cJSON_AddNumberToObject(equivariance, "order", (double)m->order);
    cJSON_AddNumberToObject(equivariance, "samples", (double)m->draws);
    cJSON_AddNumberToObject(equivariance, "images", (double)m->images);
    cJSON *defect = cJSON_AddObjectToObject(equivariance, "defect");
    cmd_add_number(defect, "plugin", m->defect_plugin);
    cmd_add_number(defect, "plugin_std", m->defect_plugin_std);
    cmd_add_number(defect, "unbiased", m->defect_unbiased);
    cmd_add_number(defect, "standard_error", m->defect_standard_error);
    cmd_add_numbers(defect, "per_element", m->defect_unbiased_per_element, m->order);
    cmd_add_numbers(defect, "plugin_per_element", m->defect_plugin_per_element, m->order);
    if (group) add_elements(defect, group, height, width);
    cmd_add_number(equivariance, "orbit_agreement", m->orbit_agreement);
    cmd_add_number(equivariance, "orbit_identity_agreement", m->orbit_identity_agreement);
    cJSON *kl = cJSON_AddObjectToObject(equivariance, "symmetric_kl");
    cmd_add_number(kl, "mean", m->symmetric_kl_mean);
    cmd_add_number(kl, "std", m->symmetric_kl_std);
    if (certificate) {
        cJSON *of_q = cJSON_AddObjectToObject(equivariance, "certificate");
        cJSON_AddStringToObject(of_q, "of", "q"); /* whatever the predictive */
        cmd_add_certificate(of_q, certificate);
    } else if (no_certificate)
        cJSON_AddStringToObject(equivariance, "no_certificate", no_certificate);
}

static void add_reliability(cJSON *json, const char *name, const bnn_reliability_bin *bins)
{
    cJSON *table = cJSON_AddArrayToObject(json, name);
    for (size_t b = 0; b < BNN_ECE_BINS; b++) {
        cJSON *row = cJSON_CreateObject();
        cmd_add_number(row, "up_to", (double)(b + 1) / BNN_ECE_BINS);
        cJSON_AddNumberToObject(row, "count", (double)bins[b].count);
        cmd_add_number(row, "confidence", bins[b].confidence);
        cmd_add_number(row, "accuracy", bins[b].accuracy);
        cJSON_AddItemToArray(table, row);
    }
}

/* Of the entropies of n images, between 0 and log C. */
static void add_entropy_histogram(cJSON *json, const double *entropies, size_t n, size_t classes)
{
    double counts[FIGURES_HISTOGRAM_BINS];
    const double most = log((double)classes);
    bnn_histogram(entropies, n, most, FIGURES_HISTOGRAM_BINS, counts);
    cJSON *histogram = cJSON_AddObjectToObject(json, "entropy_histogram");
    cmd_add_number(histogram, "width", most / FIGURES_HISTOGRAM_BINS);
    cmd_add_numbers(histogram, "counts", counts, FIGURES_HISTOGRAM_BINS);
}

cJSON *figures_add_uncertainty(cJSON *json, const bnn_metrics *m)
{
    cJSON *uncertainty = cJSON_AddObjectToObject(json, "uncertainty");
    cmd_add_number(uncertainty, "entropy", m->entropy);
    cmd_add_number(uncertainty, "mutual_information", m->mutual_information);
    cmd_add_number(uncertainty, "orbit_mutual_information", m->orbit_mutual_information);
    add_entropy_histogram(uncertainty, m->image_entropy, m->images, m->classes);
    if (m->labelled) {
        cmd_add_number(uncertainty, "aurc", m->aurc);
        add_reliability(uncertainty, "reliability", m->reliability);
        if (m->order > 1) add_reliability(uncertainty, "reliability_orbit", m->reliability_orbit);
    }
    return uncertainty;
}

void figures_add_ood(cJSON *uncertainty, const char *name, const bnn_metrics *in, const bnn_metrics *out)
{
    cJSON *ood = cJSON_AddObjectToObject(uncertainty, "ood");
    cJSON_AddStringToObject(ood, "data", name);
    cJSON_AddNumberToObject(ood, "images", (double)out->images);
    cmd_add_number(ood, "auroc_entropy",
                   bnn_auroc(in->image_entropy, in->images, out->image_entropy, out->images));
    cmd_add_number(
        ood, "auroc_mutual_information",
        bnn_auroc(in->image_mutual_information, in->images, out->image_mutual_information, out->images));
    cmd_add_number(ood, "auroc_orbit_mutual_information",
                   bnn_auroc(in->image_orbit_mutual_information, in->images,
                             out->image_orbit_mutual_information, out->images));
    add_entropy_histogram(ood, out->image_entropy, out->images, out->classes);
}

/* The least-squares slope of log(std) against log(T). */
static double log_slope(const bnn_sweep_row *rows, size_t n, bool unbiased)
{
    double x = 0, y = 0, xx = 0, xy = 0, used = 0;
    for (size_t i = 0; i < n; i++) {
        const double std = unbiased ? rows[i].unbiased_std : rows[i].plugin_std,
                     t = log((double)rows[i].draws);
        if (!(std > 0)) continue;
        x += t, y += log(std), xx += t * t, xy += t * log(std), used++;
    }
    return (used * xy - x * y) / (used * xx - x * x);
}

bnn_status figures_add_sweep(cJSON *json, const char *name, const bnn_sweep *sweep, size_t repeats,
                             bnn_error *error)
{
    const size_t n = bnn_sweep_levels(sweep);
    bnn_sweep_row *rows = bnn_alloc(n, sizeof *rows);
    if (!rows) return bnn_no_memory(error, "the sample sweep", n, sizeof *rows);
    bnn_sweep_end(sweep, rows);
    cJSON *object = cJSON_AddObjectToObject(json, name);
    cJSON_AddNumberToObject(object, "repeats", (double)repeats);
    cJSON *table = cJSON_AddArrayToObject(object, "rows");
    for (size_t i = 0; i < n; i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddNumberToObject(row, "samples", (double)rows[i].draws);
        cmd_add_number(row, "plugin_mean", rows[i].plugin_mean);
        cmd_add_number(row, "plugin_std", rows[i].plugin_std);
        cmd_add_number(row, "unbiased_mean", rows[i].unbiased_mean);
        cmd_add_number(row, "unbiased_std", rows[i].unbiased_std);
        cJSON_AddItemToArray(table, row);
    }
    cmd_add_number(object, "plugin_std_slope", log_slope(rows, n, false));
    cmd_add_number(object, "unbiased_std_slope", log_slope(rows, n, true));
    free(rows);
    return BNN_OK;
}

void figures_add_worst(cJSON *json, const bnn_metrics *m, size_t n)
{
    cJSON *list = cJSON_AddArrayToObject(json, "worst");
    double limit = INFINITY;
    size_t last = 0;
    for (size_t k = 0; k < n && k < m->images; k++) {
        size_t best = m->images;
        for (size_t i = 0; i < m->images; i++) { /* the next below `limit`; equal ones by index */
            const double defect = m->image_defect[i];
            const bool after = defect < limit || (defect == limit && i > last);
            if (after && (best == m->images || defect > m->image_defect[best])) best = i;
        }
        if (best == m->images) return;
        limit = m->image_defect[best];
        last = best;
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddNumberToObject(entry, "image", (double)best);
        cmd_add_number(entry, "defect", limit);
        cmd_add_number(entry, "orbit_mutual_information", m->image_orbit_mutual_information[best]);
        cJSON_AddItemToArray(list, entry);
    }
}

/* ---- the table ----------------------------------------------------------------------------------------- */

/* A line of the table: where the figure stands in the JSON, and what a person calls it. */
static const struct row {
    const char *path, *label, *format;
} rows[] = {
    {"images", "images", "%.0f"},
    {"samples", "weight draws", "%.0f"},
    {"accuracy", "accuracy", "%.4f"},
    {"accuracy_orbit", "accuracy over the orbit", "%.4f"},
    {"nll", "negative log-likelihood", "%.4f"},
    {"nll_orbit", "negative log-likelihood, orbit", "%.4f"},
    {"ece", "expected calibration error", "%.4f"},
    {"ece_orbit", "expected calibration error, orbit", "%.4f"},
    {"brier", "Brier score", "%.4f"},
    {"brier_orbit", "Brier score, orbit", "%.4f"},
    {"balanced_accuracy", "balanced accuracy", "%.4f"},
    {"balanced_accuracy_orbit", "balanced accuracy, orbit", "%.4f"},
    {"auroc", "AUROC, mean over classes", "%.4f"},
    {"auroc_orbit", "AUROC, mean over classes, orbit", "%.4f"},
    {"temperature", "temperature", "%.4f"},
    {"conformal.wanted", "prediction sets: coverage wanted", "%.4f"},
    {"conformal.coverage", "  coverage", "%.4f"},
    {"conformal.mean_size", "  mean size", "%.3f"},
    {"conformal.empty", "  share of empty sets", "%.4f"},
    {"conformal.orbit_agreement", "  share of g with the set of x", "%.4f"},
    {"elbo.per_example", "ELBO per example (nats)", "%.4f"},
    {"elbo.total", "ELBO (nats)", "%.1f"},
    {"elbo.expected_log_likelihood", "  expected log-likelihood, an example", "%.4f"},
    {"elbo.kl", "  KL(q || prior)", "%.1f"},
    {"elbo.n", "  at N0 training images", "%.0f"},
    {"uncertainty.entropy", "predictive entropy (nats)", "%.4f"},
    {"uncertainty.mutual_information", "mutual information", "%.4f"},
    {"uncertainty.orbit_mutual_information", "orbit mutual information", "%.5f"},
    {"uncertainty.aurc", "AURC", "%.4f"},
    {"uncertainty.ood.auroc_entropy", "OOD AUROC, entropy", "%.4f"},
    {"uncertainty.ood.auroc_mutual_information", "OOD AUROC, mutual information", "%.4f"},
    {"uncertainty.ood.auroc_orbit_mutual_information", "OOD AUROC, orbit mutual information", "%.4f"},
    {"equivariance.orbit_agreement", "orbit agreement", "%.4f"},
    {"equivariance.orbit_identity_agreement", "orbit agreement with the identity", "%.4f"},
    {"equivariance.symmetric_kl.mean", "symmetric KL (nats)", "%.3e"},
    {"equivariance.defect.plugin", "defect, plug-in", "%.3e"},
    {"equivariance.defect.unbiased", "defect, unbiased", "%.3e"},
    {"equivariance.defect.standard_error", "  standard error", "%.1e"},
    {"equivariance.certificate.residual", "certificate of q: residual", "%.3e"},
    {"equivariance.certificate.kl_max", "  KL(q || rho(h) q), largest", "%.3e"},
    {"equivariance.certificate.l1_bound", "  bound on |F(h.x) - F(x)|_1, any x", "%.3e"},
    {"timing.seconds", "seconds", "%.2f"},
    {"timing.image_samples_per_second", "image-samples a second", "%.0f"},
};

const cJSON *figures_find(const cJSON *json, const char *path)
{
    char part[64];
    for (const char *dot; json && (dot = strchr(path, '.')); path = dot + 1) {
        snprintf(part, sizeof part, "%.*s", (int)(dot - path), path);
        json = cJSON_GetObjectItemCaseSensitive(json, part);
    }
    return cJSON_GetObjectItemCaseSensitive(json, path);
}

/* The defect of each element, plug-in and unbiased. */
static void print_elements(const cJSON *json)
{
    const cJSON *plugin = figures_find(json, "equivariance.defect.plugin_per_element");
    const cJSON *unbiased = figures_find(json, "equivariance.defect.per_element");
    const cJSON *names = figures_find(json, "equivariance.defect.elements");
    if (!plugin) return;
    printf("\n%-18s %12s %12s\n", "element", "plug-in", "unbiased");
    for (int g = 0; g < cJSON_GetArraySize(plugin); g++) {
        const cJSON *figure = cJSON_GetArrayItem(unbiased, g), *name = cJSON_GetArrayItem(names, g);
        char number[16];
        snprintf(number, sizeof number, "%d", g);
        printf("%-18s %12.3e ", cJSON_IsString(name) ? name->valuestring : number,
               cJSON_GetArrayItem(plugin, g)->valuedouble);
        if (cJSON_IsNumber(figure))
            printf("%12.3e\n", figure->valuedouble);
        else
            printf("%12s\n", "-");
    }
}

static void print_sweep(const cJSON *json, const char *name, const char *title)
{
    const cJSON *rows_ = figures_find(json, name), *row;
    if (!rows_) return;
    printf("\n%s (%.0f repeats)\n%8s %12s %12s %12s %12s\n", title,
           figures_find(rows_, "repeats")->valuedouble, "draws", "plug-in", "std", "unbiased", "std");
    cJSON_ArrayForEach(row, figures_find(rows_, "rows"))
    {
        static const char *const columns[] = {"plugin_mean", "plugin_std", "unbiased_mean", "unbiased_std"};
        printf("%8.0f", figures_find(row, "samples")->valuedouble);
        for (size_t c = 0; c < 4; c++) {
            const cJSON *figure = figures_find(row, columns[c]);
            if (cJSON_IsNumber(figure))
                printf(" %12.3e", figure->valuedouble);
            else
                printf(" %12s", "-");
        }
        putchar('\n');
    }
    const cJSON *slope = figures_find(rows_, "plugin_std_slope");
    if (cJSON_IsNumber(slope)) printf("slope of log std (plug-in) in log draws: %.3f\n", slope->valuedouble);
}

static void print_parts(const cJSON *json)
{
    static const char *const columns[] = {"accuracy", "nll", "ece", "brier"};
    const cJSON *list = figures_find(json, "parts"), *entry;
    if (!list) return;
    printf("\n%-32s %8s %10s %10s %10s %10s\n", "part", "images", "accuracy", "NLL", "ECE", "Brier");
    cJSON_ArrayForEach(entry, list)
    {
        printf("%-32s %8.0f", figures_find(entry, "name")->valuestring,
               figures_find(entry, "images")->valuedouble);
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
            const cJSON *figure = figures_find(entry, columns[c]);
            if (cJSON_IsNumber(figure))
                printf(" %10.4f", figure->valuedouble);
            else
                printf(" %10s", "-");
        }
        putchar('\n');
    }
}

static void print_worst(const cJSON *json)
{
    const cJSON *list = figures_find(json, "worst"), *entry;
    if (!list) return;
    printf("\n%8s %12s %26s\n", "image", "defect", "orbit mutual information");
    cJSON_ArrayForEach(entry, list) printf("%8.0f %12.3e %26.3e\n", figures_find(entry, "image")->valuedouble,
                                           figures_find(entry, "defect")->valuedouble,
                                           figures_find(entry, "orbit_mutual_information")->valuedouble);
}

static void print_reliability(const cJSON *json, const char *path, const char *what)
{
    const cJSON *table = figures_find(json, path), *row;
    if (!table) return;
    printf("\nreliability, %s\n%12s %8s %12s %10s\n", what, "confidence", "images", "mean", "accuracy");
    cJSON_ArrayForEach(row, table)
    {
        if (figures_find(row, "count")->valuedouble == 0) continue;
        printf("    <= %5.3f %8.0f %12.4f %10.4f\n", figures_find(row, "up_to")->valuedouble,
               figures_find(row, "count")->valuedouble, figures_find(row, "confidence")->valuedouble,
               figures_find(row, "accuracy")->valuedouble);
    }
}

/* What stands beside a figure as its standard error. */
static void print_error(const cJSON *json, const char *path, const char *format)
{
    char name[96];
    snprintf(name, sizeof name, "%s_standard_error", path);
    const cJSON *figure = figures_find(json, name);
    if (!cJSON_IsNumber(figure)) return;
    fputs(" +- ", stdout);
    printf(format, figure->valuedouble);
}

void figures_print(const cJSON *json, bool classes)
{
    static const char *const remarks[][2] = {{"elbo.note", "  likelihood"},
                                             {"no_elbo", "no ELBO"},
                                             {"equivariance.no_certificate", "no certificate"}};
    const cJSON *group = figures_find(json, "equivariance.group"),
                *averaged = figures_find(json, "averaged_over");
    if (averaged) printf("%-38s group-averaged over %s\n", "predictive", averaged->valuestring);
    if (group)
        printf("%-38s %s%s\n", "group", group->valuestring,
               cJSON_IsTrue(figures_find(json, "equivariance.exact"))
                   ? ""
                   : " (inexact: images are interpolated)");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const cJSON *figure = figures_find(json, rows[i].path);
        if (!cJSON_IsNumber(figure)) continue;
        printf("%-38s ", rows[i].label);
        printf(rows[i].format, figure->valuedouble);
        print_error(json, rows[i].path, rows[i].format);
        putchar('\n');
    }
    for (size_t i = 0; i < sizeof remarks / sizeof *remarks; i++) {
        const cJSON *remark = figures_find(json, remarks[i][0]);
        if (remark) printf("%-38s %s\n", remarks[i][1], remark->valuestring);
    }
    print_parts(json);
    print_elements(json);
    print_reliability(json, "uncertainty.reliability", "F(x)");
    print_reliability(json, "uncertainty.reliability_orbit", "F(g.x) over the orbit");
    print_sweep(json, "sample_sweep", "sample sweep, test images");
    print_sweep(json, "sample_sweep_train", "sample sweep, training images");
    print_worst(json);
    figures_print_sets(json);
    if (classes) figures_print_classes(json);
}
