/* gnuplot, as a program that reads a script and writes a picture. Private to the pictures' room. */
#ifndef BNN_SRC_GNUPLOT_H
#define BNN_SRC_GNUPLOT_H

#include <stdio.h>

#include "bnn/status.h"

/* Writes a text as gnuplot quotes it, in which no character is special. */
void gnuplot_quote(FILE *script, const char *text);

/* Runs a script, which draws on standard output, and writes what it drew to `path` as bnn_write_file does. */
bnn_status gnuplot_run(const char *script, size_t size, const char *path, bnn_error *error);

#endif
