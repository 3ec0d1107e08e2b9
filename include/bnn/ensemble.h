/* An ensemble: a file that names the models of an equal mixture and keeps the calibration of the mixture, which is none of its
 * members'. It is a safetensors file without tensors, whose metadata are `format`: "bnn-ensemble", `members`: a JSON list of
 * {"path", "sha256"}, and `calibration` as in a model file. */
#ifndef BNN_ENSEMBLE_H
#define BNN_ENSEMBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bnn/calibration.h"
#include "bnn/io.h"
#include "bnn/status.h"

#define BNN_ENSEMBLE_MOST 256 /* members */

typedef struct bnn_ensemble_member {
    char path[4096]; /* of the model file */
    char sha256[BNN_SHA256];
} bnn_ensemble_member;

typedef struct bnn_ensemble {
    bnn_ensemble_member *members; /* (count) */
    size_t count;                 /* 2 to BNN_ENSEMBLE_MOST */
    bnn_calibration calibration;
} bnn_ensemble;

/* Writes atomically. Paths are written relative to the folder of `path` where they lie in it, else absolute. */
bnn_status bnn_ensemble_save(const char *path, const bnn_ensemble *ensemble, bnn_error *error);

/* *ensemble <- that in the bytes of a file, or NULL where these are no ensemble; `name`: its path, for messages and for the folder
 * that its members' paths start from. BNN_BAD_INPUT, naming the member, where it says what it may not. */
bnn_status bnn_ensemble_parse(const char *name, const uint8_t *bytes, size_t size, bnn_ensemble **ensemble,
                              bnn_error *error);
void bnn_ensemble_free(bnn_ensemble *ensemble); /* NULL is legal */

#endif
