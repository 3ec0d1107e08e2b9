#include "bnn/utf8.h"

#include <string.h>

#include "bnn/status.h"

/* The ranges of the second byte leave out forms longer than need be, surrogates and what lies beyond U+10FFFF (RFC 3629,
 * section 4). */
size_t bnn_utf8_length(const char *text)
{
    static const struct {
        unsigned char first, last, least, most; /* of the first byte, of the second */
        size_t length;
    } forms[] = {{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
                 {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
                 {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    const unsigned char *bytes = (const unsigned char *)text;
    if (bytes[0] < 0x80) return 1;
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        if (bytes[0] < forms[f].first || bytes[0] > forms[f].last) continue;
        if (bytes[1] < forms[f].least || bytes[1] > forms[f].most) return 0;
        size_t length = 2;
        while (length < forms[f].length && (bytes[length] & 0xc0) == 0x80) length++;
        return length == forms[f].length ? length : 0;
    }
    return 0;
}

const char *bnn_utf8_fault(const char *text)
{
    for (size_t length; *text; text += length)
        if ((length = bnn_utf8_length(text)) == 0) return text;
    return NULL;
}

char *bnn_utf8_mend(const char *text)
{
    static const char replacement[] = BNN_UTF8_REPLACEMENT;
    char *copy = bnn_alloc(strlen(text) + 1, sizeof replacement - 1), *out = copy;
    for (size_t length; copy && *text; text += length ? length : 1) {
        length = bnn_utf8_length(text);
        const size_t put = length ? length : sizeof replacement - 1;
        memcpy(out, length ? text : replacement, put);
        out += put;
    }
    return copy;
}
