/* The page of `bnn report`, made of its JSON: every number on it stands there. */
#ifndef BNN_SRC_REPORT_H
#define BNN_SRC_REPORT_H

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdio.h>

#include "bnn/status.h"

/* A figure that is compared: where a run's JSON has it. A configuration's JSON has its mean and standard deviation over runs,
 * under `name`. */
typedef struct report_figure {
    const char *name, *path, *title, *meaning, *format;
    int uncertainty; /* stands in the table of uncertainties, not in that of prices */
} report_figure;
extern const report_figure report_figures[]; /* ends with a NULL name */

/* The picture of a configuration's worst images; png NULL: none. */
typedef struct report_picture {
    uint8_t *png; /* (size) */
    size_t size;
} report_picture;

/* Writes the page. `report`: {runs[], configurations[]} as report.c makes it; pictures: one for each configuration. */
bnn_status report_page(FILE *page, const cJSON *report, const report_picture *pictures, bnn_error *error);

#endif
