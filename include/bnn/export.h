/* Models for other programs. */
#ifndef BNN_EXPORT_H
#define BNN_EXPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "bnn/group.h"
#include "bnn/model.h"
#include "bnn/onnx.h"
#include "bnn/status.h"

/* Many more draws make a file of many times the model, which a program that draws serves better. */
#define BNN_EXPORT_DRAWS 1024

typedef struct bnn_export_options {
    size_t samples;                /* weight draws, averaged; 0: w = mu */
    const bnn_group *average_over; /* the mean over its orbit of each image; NULL: the image alone */
    bool logits;                   /* logits (their mean) instead of probabilities: not with average_over */
    bool uint8;                    /* images are bytes, which the graph scales as data.scale says */
} bnn_export_options;

/* *graph <- the model's predictions (freed with bnn_onnx_free), to rounding those of bnn_predict under the same options and
 * shared draws, in float whatever bnn_real is. Its input `images` (N, C, H, W) are images before padding, float32 as they are
 * or uint8; its output (N, classes) is `probabilities` or `logits`.
 * BNN_BAD_INPUT where the group interpolates or does not act, where images are padded by a value that the model does not
 * tell, or where the weights are more than the 2 GiB of an ONNX file. */
bnn_status bnn_export_onnx(const bnn_model *model, const bnn_export_options *options, bnn_onnx **graph,
                           bnn_error *error);

#endif
