/* UTF-8, which JSON texts have to be (RFC 8259, section 8.1); file names need not. */
#ifndef BNN_UTF8_H
#define BNN_UTF8_H

/* The first byte of `text` that is no part of valid UTF-8 (RFC 3629), or NULL when all of it is valid. */
const char *bnn_utf8_fault(const char *text);

/* A copy of `text` with U+FFFD, the replacement character, for every byte that is no part of valid UTF-8; freed with
 * free(), NULL when memory is short. */
char *bnn_utf8_mend(const char *text);

#endif
