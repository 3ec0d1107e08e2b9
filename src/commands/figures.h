/* The figures of an evaluation as JSON and as a table: `bnn eval` and `bnn score` share them. */
#ifndef BNN_SRC_FIGURES_H
#define BNN_SRC_FIGURES_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "bnn/metrics.h"
#include "bnn/sweep.h"
#include "bnn/symmetry.h"

/* accuracy, nll, ece, brier; what needs labels is left out without them. */
void figures_add_basic(cJSON *json, const bnn_metrics *metrics);

/* accuracy_orbit, nll_orbit, ece_orbit, brier_orbit, and `equivariance`. `group` may be NULL (predictions
 * from elsewhere); `certificate` may be NULL, with the reason why there is none. */
void figures_add_equivariance(cJSON *json, const bnn_metrics *metrics, const bnn_group *group, size_t height,
                              size_t width, const bnn_certificate *certificate, const char *no_certificate);

/* `uncertainty`: entropies, mutual informations, AURC, reliability tables; returns the object, for `ood`. */
cJSON *figures_add_uncertainty(cJSON *json, const bnn_metrics *metrics);

/* `uncertainty.ood`: AUROC of the three scores against the figures of another data set. */
void figures_add_ood(cJSON *uncertainty, const char *name, const bnn_metrics *in, const bnn_metrics *out);

/* `sample_sweep`, or the same under another name. */
void figures_add_sweep(cJSON *json, const char *name, const bnn_sweep *sweep, size_t repeats,
                       bnn_error *error);

/* `worst`: the n images whose prediction changes most over the orbit. */
void figures_add_worst(cJSON *json, const bnn_metrics *metrics, size_t n);

/* A person's table of what the JSON holds, on standard output. */
void figures_print(const cJSON *json);

#endif
