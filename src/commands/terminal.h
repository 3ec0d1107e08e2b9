/* Progress on standard error: a line that is replaced in place while work goes on, where that is a terminal that can do so
 * (TERM is set, and not dumb). It is never wider than the terminal, so it never wraps; and as it has no colours, NO_COLOR asks
 * for nothing more. */
#ifndef BNN_SRC_TERMINAL_H
#define BNN_SRC_TERMINAL_H

#include <stdbool.h>

typedef struct live_line {
    bool live;         /* whether there is such a terminal; where not, nothing is shown in place */
    bool shown;        /* whether a text stands in the line */
    double last;       /* when it was written, in bnn_seconds */
    const char *label; /* of live_line_fraction: what is being done */
    double begun;      /* since when */
    double patience;   /* seconds before the first text */
} live_line;

#define LIVE_LINE_PATIENCE 2.0 /* seconds that predictions may take before anything is shown */

/* `patience`: how long work may go on before anything is shown of it. */
live_line live_line_open(double patience);

/* Replaces the text, whose end is left out where the terminal is too narrow, by pieces between two blanks. Texts that follow within a tenth of a second are passed over. */
void live_line_show(live_line *line, const char *text);
void live_line_clear(live_line *line);

/* Prints a line that stays. On a terminal it is broken at two blanks, or at one, where it is too long. */
void live_line_print(live_line *line, const char *text);

/* "40%  12 s left  LABEL" of work that live_line_begin began; `context` is the line. */
void live_line_begin(live_line *line, const char *label);
void live_line_fraction(void *context, double fraction);

#endif
