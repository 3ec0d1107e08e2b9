/* What the files of the layer types share. Private to the network's room. */
#ifndef BNN_SRC_LAYERS_H
#define BNN_SRC_LAYERS_H

#include "bnn/layer.h"

/* Sets the parameters of a layer: a weight tensor of `rank` dimensions and a bias. */
void layer_set_parameters(bnn_layer *layer, size_t rank, const size_t *shape, size_t places);

/* For layers that leave channels and their representation alone: out <- in, in another layout or size if need be. */
void layer_keep_channels(bnn_layer *layer);

/* initial: Kaiming-normal, mean 0 and standard deviation sqrt(2 / fan-in) (He et al. 2015, eq. 10). */
void layer_kaiming(const bnn_layer *layer, double *mean, double *deviation);

/* commutes: always. */
bool layer_commutes(const bnn_group *group, const bnn_network *network, const bnn_layer *layer, char *reason,
                    size_t size);

/* expansion_scale of a sum over input channels, each of which stands |G| times in the larger layer: |G|^-1/2 keeps the
 * variance of a sum of independent terms; in the last layer, which sees the whole orbit of each channel, |G|^-1 makes it
 * the mean over the orbit. */
double layer_scale_of_sum(const bnn_group *group, const bnn_layer *layer);

/* onnx: a name of the layer's, by what stands behind the layer's own ("": its output); and a tensor of its parameters, the
 * weights in `shape`, whose product is theirs, or the bias. */
const char *layer_onnx_name(const bnn_layer *layer, const bnn_onnx_part *part, const char *suffix);
const char *layer_onnx_weights(const bnn_layer *layer, const bnn_onnx_part *part, size_t rank,
                               const size_t *shape);
const char *layer_onnx_bias(const bnn_layer *layer, const bnn_onnx_part *part);

#endif
