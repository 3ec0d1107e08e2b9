/* The training, validation and test set of a configuration, checked against each other, and what is worth saying of them. */
#ifndef BNN_SPLITS_H
#define BNN_SPLITS_H

#include <stdbool.h>
#include <stddef.h>

#include "bnn/config.h"
#include "bnn/dataset.h"

/* What a configuration tells of images before they are read. */
bnn_data_options bnn_config_data_options(const bnn_config *config);

/* The training split, a seeded subset of train_size, padded, and turned where data.rotate.train says so; and the validation set:
 * that of the source or, where it has none, validation_size other images of the training split (NULL when that is 0). Both have
 * one background: data.background or, where that is auto, the smallest value of the source's whole training split. With
 * data.repartition, the training split is so many images drawn by data.seed from the source's training and test images.
 * The angle of an image depends on data.seed, the split and its place in the source alone. */
bnn_status bnn_training_data(const bnn_config *config, bnn_dataset **train, bnn_dataset **validation,
                             bnn_error *error);

/* The padded test set, turned where data.rotate.test says so, cut to test_size; NULL where the source has none. With
 * data.repartition: of what that leaves, in the order drawn. */
bnn_status bnn_test_data(const bnn_config *config, bnn_dataset **test, bnn_error *error);

/* Whether the test set of a resolved configuration can be read and has the shape of `train`, so that training is not in vain.
 * *pixels <- its range; NaN where the source has no test set. */
bnn_status bnn_check_test_data(const bnn_config *config, const bnn_dataset *train, bnn_range *pixels,
                               bnn_error *error);

#define BNN_LINE 512 /* bytes of a line that is told */

/* Whether images of a range are hardly scaled as those of the range `training`: a range less than 3/4 or more than 4/3 as
 * wide, or one that reaches out by more than a third of its width; `line` <- a warning that names both. False where one of
 * them is not known. */
bool bnn_range_warning(const char *name, bnn_range training, bnn_range other, char line[BNN_LINE]);

/* Tells, a line a call of `tell`, what training images are like (type, range, background, examples a class) and what of that
 * looks like a mistake: classes of the model's without an example, values far from zero, uint8 that are hardly intensities. */
bnn_status bnn_describe_training_data(const bnn_dataset *train, size_t classes,
                                      void (*tell)(void *context, const char *line), void *context,
                                      bnn_error *error);

/* Tells, a line a call of `tell`, how the configuration changes the images that its files hold; nothing where it does not. */
void bnn_describe_preparation(const bnn_config *config, void (*tell)(void *context, const char *line),
                              void *context);

#endif
