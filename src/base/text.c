#include "base/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NAME_MOST = 128 };             /* bytes of a name that a text is compared with */
enum { MEANT_MOST = NAME_MOST + 32 }; /* bytes kept for what was meant, behind a list that may be cut */
enum { EDIT = 3, CASE = 1 };          /* costs of an edit, and of a letter in the other case */

char *bnn_append(char *text, size_t size, const char *format, ...)
{
    static const char cut[] = "...";
    const size_t length = strnlen(text, size);
    va_list arguments;
    if (length >= size) return text;
    va_start(arguments, format);
    const int added = vsnprintf(text + length, size - length, format, arguments);
    va_end(arguments);
    if (added < 0) text[length] = '\0';
    if (added >= 0 && (size_t)added >= size - length && size >= sizeof cut)
        memcpy(text + size - sizeof cut, cut, sizeof cut);
    return text;
}

/* What replacing one letter by another costs. */
static size_t replacement(char a, char b)
{
    if (a == b) return 0;
    return tolower((unsigned char)a) == tolower((unsigned char)b) ? CASE : EDIT;
}

size_t bnn_edit_distance(const char *a, const char *b)
{
    size_t row[NAME_MOST]; /* of the table of distances between the beginnings of a and those of b */
    const size_t n = strlen(b);
    if (n >= sizeof row / sizeof *row) return SIZE_MAX;
    for (size_t j = 0; j <= n; j++) row[j] = EDIT * j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = EDIT * (i + 1);
        for (size_t j = 1; j <= n; j++) {
            const size_t above = row[j];
            size_t best = diagonal + replacement(a[i], b[j - 1]);
            if (above + EDIT < best) best = above + EDIT;
            if (row[j - 1] + EDIT < best) best = row[j - 1] + EDIT;
            row[j] = best;
            diagonal = above;
        }
    }
    return row[n];
}

bnn_choices bnn_choices_for(const char *found)
{
    return (bnn_choices){.found = found, .distance = SIZE_MAX};
}

/* Whether so many edits apart one may have been written for the other: a third of the letters and one more, or the case
 * of all; or only the beginning was written. */
static bool is_near(const char *found, const char *name, size_t distance)
{
    const size_t length = strlen(found);
    return distance <= EDIT + length || (length > 1 && strncasecmp(found, name, length) == 0);
}

void bnn_choices_add(bnn_choices *choices, const char *name)
{
    const size_t distance = bnn_edit_distance(choices->found, name);
    bnn_append(choices->text, sizeof choices->text - MEANT_MOST, "%s\"%s\"",
               choices->count ? ", " : "one of ", name);
    choices->count++;
    if (distance >= choices->distance || !is_near(choices->found, name, distance)) return;
    choices->distance = distance;
    choices->nearest = name;
}

void bnn_choices_add_all(bnn_choices *choices, const char *const *names)
{
    while (*names) bnn_choices_add(choices, *names++);
}

void bnn_choices_add_rows(bnn_choices *choices, bnn_registry *registry)
{
    const bnn_row *row;
    for (size_t i = 0; (row = registry(i)); i++) bnn_choices_add(choices, row->name);
}

const char *bnn_choices_text(bnn_choices *choices)
{
    if (choices->nearest)
        bnn_append(choices->text, sizeof choices->text, " (did you mean \"%s\"?)", choices->nearest);
    return choices->text;
}

char *bnn_join(char *text, size_t size, const char *const *names)
{
    if (size) *text = '\0';
    for (size_t i = 0; names[i]; i++) bnn_append(text, size, "%s\"%s\"", i ? ", " : "", names[i]);
    return text;
}

bool bnn_decimal(const char *text, double *value)
{
    char *end;
    if (!*text || text[strspn(text, "0123456789.eE+-")]) return false;
    *value = strtod(text, &end);
    return !*end;
}

char *bnn_duration_text(double seconds, const char *const units[3], char *text, size_t size)
{
    if (seconds < 100)
        snprintf(text, size, "%.0f%s", seconds, units[0]);
    else if (seconds < 6000)
        snprintf(text, size, "%.0f%s", seconds / 60, units[1]);
    else
        snprintf(text, size, "%.1f%s", seconds / 3600, units[2]);
    return text;
}

/* ---- texts that grow ----------------------------------------------------------------------------------------- */

#ifdef __linux__
/* What a stream hands over; 0 where it cannot be kept, which marks the stream. */
static ssize_t keep(void *context, const char *bytes, size_t size)
{
    bnn_text *text = context;
    size_t capacity = text->capacity ? text->capacity : 1024;
    while (capacity - text->size <= size) capacity *= 2;
    char *grown = capacity > text->capacity ? realloc(text->bytes, capacity) : text->bytes;
    if (!grown) return 0;
    memcpy(grown + text->size, bytes, size);
    text->bytes = grown;
    text->size += size;
    text->capacity = capacity;
    text->bytes[text->size] = '\0';
    return (ssize_t)size;
}

FILE *bnn_text_open(bnn_text *text)
{
    *text = (bnn_text){0};
    keep(text, "", 0);
    if (text->bytes) text->stream = fopencookie(text, "w", (cookie_io_functions_t){.write = keep});
    if (!text->stream) free(text->bytes);
    return text->stream;
}
#else
FILE *bnn_text_open(bnn_text *text)
{
    *text = (bnn_text){0};
    text->stream = open_memstream(&text->bytes, &text->size);
    return text->stream;
}
#endif

char *bnn_text_close(bnn_text *text, size_t *size)
{
    const bool failed = fflush(text->stream) != 0 || ferror(text->stream);
    if (fclose(text->stream) != 0 || failed) {
        free(text->bytes);
        return NULL;
    }
    if (size) *size = text->size;
    return text->bytes;
}
