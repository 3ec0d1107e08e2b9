/* gnuplot, as a program that reads a script and writes a picture. Private to the pictures' room. */
#ifndef BNN_SRC_GNUPLOT_H
#define BNN_SRC_GNUPLOT_H

#include <stdint.h>
#include <stdio.h>

#include "bnn/status.h"

/* Writes a text as gnuplot quotes it, in which no character is special. */
void gnuplot_quote(FILE *script, const char *text);

/* Runs a script, which draws on standard output: *drawn (*drawn_size and a zero byte; freed with free()) <- what it drew. */
bnn_status gnuplot_run(const char *script, size_t size, uint8_t **drawn, size_t *drawn_size,
                       bnn_error *error);

#endif
