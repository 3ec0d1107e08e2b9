/* A model's calibration in its file. Private to the room. */
#ifndef BNN_CONFIG_CALIBRATION_H
#define BNN_CONFIG_CALIBRATION_H

#include "bnn/calibration.h"
#include "bnn/safetensors.h"

#define CONFIG_CALIBRATION_KEY "calibration" /* of __metadata__ */

#define CONFIG_CALIBRATION_TEXT 512

/* text <- it as JSON, every number exact; returns `text`. */
char *config_calibration_text(const bnn_calibration *calibration, char text[CONFIG_CALIBRATION_TEXT]);

/* *calibration <- that of the file, or none where it has none. BNN_BAD_INPUT, naming the member, where it is none. */
bnn_status config_load_calibration(const bnn_safetensors *file, bnn_calibration *calibration,
                                   bnn_error *error);

#endif
