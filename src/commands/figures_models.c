/* The table of several models: a row a model, a column a figure. */
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
    {"uncertainty.entropy", "entropy", "%.4f"},
    {"uncertainty.mutual_information", "mut. inf.", "%.4f"},
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
    return figures_find(model, "model.path")->valuestring;
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

void figures_print_models(const cJSON *models)
{
    const cJSON *model;
    int name = (int)strlen("model"), width[COLUMNS] = {0};
    char text[CELL];
    cJSON_ArrayForEach(model, models)
    {
        name = wider(name, path_of(model));
        for (size_t c = 0; c < COLUMNS; c++) {
            if (!cJSON_IsNumber(figures_find(model, columns[c].path))) continue;
            cell(model, c, text);
            width[c] = wider(wider(width[c], columns[c].title), text);
        }
    }
    printf("%-*s", name, "model");
    for (size_t c = 0; c < COLUMNS; c++)
        if (width[c]) printf("  %*s", width[c], columns[c].title);
    putchar('\n');
    cJSON_ArrayForEach(model, models)
    {
        printf("%-*s", name, path_of(model));
        for (size_t c = 0; c < COLUMNS; c++) {
            if (!width[c]) continue;
            cell(model, c, text);
            printf("  %*s", width[c], text);
        }
        putchar('\n');
    }
    print_images(models);
}
