/* UTF-8, which JSON texts have to be (RFC 8259, section 8.1); file names need not. */
#ifndef BNN_UTF8_H
#define BNN_UTF8_H

#include <stddef.h>

/* U+FFFD, which stands for what is no character. */
#define BNN_UTF8_REPLACEMENT "\xef\xbf\xbd"

/* The bytes of the character that `text` begins with; 0 when that is none. */
size_t bnn_utf8_length(const char *text);

/* The first byte of `text` that is no part of valid UTF-8 (RFC 3629), or NULL when all of it is valid. */
const char *bnn_utf8_fault(const char *text);

/* A copy of `text` with U+FFFD, the replacement character, for every byte that is no part of valid UTF-8; freed with
 * free(), NULL when memory is short. */
char *bnn_utf8_mend(const char *text);

#endif
