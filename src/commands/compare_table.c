/* The tables of `bnn compare`, made of its JSON: cells first, then one of four forms of them. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bnn/compare.h"
#include "commands/compare.h"
#include "commands/figures.h"

#define PLUS_MINUS "\xc2\xb1"
enum { CELL = 640, MOST_COLUMNS = 256 };

/* ---- cells: an array of rows, the first of which has the titles; each is an array of texts ---------------- */

static cJSON *add_row(cJSON *table)
{
    cJSON *row = cJSON_CreateArray();
    cJSON_AddItemToArray(table, row);
    return row;
}

static void add_cell(cJSON *row, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add_cell(cJSON *row, const char *format, ...)
{
    char text[CELL];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f) *c = '?';
    cJSON_AddItemToArray(row, cJSON_CreateString(text));
}

static void add_cells(cJSON *row, const char *const *texts)
{
    for (; *texts; texts++) add_cell(row, "%s", *texts);
}

/* A number of the object, empty where it has none. */
static void add_number(cJSON *row, int digits, const cJSON *object, const char *name)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);
    if (cJSON_IsNumber(value))
        add_cell(row, "%.*g", digits, value->valuedouble);
    else
        add_cell(row, "%s", "");
}

static double interval_end(const cJSON *object, int end)
{
    const cJSON *value = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(object, "interval"), end);
    return cJSON_IsNumber(value) ? value->valuedouble : NAN;
}

static const char *text_of(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name)->valuestring;
}

/* ---- a row a figure and configuration --------------------------------------------------------------------- */

static void add_titles(cJSON *table, bool csv, bool per_image)
{
    static const char *const of_csv[] = {"name",           "figure", "pairs", "baseline_mean",
                                         "baseline_std",   "mean",   "std",   "mean_difference",
                                         "standard_error", "low",    "high",  "p_value",
                                         "least_p_value",  NULL};
    static const char *const of_text[] = {"run",        "figure",     "pairs",         "baseline", "mean",
                                          "difference", "std. error", "95 % interval", "p",        NULL};
    cJSON *titles = add_row(table);
    add_cells(titles, csv ? of_csv : of_text);
    if (per_image) add_cells(titles, (const char *const[]){"seed", "images", NULL});
}

static void add_figure(cJSON *row, bool csv, const char *name, const char *figure, const cJSON *found)
{
    static const char *const of_csv[] = {"pairs", "baseline_mean",   "baseline_std",   "mean",
                                         "std",   "mean_difference", "standard_error", NULL};
    static const char *const of_text[] = {"pairs",           "baseline_mean",  "mean",
                                          "mean_difference", "standard_error", NULL};
    const int digits = csv ? 15 : 4;
    const double low = interval_end(found, 0), high = interval_end(found, 1);
    add_cells(row, (const char *const[]){name, figure, NULL});
    for (const char *const *number = csv ? of_csv : of_text; *number; number++)
        add_number(row, digits, found, *number);
    if (isnan(low))
        add_cells(row, (const char *const[]){"", csv ? "" : NULL, NULL});
    else if (csv) {
        add_cell(row, "%.*g", digits, low);
        add_cell(row, "%.*g", digits, high);
    } else
        add_cell(row, "[%.4g, %.4g]", low, high);
    add_number(row, csv ? digits : 3, found, "p_value");
    if (csv) add_number(row, digits, found, "least_p_value");
}

/* The figures of one pair over its images. */
static void add_images(cJSON *table, bool csv, const cJSON *pair)
{
    const cJSON *figure;
    cJSON_ArrayForEach(figure, pair)
    {
        if (!cJSON_IsObject(figure)) continue;
        cJSON *row = add_row(table);
        add_figure(row, csv, text_of(pair, "name"), figure->string, figure);
        add_number(row, 15, pair, "seed");
        add_number(row, 15, pair, "images");
    }
}

static cJSON *long_table(const cJSON *json, bool csv)
{
    const cJSON *found, *per_image = cJSON_GetObjectItemCaseSensitive(json, "per_image");
    cJSON *table = cJSON_CreateArray();
    add_titles(table, csv, per_image != NULL);
    cJSON_ArrayForEach(found, cJSON_GetObjectItemCaseSensitive(json, "comparisons"))
    {
        cJSON *row = add_row(table);
        add_figure(row, csv, text_of(found, "name"), text_of(found, "figure"), found);
        if (per_image) add_cells(row, (const char *const[]){"", "", NULL});
    }
    cJSON_ArrayForEach(found, per_image) add_images(table, csv, found);
    return table;
}

