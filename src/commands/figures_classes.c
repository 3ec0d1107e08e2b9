/* Figures of one class at a time, and of prediction sets: JSON and tables. */
#include <math.h>
#include <stdio.h>

#include "commands/command.h"
#include "commands/figures.h"

static void add_confusion(cJSON *json, const char *name, const bnn_metrics *m, const size_t *confusion)
{
    cJSON *rows = cJSON_AddArrayToObject(json, name);
    for (size_t c = 0; c < m->classes; c++) {
        cJSON *row = cJSON_CreateArray();
        for (size_t k = 0; k < m->classes; k++)
            cJSON_AddItemToArray(row, cJSON_CreateNumber((double)confusion[c * m->classes + k]));
        cJSON_AddItemToArray(rows, row);
    }
}

void figures_add_classes(cJSON *json, const bnn_metrics *m)
{
    if (!m->labelled) return;
    cJSON *classes = cJSON_AddArrayToObject(json, "classes");
    for (size_t c = 0; c < m->classes; c++) {
        const bnn_class_figures *f = &m->of_class[c];
        cJSON *row = cJSON_CreateObject();
        cJSON_AddNumberToObject(row, "label", (double)c);
        cJSON_AddNumberToObject(row, "count", (double)f->count);
        cmd_add_number(row, "recall", f->recall);
        cmd_add_number(row, "precision", f->precision);
        cmd_add_number(row, "auroc", f->auroc);
        cmd_add_number(row, "nll", f->nll);
        cmd_add_number(row, "entropy", f->entropy);
        cmd_add_number(row, "mutual_information", f->mutual_information);
        if (m->order > 1) {
            cmd_add_number(row, "orbit_mutual_information", f->orbit_mutual_information);
            cmd_add_number(row, "recall_orbit", f->recall_orbit);
            cmd_add_number(row, "precision_orbit", f->precision_orbit);
            cmd_add_number(row, "auroc_orbit", f->auroc_orbit);
        }
        cJSON_AddItemToArray(classes, row);
    }
    add_confusion(json, "confusion", m, m->confusion);
    if (m->order > 1) add_confusion(json, "confusion_orbit", m, m->confusion_orbit);
}

void figures_add_sets(cJSON *json, const bnn_calibration *calibration, const bnn_set_figures *f)
{
    const double wanted = calibration->wanted, n = (double)calibration->images;
    cJSON_AddNumberToObject(json, "temperature", calibration->temperature);
    cJSON *sets = cJSON_AddObjectToObject(json, "conformal");
    cJSON_AddStringToObject(sets, "method", bnn_set_method_names[calibration->method]);
    cJSON_AddNumberToObject(sets, "wanted", wanted);
    cmd_add_number(sets, "coverage", f->coverage);
    cmd_add_number(sets, "coverage_standard_error", f->standard_error);
    cJSON_AddNumberToObject(sets, "calibration_images", n);
    cmd_add_number(sets, "calibration_standard_error", sqrt(wanted * (1 - wanted) / (n + 2)));
    cmd_add_number(sets, "threshold", calibration->threshold);
    cmd_add_number(sets, "mean_size", f->mean_size);
    cmd_add_number(sets, "empty", f->empty);
    cmd_add_numbers(sets, "per_class", f->of_class, f->classes);
    cmd_add_numbers(sets, "per_class_mean_size", f->of_class_size, f->classes);
    if (f->order == 1) return;
    cmd_add_numbers(sets, "per_element", f->of_element, f->order);
    cmd_add_numbers(sets, "per_element_mean_size", f->of_element_size, f->order);
    cmd_add_number(sets, "orbit_agreement", f->agreement);
}

/* A column of the table of classes: a member of `classes`, or of the array that stands at a path. */
static const struct column {
    const char *name, *path, *title, *format;
} columns[] = {
    {"label", NULL, "class", "%8.0f"},
    {"count", NULL, "images", "%8.0f"},
    {"recall", NULL, "recall", "%9.4f"},
    {"recall_orbit", NULL, "(orbit)", "%9.4f"},
    {"precision", NULL, "precision", "%10.4f"},
    {"precision_orbit", NULL, "(orbit)", "%9.4f"},
    {"auroc", NULL, "AUROC", "%9.4f"},
    {"entropy", NULL, "entropy", "%9.4f"},
    {"mutual_information", NULL, "mutual", "%9.4f"},
    {"orbit_mutual_information", NULL, "of orbit", "%9.5f"},
    {NULL, "conformal.per_class", "covered", "%9.4f"},
    {NULL, "conformal.per_class_mean_size", "set size", "%9.3f"},
};

static void print_cell(const cJSON *figure, const char *format)
{
    char text[64], blank[64];
    const double value = cJSON_IsNumber(figure) ? figure->valuedouble : 0;
    const int width = snprintf(text, sizeof text, format, value);
    snprintf(blank, sizeof blank, "%*s", width, "-");
    fputs(cJSON_IsNumber(figure) ? text : blank, stdout);
}

static const cJSON *cell_of(const cJSON *json, const struct column *column, const cJSON *row, int index)
{
    return column->name ? cJSON_GetObjectItemCaseSensitive(row, column->name)
                        : cJSON_GetArrayItem(figures_find(json, column->path), index);
}

static void print_confusion(const cJSON *json, const char *name, const char *title)
{
    const cJSON *rows = figures_find(json, name), *row, *count;
    int label = 0;
    if (!rows) return;
    printf("\n%s: rows are labels, columns predictions\n%8s", title, "");
    for (int c = 0; c < cJSON_GetArraySize(rows); c++) printf(" %6d", c);
    putchar('\n');
    cJSON_ArrayForEach(row, rows)
    {
        printf("%8d", label++);
        cJSON_ArrayForEach(count, row) printf(" %6.0f", count->valuedouble);
        putchar('\n');
    }
}

void figures_print_classes(const cJSON *json)
{
    const size_t count = sizeof columns / sizeof *columns;
    const cJSON *classes = figures_find(json, "classes"), *row;
    int index = 0;
    if (!classes) return;
    putchar('\n');
    for (size_t c = 0; c < count; c++) {
        const cJSON *first = cell_of(json, &columns[c], classes->child, 0);
        char text[64];
        if (first) printf("%*s", snprintf(text, sizeof text, columns[c].format, 0.0), columns[c].title);
    }
    putchar('\n');
    cJSON_ArrayForEach(row, classes)
    {
        for (size_t c = 0; c < count; c++) {
            const cJSON *figure = cell_of(json, &columns[c], row, index);
            if (figure) print_cell(figure, columns[c].format);
        }
        putchar('\n');
        index++;
    }
    print_confusion(json, "confusion", "confusion");
    print_confusion(json, "confusion_orbit", "confusion over the orbit");
}

void figures_print_sets(const cJSON *json)
{
    const cJSON *covered = figures_find(json, "conformal.per_element");
    const cJSON *size = figures_find(json, "conformal.per_element_mean_size");
    const cJSON *names = figures_find(json, "equivariance.defect.elements");
    if (!covered) return;
    printf("\n%-18s %12s %12s\n", "element", "covered", "set size");
    for (int g = 0; g < cJSON_GetArraySize(covered); g++) {
        const cJSON *name = cJSON_GetArrayItem(names, g);
        char number[16];
        snprintf(number, sizeof number, "%d", g);
        printf("%-18s ", cJSON_IsString(name) ? name->valuestring : number);
        print_cell(cJSON_GetArrayItem(covered, g), "%12.4f");
        print_cell(cJSON_GetArrayItem(size, g), " %12.3f");
        putchar('\n');
    }
}
