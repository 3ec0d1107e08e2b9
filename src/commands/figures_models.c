/* The table of several models: a row a model and one of their mixture, a column a figure. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "commands/figures.h"

/* A column: where the figure stands in the JSON, and its title. */
static const struct column {
    const char *path, *title, *format;
} columns[] = {
    {"images", "images", "%.0f"},
    {"samples", "draws", "%.0f"},
    {"accuracy", "accuracy", "%.4f"},
    {"accuracy_orbit", "orbit acc.", "%.4f"},
    {"nll", "NLL", "%.4f"},
    {"nll_orbit", "orbit NLL", "%.4f"},
    {"ece", "ECE", "%.4f"},
    {"ece_orbit", "orbit ECE", "%.4f"},
    {"brier", "Brier", "%.4f"},
    {"brier_orbit", "orbit Brier", "%.4f"},
    {"elbo.per_example", "ELBO/image", "%.4f"},
    {"elbo.kl", "KL", "%.1f"},
    {"temperature", "temperature", "%.4f"},
    {"conformal.coverage", "coverage", "%.4f"},
    {"conformal.mean_size", "set size", "%.3f"},
    {"uncertainty.entropy", "entropy", "%.4f"},
    {"uncertainty.mutual_information", "mut. inf.", "%.4f"},
    {"uncertainty.within_members", "within", "%.4f"},
    {"uncertainty.between_members", "between", "%.4f"},
    {"uncertainty.orbit_mutual_information", "orbit m. i.", "%.5f"},
    {"uncertainty.aurc", "AURC", "%.4f"},
    {"uncertainty.ood.auroc_entropy", "OOD entropy", "%.4f"},
    {"uncertainty.ood.auroc_mutual_information", "OOD mut. inf.", "%.4f"},
    {"uncertainty.ood.auroc_orbit_mutual_information", "OOD orbit", "%.4f"},
    {"equivariance.orbit_agreement", "agreement", "%.4f"},
    {"equivariance.symmetric_kl.mean", "symmetric KL", "%.3e"},
    {"equivariance.defect.plugin", "defect", "%.3e"},
    {"equivariance.defect.unbiased", "unbiased", "%.3e"},
    {"equivariance.defect.standard_error", "std. error", "%.1e"},
    {"equivariance.defect.single_draw", "one draw", "%.3e"},
    {"equivariance.certificate.residual", "residual", "%.3e"},
    {"timing.seconds", "seconds", "%.2f"},
};
enum { COLUMNS = sizeof columns / sizeof *columns, CELL = 32 };

static void cell(const cJSON *model, size_t c, char text[CELL])
{
    const cJSON *figure = figures_find(model, columns[c].path);
    if (cJSON_IsNumber(figure))
        snprintf(text, CELL, columns[c].format, figure->valuedouble);
    else
        snprintf(text, CELL, "-");
}

static const char *path_of(const cJSON *model)
{
    const cJSON *path = figures_find(model, "model.path");
    return path ? path->valuestring : "equal mixture";
}

static int wider(int width, const char *text)
{
    const int length = (int)strlen(text);
    return length > width ? length : width;
}

/* Says so where the models were asked about different images: each of its own test set. */
static void print_images(const cJSON *models)
{
    const cJSON *model, *first = figures_find(models->child, "data");
    bool differ = false;
    cJSON_ArrayForEach(model, models) differ =
        differ || !cJSON_Compare(first, figures_find(model, "data"), 1);
    if (!differ) return;
    printf("\nnot the same images:\n");
    cJSON_ArrayForEach(model, models)
        printf("  %s: %s\n", path_of(model), figures_find(model, "data")->child->valuestring);
}

static void print_row(const cJSON *model, int name, const int width[COLUMNS])
{
    char text[CELL];
    printf("%-*s", name, path_of(model));
    for (size_t c = 0; c < COLUMNS; c++) {
        if (!width[c]) continue;
        cell(model, c, text);
        printf("  %*s", width[c], text);
    }
    putchar('\n');
}

static void widen(const cJSON *model, int *name, int width[COLUMNS])
{
    char text[CELL];
    *name = wider(*name, path_of(model));
    for (size_t c = 0; c < COLUMNS; c++) {
        if (!cJSON_IsNumber(figures_find(model, columns[c].path))) continue;
        cell(model, c, text);
        width[c] = wider(wider(width[c], columns[c].title), text);
    }
}

/* The defect against the number of members. */
static void print_members(const cJSON *ensemble)
{
    const cJSON *row, *all = figures_find(ensemble, "defect_of_all");
    if (!figures_find(ensemble, "defect")) return;
    printf("\n%-10s %12s %12s\n", "members", "defect", "unbiased");
    cJSON_ArrayForEach(row, figures_find(ensemble, "defect"))
    {
        const cJSON *unbiased = figures_find(row, "unbiased");
        printf("%-10.0f %12.3e ", figures_find(row, "members")->valuedouble,
               figures_find(row, "plugin")->valuedouble);
        if (cJSON_IsNumber(unbiased))
            printf("%12.3e\n", unbiased->valuedouble);
        else
            printf("%12s\n", "-");
    }
    if (cJSON_IsNumber(all)) printf("%-10s %12s %12.3e\n", "infinite", "", all->valuedouble);
}

void figures_print_models(const cJSON *json)
{
    const cJSON *model, *models = figures_find(json, "models"), *ensemble = figures_find(json, "ensemble");
    int name = (int)strlen("model"), width[COLUMNS] = {0};
    cJSON_ArrayForEach(model, models) widen(model, &name, width);
    if (cJSON_IsObject(ensemble)) widen(json, &name, width);
    printf("%-*s", name, "model");
    for (size_t c = 0; c < COLUMNS; c++)
        if (width[c]) printf("  %*s", width[c], columns[c].title);
    putchar('\n');
    cJSON_ArrayForEach(model, models) print_row(model, name, width);
    if (cJSON_IsObject(ensemble))
        print_row(json, name, width);
    else
        printf("no mixture: %s\n", figures_find(json, "no_ensemble")->valuestring);
    print_images(models);
    print_members(ensemble);
}
