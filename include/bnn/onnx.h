/* ONNX graphs, built node by node and written to a file: opset 13 of the standard operators, which say what a node computes
 * (https://onnx.ai/onnx/operators), in the messages of the published onnx.proto (IR version 7).
 *
 * Values are named. A function that adds something returns its name, owned by the graph; names may not be given twice. When
 * memory is short, all functions go on with names that mean nothing, and bnn_onnx_write fails. */
#ifndef BNN_ONNX_H
#define BNN_ONNX_H

#include <stddef.h>
#include <stdint.h>

#include "bnn/real.h"
#include "bnn/status.h"

typedef struct bnn_onnx bnn_onnx;

typedef enum bnn_onnx_type { BNN_ONNX_FLOAT, BNN_ONNX_UINT8 } bnn_onnx_type;

/* A node's attribute: the `count` integers of a list, or one integer where count is 0. */
#define BNN_ONNX_INTEGERS 4
typedef struct bnn_onnx_attribute {
    const char *name;
    size_t count;
    int64_t values[BNN_ONNX_INTEGERS];
} bnn_onnx_attribute;

/* Lists as bnn_onnx_node takes them. */
#define BNN_ONNX_INPUTS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define BNN_ONNX_ATTRIBUTES(...) ((const bnn_onnx_attribute[]){__VA_ARGS__, {.name = NULL}})

/* An empty graph; `description` is text for people. NULL when memory is short. */
bnn_onnx *bnn_onnx_create(const char *name, const char *description);
void bnn_onnx_free(bnn_onnx *graph); /* NULL is legal */

/* Formats a name. */
const char *bnn_onnx_name(bnn_onnx *graph, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The graph's inputs and outputs: (N, shape...), for any N. Inputs come from outside; outputs name a node's output. */
const char *bnn_onnx_input(bnn_onnx *graph, const char *name, bnn_onnx_type type, size_t rank,
                           const size_t *shape);
void bnn_onnx_output(bnn_onnx *graph, const char *name, bnn_onnx_type type, size_t rank, const size_t *shape);

/* Constants of a shape (rank 0: one number), copied: reals as float, integers as int64. */
const char *bnn_onnx_reals(bnn_onnx *graph, const char *name, size_t rank, const size_t *shape,
                           const bnn_real *values);
const char *bnn_onnx_integers(bnn_onnx *graph, const char *name, size_t rank, const size_t *shape,
                              const int64_t *values);

/* A node of the operator `op`, whose only output is called `output`. `inputs` ends with NULL, `attributes` (NULL: none) with
 * one without a name. */
const char *bnn_onnx_node(bnn_onnx *graph, const char *op, const char *output, const char *const *inputs,
                          const bnn_onnx_attribute *attributes);

/* Writes atomically. BNN_BAD_INPUT where the file would be larger than 2 GiB, which readers of the format refuse. */
bnn_status bnn_onnx_write(const bnn_onnx *graph, const char *path, bnn_error *error);

#endif
