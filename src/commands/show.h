/* Images over their orbit, which `bnn show` and `bnn report` draw. */
#ifndef BNN_SRC_SHOW_H
#define BNN_SRC_SHOW_H

#include "bnn/evaluate.h"
#include "bnn/group.h"
#include "bnn/model.h"

typedef struct orbit_show {
    const char *title;
    bnn_model *model; /* whose predictions are shown under the images; NULL: none are */
    bnn_group *group;
    const bnn_dataset *data; /* the images to show, all of them */
    const size_t *numbers;   /* (data->count) of each in its data set */
    bnn_predict_options options;
} orbit_show;

/* *png (*size bytes; freed with free()) <- the picture. */
bnn_status show_orbits(const orbit_show *show, uint8_t **png, size_t *size, bnn_error *error);

/* *certificate (size bytes) <- a line on what is known of the model's symmetry for every image. */
bnn_status show_certificate(const bnn_model *model, const bnn_group *group, char *certificate, size_t size,
                            bnn_error *error);

#endif
