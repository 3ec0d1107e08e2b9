/* The real type of the numerical core: float for use, double (make BNN_DOUBLE=1) for exact tests. */
#ifndef BNN_REAL_H
#define BNN_REAL_H

#include <stddef.h>

#ifdef BNN_DOUBLE
typedef double bnn_real;
typedef long double bnn_wide; /* sums of a few thousand equal bnn_real are exact in it */
#define BNN_REAL_NAME "double"
#else
typedef float bnn_real;
typedef double bnn_wide;
#define BNN_REAL_NAME "float"
#endif

/* Activations after the first layer are stored channels-last with this many bytes' worth of channels as the
 * unit, so that every pixel starts on a cache line: see bnn_channel_stride in kernel.h. */
#define BNN_CHANNEL_BYTES 64
#define BNN_CHANNEL_UNIT (BNN_CHANNEL_BYTES / sizeof(bnn_real))

#endif
