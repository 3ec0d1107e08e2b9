#include "bnn/settings.h"

#include "bnn/mode.h"

bnn_status bnn_settings_parse(const char *name, const char *text, const char *const *sets, size_t set_count,
                              bnn_config *config, bnn_error *error)
{
    const bnn_status status = bnn_config_parse(name, text, sets, set_count, bnn_mode_row, config, error);
    return status ? status : bnn_mode_check(name, config, error);
}

bnn_status bnn_settings_read(const char *path, const char *const *sets, size_t set_count, bnn_config *config,
                             bnn_error *error)
{
    const bnn_status status = bnn_config_read(path, sets, set_count, bnn_mode_row, config, error);
    return status ? status : bnn_mode_check(path, config, error);
}