/* ---- a row a configuration --------------------------------------------------------------------------------- */

/* The comparison of a name and figure, the first of any name where name is NULL; NULL where there is none. */
static const cJSON *find_comparison(const cJSON *json, const char *name, const char *figure)
{
    const cJSON *found;
    cJSON_ArrayForEach(
        found, cJSON_GetObjectItemCaseSensitive(
                   json, "comparisons")) if ((!name || strcmp(text_of(found, "name"), name) == 0) &&
                                             strcmp(text_of(found, "figure"), figure) == 0) return found;
    return NULL;
}

/* Mean and its standard error over the seeds of a comparison. */
static void append_mean(char text[CELL], const cJSON *found, const char *mean, const char *std)
{
    const cJSON *deviation = cJSON_GetObjectItemCaseSensitive(found, std);
    const double pairs = cJSON_GetObjectItemCaseSensitive(found, "pairs")->valuedouble;
    const int length =
        snprintf(text, CELL, "%.4g", cJSON_GetObjectItemCaseSensitive(found, mean)->valuedouble);
    if (cJSON_IsNumber(deviation))
        snprintf(text + length, (size_t)(CELL - length), " " PLUS_MINUS " %.2g",
                 deviation->valuedouble / sqrt(pairs));
}

static void add_wide_row(cJSON *table, const cJSON *json, const char *name, bool is_baseline)
{
    const cJSON *figure;
    cJSON *row = add_row(table);
    add_cell(row, "%s", name);
    cJSON_ArrayForEach(figure, table->child)
    {
        char text[CELL];
        if (figure == table->child->child) continue;
        const cJSON *found = find_comparison(json, is_baseline ? NULL : name, figure->valuestring);
        if (!found) {
            add_cell(row, "%s", "");
            continue;
        }
        append_mean(text, found, is_baseline ? "baseline_mean" : "mean",
                    is_baseline ? "baseline_std" : "std");
        if (is_baseline)
            add_cell(row, "%s", text);
        else
            add_cell(row, "%s, p %.3g", text,
                     cJSON_GetObjectItemCaseSensitive(found, "p_value")->valuedouble);
    }
}

static cJSON *wide_table(const cJSON *json)
{
    const cJSON *found, *known;
    cJSON *table = cJSON_CreateArray(), *titles = add_row(table);
    add_cell(titles, "run");
    cJSON_ArrayForEach(found, cJSON_GetObjectItemCaseSensitive(json, "comparisons"))
    {
        const char *figure = text_of(found, "figure");
        cJSON_ArrayForEach(known, titles) if (strcmp(known->valuestring, figure) == 0) break;
        if (!known) add_cell(titles, "%s", figure);
    }
    add_wide_row(table, json, text_of(figures_find(json, "baseline"), "name"), true);
    cJSON_ArrayForEach(found, cJSON_GetObjectItemCaseSensitive(json, "configurations"))
        add_wide_row(table, json, text_of(found, "name"), false);
    return table;
}

/* ---- forms ------------------------------------------------------------------------------------------------- */

