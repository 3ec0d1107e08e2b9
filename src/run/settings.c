#include "bnn/settings.h"

#include "bnn/io.h"
#include "bnn/mode.h"

/* What the table of keys loaded, judged by the modes. */
static bnn_status check(const char *name, const char *const *sets, size_t set_count, bnn_status status,
                        bnn_config *config, bnn_error *error)
{
    if (status) return status;
    return bnn_config_blame(name, sets, set_count, bnn_mode_check(name, config, error), error);
}

bnn_status bnn_settings_parse(const char *name, const char *text, const char *const *sets, size_t set_count,
                              bnn_config *config, bnn_error *error)
{
    const bnn_status status = bnn_config_parse(name, text, sets, set_count, bnn_mode_row, config, error);
    return check(name, sets, set_count, status, config, error);
}

bnn_status bnn_settings_read_text(const char *name, const uint8_t *bytes, size_t size,
                                  const char *const *sets, size_t set_count, bnn_config *config,
                                  bnn_error *error)
{
    const bnn_status status =
        bnn_config_read_text(name, bytes, size, sets, set_count, bnn_mode_row, config, error);
    return check(name, sets, set_count, status, config, error);
}

bnn_status bnn_settings_read(const char *path, const char *const *sets, size_t set_count, bnn_config *config,
                             bnn_error *error)
{
    const bnn_status status = bnn_config_read(path, sets, set_count, bnn_mode_row, config, error);
    return check(bnn_input_name(path), sets, set_count, status, config, error);
}
