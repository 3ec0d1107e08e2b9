/* ONNX's messages are C structures that protobuf-c makes of the published onnx.proto at build. */
#include "bnn/onnx.h"

#include <onnx.pb-c.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/io.h"
#include "data/array.h"

enum {
    IR_VERSION = 7,
    OPSET = 13
}; /* of ONNX 1.8 (2020): old enough for every runtime, new enough for all that is used */

static char batch[] = "N", nameless[] = "", producer[] = "bnn", version[] = BNN_VERSION;

/* All memory of a graph, freed at once. */
typedef struct block {
    struct block *next;
    max_align_t data[];
} block;

struct bnn_onnx {
    Onnx__ModelProto *model;
    Onnx__GraphProto *graph;
    block *blocks;
    bool short_of_memory;
};

/* ---- memory -------------------------------------------------------------------------------------------- */

static void *keep(bnn_onnx *graph, size_t count, size_t size)
{
    block *added = count < (SIZE_MAX - sizeof(block)) / size ? calloc(1, sizeof *added + count * size) : NULL;
    if (!added) {
        graph->short_of_memory = true;
        return NULL;
    }
    added->next = graph->blocks;
    graph->blocks = added;
    return added->data;
}

static char *copy_text(bnn_onnx *graph, const char *text)
{
    char *copy = keep(graph, strlen(text) + 1, 1);
    return copy ? strcpy(copy, text) : nameless;
}

/* A list of `count` pointers with room for one more: the list itself, or its copy, of twice the room; NULL when memory is
 * short. */
static void *with_room(bnn_onnx *graph, void *list, size_t count)
{
    if (count & (count - 1)) return list;
    void *larger = keep(graph, count ? 2 * count : 1, sizeof(void *));
    if (larger && count) memcpy(larger, list, count * sizeof(void *));
    return larger;
}

static void fill_model(bnn_onnx *graph, const char *name, const char *description)
{
    Onnx__OperatorSetIdProto *opset = keep(graph, 1, sizeof *opset);
    Onnx__OperatorSetIdProto **opsets = keep(graph, 1, sizeof *opsets);
    graph->model = keep(graph, 1, sizeof *graph->model);
    graph->graph = keep(graph, 1, sizeof *graph->graph);
    if (graph->short_of_memory) return;
    onnx__operator_set_id_proto__init(opset);
    opset->domain = nameless; /* the standard's own */
    opset->has_version = 1;
    opset->version = OPSET;
    opsets[0] = opset;
    onnx__graph_proto__init(graph->graph);
    graph->graph->name = copy_text(graph, name);
    onnx__model_proto__init(graph->model);
    graph->model->has_ir_version = 1;
    graph->model->ir_version = IR_VERSION;
    graph->model->producer_name = producer;
    graph->model->producer_version = version;
    graph->model->doc_string = copy_text(graph, description);
    graph->model->opset_import = opsets;
    graph->model->n_opset_import = 1;
    graph->model->graph = graph->graph;
}

bnn_onnx *bnn_onnx_create(const char *name, const char *description)
{
    bnn_onnx *graph = bnn_alloc(1, sizeof *graph);
    if (!graph) return NULL;
    fill_model(graph, name, description);
    if (!graph->short_of_memory) return graph;
    bnn_onnx_free(graph);
    return NULL;
}

void bnn_onnx_free(bnn_onnx *graph)
{
    for (block *at = graph ? graph->blocks : NULL, *next; at; at = next) {
        next = at->next;
        free(at);
    }
    free(graph);
}

const char *bnn_onnx_name(bnn_onnx *graph, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return copy_text(graph, text);
}

/* ---- inputs and outputs -------------------------------------------------------------------------------- */

