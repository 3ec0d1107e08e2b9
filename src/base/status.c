#include "bnn/status.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bnn_status bnn_fail(bnn_error *error, bnn_status status, const char *format, ...)
{
    if (error) {
        va_list arguments;
        error->status = status;
        va_start(arguments, format);
        vsnprintf(error->message, sizeof error->message, format, arguments);
        va_end(arguments);
    }
    return status;
}

bnn_status bnn_fail_in(bnn_error *error, bnn_status status, const char *prefix)
{
    if (error) {
        size_t before = strlen(prefix), length = strlen(error->message);
        if (before > 256) before = 256;
        if (length > sizeof error->message - before - 3) length = sizeof error->message - before - 3;
        memmove(error->message + before + 2, error->message, length);
        error->message[before + 2 + length] = '\0';
        memcpy(error->message, prefix, before);
        memcpy(error->message + before, ": ", 2);
        error->status = status;
    }
    return status;
}

const char *bnn_number_text(double value, char text[BNN_NUMBER_TEXT])
{
    if (isnan(value))
        snprintf(text, BNN_NUMBER_TEXT, "NaN"); /* whose sign, which %g may print, means nothing */
    else if (isinf(value))
        snprintf(text, BNN_NUMBER_TEXT, value > 0 ? "infinity" : "-infinity");
    else
        snprintf(text, BNN_NUMBER_TEXT, "%g", value);
    return text;
}

void *bnn_alloc(size_t count, size_t size)
{
    if (size != 0 && count > (SIZE_MAX - 64) / size) return NULL;
    size_t bytes = (count * size + 63) / 64 * 64;
    void *memory = aligned_alloc(64, bytes ? bytes : 64);
    if (memory) memset(memory, 0, bytes ? bytes : 64);
    return memory;
}

bnn_status bnn_no_memory(bnn_error *error, const char *what, size_t count, size_t size)
{
    return bnn_fail(error, BNN_FAILED, "out of memory for %s (%zu items of %zu bytes)", what, count, size);
}
