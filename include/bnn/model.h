/* A model: a configuration, the group, the network and the posterior on it; and model.bin, its safetensors
 * file. */
#ifndef BNN_MODEL_H
#define BNN_MODEL_H

#include "bnn/calibration.h"
#include "bnn/config.h"
#include "bnn/dataset.h"
#include "bnn/group.h"
#include "bnn/network.h"
#include "bnn/posterior.h"
#include "bnn/safetensors.h"
#include "bnn/status.h"
#include "bnn/symmetry.h"

typedef struct bnn_model {
    bnn_config config; /* its `model` section describes `network` */
    bnn_group *group;
    bnn_network *network;
    bnn_posterior *posterior;
    bnn_range pixels;                    /* of the training images; NaN where they are not known */
    char (*class_names)[BNN_LABEL_NAME]; /* (classes), empty where one has none; NULL: none has */
    bnn_calibration calibration; /* of this q; whatever changes q has to reset it (bnn_model_uncalibrate) */
} bnn_model;

/* Takes over the names of the classes of the training images, where there is one for each of the model's classes. */
bnn_status bnn_model_name_classes(bnn_model *model, const bnn_dataset *train, bnn_error *error);

/* A network of `spec` with its prior set and its posterior initialised as the configuration says, which may be with the means,
 * and the rho, of a model file (posterior.init_from). Names and shapes of tensors decide: the prior is the configuration's, and
 * group, padding and pools of the two networks may differ. BNN_BAD_INPUT, naming the key, the file, the tensor, and the shapes
 * found and expected, where the file lacks a tensor, has one of another shape, has a layer that the network has not, or is of
 * another family, unless posterior.init_except leaves the layer out. */
bnn_status bnn_model_create(const bnn_config *config, const bnn_network_spec *spec, bnn_model **model,
                            bnn_error *error);
void bnn_model_free(bnn_model *model); /* NULL is legal */

/* No calibration, as a new model has. */
void bnn_model_uncalibrate(bnn_model *model);

/* Puts another network and posterior, which the model then owns, in the place of its own. */
void bnn_model_replace(bnn_model *model, bnn_network *network, bnn_posterior *posterior);

/* Tiles the model's network and posterior over its group (bnn_posterior_expand), in place; on failure the model is as it was. */
bnn_status bnn_model_expand(bnn_model *model, bnn_arrangement arrangement, bnn_error *error);

/* Tensors are named and shaped as the published code's state_dict has them (README.md); tensors under "optimizer." belong to a checkpoint
 * and are passed over. Missing, unknown or misshapen tensors and non-finite figures are errors that name the
 * tensor. `file`, where not NULL, receives the whole file (the caller frees it). */
bnn_status bnn_model_load(const char *path, bnn_model **model, bnn_safetensors **file, bnn_error *error);

/* path <- the model file that `operand` names: itself, or model.bin in it where it is the directory of a run. BNN_BAD_INPUT where
 * the directory has none. */
bnn_status bnn_model_path(const char *operand, char *path, size_t size, bnn_error *error);

/* The same from the bytes of a file; `name` is for messages. */
bnn_status bnn_model_parse(const char *name, const uint8_t *bytes, size_t size, bnn_model **model,
                           bnn_safetensors **file, bnn_error *error);

/* Is called with each tensor that a posterior has in a file, by its name there; a failure ends the round. The data are the
 * posterior's own. */
typedef bnn_status bnn_tensor_visitor(void *context, const bnn_tensor *tensor, bnn_error *error);
bnn_status bnn_posterior_tensors(const bnn_posterior *posterior, bnn_tensor_visitor *visit, void *context,
                                 bnn_error *error);

/* A visitor that ignores its context: BNN_FAILED, naming tensor and entry, at the first NaN or infinity. */
bnn_status bnn_tensor_check_finite(void *context, const bnn_tensor *tensor, bnn_error *error);

#define BNN_MODEL_METADATA_MOST 4

/* Writes atomically. `metadata`: metadata_count (at most BNN_MODEL_METADATA_MOST) pairs of key and value (NULL: none) beside the model's own;
 * `extra` (extra_count): further tensors of a checkpoint. BNN_FAILED, and nothing is written, where a tensor is not finite. */
bnn_status bnn_model_save(const bnn_model *model, const char *path, const char *const *metadata,
                          size_t metadata_count, const bnn_tensor *extra, size_t extra_count,
                          bnn_error *error);

#endif
