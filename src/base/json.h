/* What is wrong with a JSON text (RFC 8259) before it is parsed: cJSON cuts strings at \u0000, and takes some 64 bytes of memory for
 * every value, whatever it is. */
#ifndef BNN_SRC_JSON_H
#define BNN_SRC_JSON_H

#include <stddef.h>

/* The values that a text may have at most, and how deep they may be nested. */
#define BNN_JSON_VALUES 1000000
#define BNN_JSON_DEPTH 500

/* The first byte that no text may have where it is, *what <- why; NULL when there is none. Texts within strings count too, for
 * metadata hold JSON. Whether the text is valid JSON is for the parser to say. */
const char *bnn_json_fault(const char *text, const char **what);

#endif