/* Columns on a terminal: bytes that do not go on with a character of UTF-8. */
static int width_of(const char *text)
{
    int width = 0;
    for (; *text; text++) width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

/* Names to the left, numbers to the right. */
static void print_text(const cJSON *table, size_t names)
{
    const cJSON *row, *cell;
    int width[MOST_COLUMNS] = {0};
    cJSON_ArrayForEach(row, table)
    {
        size_t column = 0;
        cJSON_ArrayForEach(cell, row)
        {
            const int own = width_of(cell->valuestring);
            if (column < MOST_COLUMNS && own > width[column]) width[column] = own;
            column++;
        }
    }
    cJSON_ArrayForEach(row, table)
    {
        size_t column = 0;
        cJSON_ArrayForEach(cell, row)
        {
            const int most = column < MOST_COLUMNS ? width[column] : 0;
            const int blanks = most - width_of(cell->valuestring);
            if (column) fputs("  ", stdout);
            if (column < names)
                printf("%s%*s", cell->valuestring, cell->next && blanks > 0 ? blanks : 0, "");
            else
                printf("%*s%s", blanks > 0 ? blanks : 0, "", cell->valuestring);
            column++;
        }
        putchar('\n');
    }
}

/* RFC 4180. */
static void print_csv(const cJSON *table)
{
    const cJSON *row, *cell;
    cJSON_ArrayForEach(row, table) cJSON_ArrayForEach(cell, row)
    {
        const bool quoted = strpbrk(cell->valuestring, "\",");
        if (quoted) putchar('"');
        for (const char *c = cell->valuestring; *c; c++) {
            if (*c == '"') putchar('"');
            putchar(*c);
        }
        if (quoted) putchar('"');
        putchar(cell->next ? ',' : '\n');
    }
}

static void print_markdown(const cJSON *table, size_t names)
{
    const cJSON *row, *cell;
    cJSON_ArrayForEach(row, table)
    {
        size_t column = 0;
        cJSON_ArrayForEach(cell, row)
        {
            fputs("| ", stdout);
            for (const char *c = cell->valuestring; *c; c++) {
                if (strchr("|\\`*<", *c)) putchar('\\');
                putchar(*c);
            }
            putchar(' ');
        }
        puts("|");
        if (row != table->child) continue;
        cJSON_ArrayForEach(cell, row) fputs(column++ < names ? "| --- " : "| ---: ", stdout);
        puts("|");
    }
}

static void print_latex_cell(const char *text)
{
    for (const char *c = text; *c; c++) {
        const bool negative =
            *c == '-' && c[1] >= '0' && c[1] <= '9' && (c == text || c[-1] == ' ' || c[-1] == '[');
        if (negative)
            fputs("$-$", stdout);
        else if (strncmp(c, PLUS_MINUS, 2) == 0)
            c++, fputs("$\\pm$", stdout);
        else if (*c == '\\')
            fputs("\\textbackslash{}", stdout);
        else if (*c == '~')
            fputs("\\textasciitilde{}", stdout);
        else if (*c == '^')
            fputs("\\textasciicircum{}", stdout);
        else if (strchr("<>|", *c))
            printf("$%s$", *c == '|' ? "\\vert" : *c == '<' ? "<" : ">");
        else if (*c == '[' && c == text)
            fputs("{[}", stdout); /* else the argument of the \\ before it */
        else {
            if (strchr("&%$#_{}", *c)) putchar('\\');
            putchar(*c);
        }
    }
}

static void print_latex(const cJSON *table, size_t names)
{
    const cJSON *row, *cell;
    size_t column = 0;
    fputs("\\begin{tabular}{", stdout);
    cJSON_ArrayForEach(cell, table->child) putchar(column++ < names ? 'l' : 'r');
    puts("}\n\\hline");
    cJSON_ArrayForEach(row, table)
    {
        cJSON_ArrayForEach(cell, row)
        {
            print_latex_cell(cell->valuestring);
            fputs(cell->next ? " & " : " \\\\\n", stdout);
        }
        if (row == table->child || !row->next) puts("\\hline");
    }
    puts("\\end{tabular}");
}

/* For each number of pairs, the least p-value that it can have. */
static void print_notes(const cJSON *json, const char *prefix)
{
    const cJSON *found, *before, *list = cJSON_GetObjectItemCaseSensitive(json, "comparisons");
    printf("%sdifferences from %s, run - baseline\n", prefix,
           text_of(figures_find(json, "baseline"), "name"));
    cJSON_ArrayForEach(found, list)
    {
        const double pairs = cJSON_GetObjectItemCaseSensitive(found, "pairs")->valuedouble;
        const double least = cJSON_GetObjectItemCaseSensitive(found, "least_p_value")->valuedouble;
        cJSON_ArrayForEach(before, list) if (before == found ||
                                             cJSON_GetObjectItemCaseSensitive(before, "pairs")->valuedouble ==
                                                 pairs) break;
        if (before != found) continue;
        if (pairs <= BNN_MOST_FLIPPED)
            printf("%s%.0f pair%s: p is 2/2^%.0f = %.3g at least, by all flips of signs\n", prefix, pairs,
                   pairs == 1 ? "" : "s", pairs, least);
        else
            printf("%s%.0f pairs: p is %.3g at least, by %d drawn flips of signs\n", prefix, pairs, least,
                   BNN_SIGN_FLIPS);
    }
}

void compared_print(const cmd_line *line, const cJSON *json)
{
    const bool csv = cmd_flag(line, "csv"), wide = cmd_flag(line, "wide"), latex = cmd_flag(line, "latex");
    cJSON *table = wide ? wide_table(json) : long_table(json, csv);
    const size_t names = wide ? 1 : 2;
    if (csv)
        print_csv(table);
    else if (latex)
        print_latex(table, names);
    else if (cmd_flag(line, "markdown"))
        print_markdown(table, names);
    else
        print_text(table, names);
    if (!csv && !latex) putchar('\n');
    if (!csv) print_notes(json, latex ? "% " : "");
    cJSON_Delete(table);
}
