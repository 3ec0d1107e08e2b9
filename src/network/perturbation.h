/* A layer that an estimator perturbs, in one worker: see estimator.h. */
#ifndef BNN_SRC_PERTURBATION_H
#define BNN_SRC_PERTURBATION_H

#include "bnn/network.h"
#include "network/runner.h"

/* By a kernel with noise, or by two runs of one without. */
typedef struct perturbation {
    const bnn_estimator *estimator;
    const bnn_layer *layer;
    runner mean, spread; /* two runs; with noise the weights of one */
    bnn_stream stream;
    size_t views, first;  /* first: images of the unit before this block */
    bool of_images;       /* its inputs are the network's: one for all samples of an image */
    size_t samples;       /* of each input in the unit, one after the other */
    size_t paired;        /* samples of each image that come in pairs of opposite noise; 1: none */
    size_t part_first;    /* of the part at which normals are drawn: its first image in the block */
    size_t last;          /* the image of the unit whose out_noise was drawn last, */
    bnn_real *last_noise; /* and where it is; NULL: none yet */
    size_t in_noise_count, out_noise_count;

    /* With noise, a block goes through the layer in parts: layers of many channels and few pixels, that read more weights than
     * images, have more images at once than others. A part has all samples of its inputs. */
    size_t part, saved_count; /* images at most; reals that a part saves */
    bnn_real *saved;          /* (parts, saved_count) */
    bnn_real *in_noise,
        *out_noise; /* (block, ..._noise_count); normals, which are drawn image by image, (1 or part, ...) */

    /* Of two runs: all (block, ...). */
    bnn_real *in, *in_gradient;   /* phi(in), and its gradient */
    bnn_real *out, *out_gradient; /* B, and its gradient */
} perturbation;

/* `kernel` fits the shape: that of the layer alone or, with noise, of all that it runs. */
bnn_status perturbation_create(const bnn_layer *layer, const bnn_kernel *kernel,
                               const bnn_kernel_shape *shape, const bnn_workspace_options *options,
                               perturbation **result, bnn_error *error);
void perturbation_free(perturbation *p); /* NULL is legal */

/* Starts a unit, but for its runners. */
void perturbation_begin(perturbation *p, const bnn_unit *unit);
void perturbation_forward(perturbation *p, const bnn_pass *pass);
void perturbation_backward(perturbation *p, const bnn_pass *pass);

#endif
