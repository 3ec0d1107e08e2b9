/* The configuration of a run, read and judged: what the table of keys loads and types (config.h), modes check. */
#ifndef BNN_SETTINGS_H
#define BNN_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "bnn/config.h"
#include "bnn/status.h"

/* bnn_config_parse with all checks that need no data. */
bnn_status bnn_settings_parse(const char *name, const char *text, const char *const *sets, size_t set_count,
                              bnn_config *config, bnn_error *error);

/* The same of the bytes of a file (bnn_config_read_text). */
bnn_status bnn_settings_read_text(const char *name, const uint8_t *bytes, size_t size,
                                  const char *const *sets, size_t set_count, bnn_config *config,
                                  bnn_error *error);

/* The same of a file. */
bnn_status bnn_settings_read(const char *path, const char *const *sets, size_t set_count, bnn_config *config,
                             bnn_error *error);

#endif
