#include "bnn/status.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A line that is longer than the buffer keeps its beginning and its end: the end says what is wrong. */
static void format_message(char *message, size_t size, const char *format, va_list arguments)
{
    static const char gap[] = " ... ";
    va_list again;
    va_copy(again, arguments);
    const int length = vsnprintf(message, size, format, arguments);
    char *whole = length >= 0 && (size_t)length >= size ? malloc((size_t)length + 1) : NULL;
    if (whole) {
        const size_t end = size / 2;
        vsnprintf(whole, (size_t)length + 1, format, again);
        memcpy(message + size - end - strlen(gap), gap, strlen(gap));
        memcpy(message + size - end, whole + (size_t)length + 1 - end, end);
    }
    free(whole);
    va_end(again);
}

bnn_status(bnn_fail)(bnn_error *error, bnn_status status, const char *format, ...)
{
    if (error) {
        va_list arguments;
        error->status = status;
        va_start(arguments, format);
        format_message(error->message, sizeof error->message, format, arguments);
        va_end(arguments);
    }
    return status;
}

bnn_status(bnn_fail_in)(bnn_error *error, bnn_status status, const char *prefix)
{
    if (!error) return status;
    const bnn_error inner = *error;
    return bnn_fail(error, status, "%s: %s", prefix, inner.message);
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

size_t bnn_memory_most(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (size_t)pages / 8 * 7 * (size_t)page : SIZE_MAX;
}

/* Whether an allocation is so large that it is to be compared with the machine's memory. */
static bool is_beyond_memory(size_t bytes)
{
    return bytes >> 26 && bytes > bnn_memory_most();
}

void *bnn_alloc(size_t count, size_t size)
{
    if (size != 0 && count > (SIZE_MAX - 64) / size) return NULL;
    size_t bytes = (count * size + 63) / 64 * 64;
    if (is_beyond_memory(bytes)) return NULL;
    void *memory = aligned_alloc(64, bytes ? bytes : 64);
    if (memory) memset(memory, 0, bytes ? bytes : 64);
    return memory;
}

bnn_status(bnn_no_memory)(bnn_error *error, const char *what, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) bytes = SIZE_MAX;
    if (!is_beyond_memory(bytes))
        return bnn_fail(error, BNN_FAILED, "out of memory for %s (%zu items of %zu bytes)", what, count,
                        size);
    return bnn_fail(error, BNN_FAILED,
                    "out of memory for %s (%zu items of %zu bytes): expected at most %zu MiB, 7/8 of the "
                    "machine's memory",
                    what, count, size, bnn_memory_most() >> 20);
}
