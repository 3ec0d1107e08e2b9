/* The figures of an evaluation as JSON and as a table: `bnn eval` and `bnn score` share them. */
#ifndef BNN_SRC_FIGURES_H
#define BNN_SRC_FIGURES_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "bnn/calibration.h"
#include "bnn/metrics.h"
#include "bnn/sweep.h"
#include "bnn/symmetry.h"

/* What the help of both says of the figures. */
#define FIGURES_NOTES                                                                                        \
    "Defects are means over images and over the group, identity included; per_element is the unbiased one. " \
    "The plug-in\n"                                                                                          \
    "defect, the symmetric KL (both as 1/T) and what the agreements lack of 1 (as 1/sqrt T) have a noise "   \
    "floor: with T\n"                                                                                        \
    "draws an exactly equivariant posterior scores above it too; the unbiased defect alone does not. Its "   \
    "standard error\n"                                                                                       \
    "is for new images and new draws; +- 2 of it cover 91 to 95 % from 10 images and 16 draws on, 82 to 91 " \
    "% at 4\n"                                                                                               \
    "draws, 67 to 83 % at 2 images, and less where the defect is of the error's size.\n"                     \
    "Standard errors after +- are for other images under the same draws (deviation over images / sqrt n; "   \
    "of the ECE, the\n"                                                                                      \
    "jackknife); an image's orbit counts as one observation. Other draws change all images at once and are " \
    "not in it: repeat\n"                                                                                    \
    "with more --samples to see how much. Balanced accuracy and AUROC (one class against the rest, "         \
    "MedMNIST's figure) are\n"                                                                               \
    "means over the classes that have images.\n"

#define FIGURES_HISTOGRAM_BINS 20

/* accuracy, nll, ece, brier and their standard errors, balanced accuracy, AUROC; what needs labels is left out without them. */
void figures_add_basic(cJSON *json, const bnn_metrics *metrics);

/* The same over the orbit (accuracy_orbit, ...), and `equivariance`. `group` may be NULL (predictions
 * from elsewhere); `certificate` may be NULL, with the reason why there is none. */
void figures_add_equivariance(cJSON *json, const bnn_metrics *metrics, const bnn_group *group, size_t height,
                              size_t width, const bnn_certificate *certificate, const char *no_certificate);

/* `uncertainty`: entropies, mutual informations, AURC, reliability tables; returns the object, for `ood`. */
cJSON *figures_add_uncertainty(cJSON *json, const bnn_metrics *metrics);

/* `uncertainty.ood`: AUROC of the three scores against the figures of another data set. */
void figures_add_ood(cJSON *uncertainty, const char *name, const bnn_metrics *in, const bnn_metrics *out);

/* `sample_sweep`, or the same under another name. */
bnn_status figures_add_sweep(cJSON *json, const char *name, const bnn_sweep *sweep, size_t repeats,
                             bnn_error *error);

/* `worst`: the n images whose prediction changes most over the orbit. */
void figures_add_worst(cJSON *json, const bnn_metrics *metrics, size_t n);

/* `classes` and `confusion`, and over the orbit `confusion_orbit`; nothing without labels. */
void figures_add_classes(cJSON *json, const bnn_metrics *metrics);

/* `temperature` and `conformal`. */
void figures_add_sets(cJSON *json, const bnn_calibration *calibration, const bnn_set_figures *figures);

/* A person's table of what the JSON holds, on standard output; with `classes`, that of classes and the confusion matrix too. */
void figures_print(const cJSON *json, bool classes);

/* Its parts, and what they share: the member at a path with dots, or NULL. */
void figures_print_classes(const cJSON *json);
void figures_print_sets(const cJSON *json);
const cJSON *figures_find(const cJSON *json, const char *path);

/* The same of a list of models: a row each, a column for each figure that one of them has. */
void figures_print_models(const cJSON *models);

/* The member at a path with dots, or NULL. */
const cJSON *figures_find(const cJSON *json, const char *path);

#endif