/* (N, shape...). */
static Onnx__TensorShapeProto *make_shape(bnn_onnx *graph, size_t rank, const size_t *shape)
{
    Onnx__TensorShapeProto *made = keep(graph, 1, sizeof *made);
    Onnx__TensorShapeProto__Dimension *sizes = keep(graph, rank + 1, sizeof *sizes);
    Onnx__TensorShapeProto__Dimension **list = keep(graph, rank + 1, sizeof *list);
    if (!made || !sizes || !list) return NULL;
    onnx__tensor_shape_proto__init(made);
    for (size_t d = 0; d <= rank; d++) {
        list[d] = &sizes[d];
        onnx__tensor_shape_proto__dimension__init(list[d]);
        list[d]->value_case = d ? ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE
                                : ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
        if (d)
            list[d]->dim_value = (int64_t)shape[d - 1];
        else
            list[d]->dim_param = batch;
    }
    made->dim = list;
    made->n_dim = rank + 1;
    return made;
}

static Onnx__ValueInfoProto *make_value(bnn_onnx *graph, const char *name, bnn_onnx_type type, size_t rank,
                                        const size_t *shape)
{
    Onnx__ValueInfoProto *value = keep(graph, 1, sizeof *value);
    Onnx__TypeProto *kind = keep(graph, 1, sizeof *kind);
    Onnx__TypeProto__Tensor *tensor = keep(graph, 1, sizeof *tensor);
    Onnx__TensorShapeProto *sizes = make_shape(graph, rank, shape);
    if (!value || !kind || !tensor || !sizes) return NULL;
    onnx__type_proto__tensor__init(tensor);
    tensor->has_elem_type = 1;
    tensor->elem_type =
        type == BNN_ONNX_UINT8 ? ONNX__TENSOR_PROTO__DATA_TYPE__UINT8 : ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor->shape = sizes;
    onnx__type_proto__init(kind);
    kind->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    kind->tensor_type = tensor;
    onnx__value_info_proto__init(value);
    value->name = copy_text(graph, name);
    value->type = kind;
    return value;
}

/* Adds to the list of inputs or of outputs. */
static const char *add_value(bnn_onnx *graph, Onnx__ValueInfoProto *value, Onnx__ValueInfoProto ***list,
                             size_t *count)
{
    Onnx__ValueInfoProto **values = value ? with_room(graph, *list, *count) : NULL;
    if (!values) return nameless;
    *list = values;
    values[(*count)++] = value;
    return value->name;
}

const char *bnn_onnx_input(bnn_onnx *graph, const char *name, bnn_onnx_type type, size_t rank,
                           const size_t *shape)
{
    return add_value(graph, make_value(graph, name, type, rank, shape), &graph->graph->input,
                     &graph->graph->n_input);
}

void bnn_onnx_output(bnn_onnx *graph, const char *name, bnn_onnx_type type, size_t rank, const size_t *shape)
{
    add_value(graph, make_value(graph, name, type, rank, shape), &graph->graph->output,
              &graph->graph->n_output);
}

/* ---- constants ----------------------------------------------------------------------------------------- */

/* Adds a constant with room for its data of `width` bytes an item; NULL when memory is short. */
static Onnx__TensorProto *add_tensor(bnn_onnx *graph, const char *name, int type, size_t width, size_t rank,
                                     const size_t *shape)
{
    size_t count = 1;
    for (size_t d = 0; d < rank; d++) count *= shape[d];
    Onnx__TensorProto *tensor = keep(graph, 1, sizeof *tensor);
    Onnx__TensorProto **list = with_room(graph, graph->graph->initializer, graph->graph->n_initializer);
    int64_t *dimensions = keep(graph, rank, sizeof *dimensions);
    uint8_t *bytes = keep(graph, count, width);
    if (!tensor || !list || !dimensions || !bytes) return NULL;
    onnx__tensor_proto__init(tensor);
    for (size_t d = 0; d < rank; d++) dimensions[d] = (int64_t)shape[d];
    tensor->name = copy_text(graph, name);
    tensor->n_dims = rank;
    tensor->dims = dimensions;
    tensor->has_data_type = 1;
    tensor->data_type = type;
    tensor->has_raw_data = 1;
    tensor->raw_data = (ProtobufCBinaryData){count * width, bytes};
    graph->graph->initializer = list;
    list[graph->graph->n_initializer++] = tensor;
    return tensor;
}

