#include "base/json.h"

#include <stdbool.h>
#include <string.h>

#define TEXT_OF(number) #number
#define TEXT(macro) TEXT_OF(macro)

const char *bnn_json_fault(const char *text, const char **what)
{
    size_t values = 1, depth = 0;
    bool string = false;
    for (; *text; text++) {
        const bool opens = *text == '[' || *text == '{', closes = *text == ']' || *text == '}';
        if (string && *text == '\\' && strncmp(text + 1, "u0000", 5) == 0) {
            *what = "holds the character \\u0000, expected none";
            return text;
        }
        if (string && *text == '\\' && text[1]) {
            text++;
            continue;
        }
        if (*text == '"') string = !string;
        if ((opens || *text == ',' || *text == ':') && ++values > BNN_JSON_VALUES) {
            *what = "holds more values than the " TEXT(BNN_JSON_VALUES) " expected at most";
            return text;
        }
        if (string) continue;
        if (opens && ++depth > BNN_JSON_DEPTH) {
            *what = "is nested deeper than the " TEXT(BNN_JSON_DEPTH) " levels expected at most";
            return text;
        }
        if (closes && depth > 0) depth--;
    }
    return NULL;
}
