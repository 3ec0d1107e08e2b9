/* Models for other programs. */
#ifndef BNN_EXPORT_H
#define BNN_EXPORT_H

#include <stdbool.h>

#include "bnn/evaluate.h"
#include "bnn/model.h"
#include "bnn/onnx.h"
#include "bnn/status.h"

/* *graph <- what bnn_predict gives under the same options, to rounding, in float whatever bnn_real is; freed with
 * bnn_onnx_free. Of the options, those of the machine (threads, kernels) and labels are not read, `group` is NULL, and draws are
 * shared. Its input `images` (N, C, H, W) are images before padding: float32, as they are, or with `uint8` bytes, which the
 * graph scales as data.scale says. Its output (N, classes) is `probabilities` or `logits`.
 * BNN_BAD_INPUT where the group interpolates or does not act, where images are padded by a value that the model does not
 * tell, or where the weights are more than the 2 GiB of an ONNX file. */
bnn_status bnn_export_onnx(const bnn_model *model, const bnn_predict_options *options, bool uint8,
                           bnn_onnx **graph, bnn_error *error);

#endif