const char *bnn_onnx_reals(bnn_onnx *graph, const char *name, size_t rank, const size_t *shape,
                           const bnn_real *values)
{
    Onnx__TensorProto *tensor =
        add_tensor(graph, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, sizeof(float), rank, shape);
    if (!tensor) return nameless;
    for (size_t at = 0; at < tensor->raw_data.len; at += sizeof(float))
        bnn_store_float(tensor->raw_data.data + at, sizeof(float), (double)*values++);
    return tensor->name;
}

const char *bnn_onnx_integers(bnn_onnx *graph, const char *name, size_t rank, const size_t *shape,
                              const int64_t *values)
{
    Onnx__TensorProto *tensor =
        add_tensor(graph, name, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, sizeof *values, rank, shape);
    if (!tensor) return nameless;
    for (size_t at = 0; at < tensor->raw_data.len; at += sizeof *values)
        bnn_store(tensor->raw_data.data + at, sizeof *values, (uint64_t)*values++);
    return tensor->name;
}

/* ---- nodes --------------------------------------------------------------------------------------------- */

static Onnx__AttributeProto *make_attribute(bnn_onnx *graph, const bnn_onnx_attribute *from)
{
    Onnx__AttributeProto *attribute = keep(graph, 1, sizeof *attribute);
    int64_t *values = keep(graph, BNN_ONNX_INTEGERS, sizeof *values);
    if (!attribute || !values) return NULL;
    onnx__attribute_proto__init(attribute);
    attribute->name = copy_text(graph, from->name);
    attribute->has_type = 1;
    if (from->count) {
        memcpy(values, from->values, from->count * sizeof *values);
        attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
        attribute->ints = values;
        attribute->n_ints = from->count;
    } else {
        attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
        attribute->has_i = 1;
        attribute->i = from->values[0];
    }
    return attribute;
}

static bool add_attributes(bnn_onnx *graph, Onnx__NodeProto *node, const bnn_onnx_attribute *attributes)
{
    size_t count = 0;
    while (attributes && attributes[count].name) count++;
    node->attribute = keep(graph, count, sizeof *node->attribute);
    for (size_t i = 0; i < count && node->attribute; i++) {
        node->attribute[i] = make_attribute(graph, &attributes[i]);
        node->n_attribute += node->attribute[i] != NULL;
    }
    return node->n_attribute == count && node->attribute;
}

static bool add_inputs(bnn_onnx *graph, Onnx__NodeProto *node, const char *const *inputs)
{
    while (inputs[node->n_input]) node->n_input++;
    node->input = keep(graph, node->n_input, sizeof *node->input);
    for (size_t i = 0; i < node->n_input && node->input; i++) node->input[i] = copy_text(graph, inputs[i]);
    return node->input;
}

const char *bnn_onnx_node(bnn_onnx *graph, const char *op, const char *output, const char *const *inputs,
                          const bnn_onnx_attribute *attributes)
{
    Onnx__NodeProto *node = keep(graph, 1, sizeof *node);
    Onnx__NodeProto **list = with_room(graph, graph->graph->node, graph->graph->n_node);
    char **outputs = keep(graph, 1, sizeof *outputs);
    if (!node || !list || !outputs) return nameless;
    onnx__node_proto__init(node);
    node->op_type = copy_text(graph, op);
    node->name = outputs[0] = copy_text(graph, output);
    node->output = outputs;
    node->n_output = 1;
    if (!add_inputs(graph, node, inputs) || !add_attributes(graph, node, attributes)) return nameless;
    graph->graph->node = list;
    list[graph->graph->n_node++] = node;
    return node->name;
}

/* ---- the file ------------------------------------------------------------------------------------------ */

bnn_status bnn_onnx_write(const bnn_onnx *graph, const char *path, bnn_error *error)
{
    if (graph->short_of_memory) return bnn_no_memory(error, path, 1, sizeof *graph);
    const size_t size = onnx__model_proto__get_packed_size(graph->model);
    if (size > INT32_MAX)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: found %zu bytes, expected at most the 2 GiB of an ONNX file", path, size);
    uint8_t *bytes = bnn_alloc(size, 1);
    if (!bytes) return bnn_no_memory(error, path, size, 1);
    onnx__model_proto__pack(graph->model, bytes);
    const bnn_status status = bnn_write_file(path, bytes, size, error);
    free(bytes);
    return status;
}
