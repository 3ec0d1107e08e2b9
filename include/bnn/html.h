/* A page of HTML that needs nothing else: no script, no other file, a style for light and dark and for narrow screens. What is
 * written is well-formed XML too. Texts are escaped, and mended where they are no UTF-8. The functions write to a stream, whose
 * errors the caller looks for (ferror) at the end. */
#ifndef BNN_HTML_H
#define BNN_HTML_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "bnn/picture.h"
#include "bnn/status.h"

void bnn_html_begin(FILE *page, const char *title);
void bnn_html_end(FILE *page);

void bnn_html_text(FILE *page, const char *text);
void bnn_html_paragraph(FILE *page, const char *text);

/* A section with a heading, and within it, where `grid`, figures side by side as far as there is room. */
void bnn_html_section(FILE *page, const char *heading, const char *introduction, int grid);
void bnn_html_end_section(FILE *page);

/* A figure as it is printed by `format` (of one double), with all its digits behind it (<data value="...">); a dash where it is
 * not finite. */
void bnn_html_number(FILE *page, const char *format, double value);

/* One or several figures in a cell, and what stands behind each after a plus-minus sign unless that is NaN or 0. */
typedef struct bnn_html_cell {
    double value, deviation;
} bnn_html_cell;

typedef struct bnn_html_column {
    const char *title, *meaning; /* meaning: a tooltip, or NULL */
    const char *format;          /* of a double */
} bnn_html_column;

/* A row for each name: a mark of its colour, the name, and its cells. All borrowed. */
typedef struct bnn_html_table {
    const char *caption;
    const char *head; /* over the names */
    const bnn_html_column *columns;
    size_t column_count;
    const char *const *names; /* (row_count) */
    const size_t *colours;    /* (row_count) bnn_chart_colour */
    size_t row_count;
    const bnn_html_cell *cells; /* (row_count, column_count) */
} bnn_html_table;
void bnn_html_table_of(FILE *page, const bnn_html_table *table);

/* Counts of `classes` x `classes` pairs: rows are labels, columns predictions; each cell is shaded by its share of the row. */
void bnn_html_confusion(FILE *page, const char *title, const char *caption, const double *counts,
                        size_t classes);

/* A chart with a title, a legend of its labelled series, and a caption. `number` as in bnn_draw_chart. */
bnn_status bnn_html_chart(FILE *page, const bnn_chart *chart, size_t number, const char *caption,
                          bnn_error *error);

/* A PNG file, in the page itself. */
void bnn_html_png(FILE *page, const char *title, const char *caption, const uint8_t *png, size_t size);

#endif
