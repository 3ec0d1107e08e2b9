/* bnn export: the messages in the file, layers that no architecture has, and what is refused. What graphs compute is checked by
 * Python (tests/python/onnx_graphs.py). */
#include <onnx.pb-c.h>

#include "bnn/network.h"
#include "bnn/onnx.h"
#include "trainings.h"

static Onnx__ModelProto *unpack(const char *path)
{
    static uint8_t bytes[1 << 20];
    const size_t size = get_file(path, bytes, sizeof bytes);
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, size, bytes);
    assert_non_null(model);
    return model;
}

static void assert_value(const Onnx__ValueInfoProto *value, const char *name, size_t rank,
                         const int64_t *shape)
{
    const Onnx__TypeProto__Tensor *tensor = value->type->tensor_type;
    assert_string_equal(value->name, name);
    assert_int_equal(tensor->elem_type, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    assert_int_equal(tensor->shape->n_dim, rank + 1);
    assert_string_equal(tensor->shape->dim[0]->dim_param, "N");
    for (size_t d = 0; d < rank; d++) assert_int_equal(tensor->shape->dim[d + 1]->dim_value, shape[d]);
}

/* One network for w = mu; one a draw, the same at every call. */
static void what_the_file_holds(void **state)
{
    const char *run = in_temporary("run"), *out = in_temporary("x.onnx"), *again = in_temporary("y.onnx");
    static char bytes[2][1 << 16];
    (void)state;
    const program_run *done = succeeded(bnn_run("export", run, "--onnx", "--out", out));
    assert_string_equal(done->out, "");
    assert_string_equal(done->err, "");
    Onnx__ModelProto *model = unpack(out);
    const Onnx__GraphProto *graph = model->graph;
    assert_int_equal(model->ir_version, 7);
    assert_int_equal(model->n_opset_import, 1);
    assert_int_equal(model->opset_import[0]->version, 13);
    assert_string_equal(model->producer_name, "bnn");
    assert_string_equal(model->doc_string, "fcnn, mean weights");
    assert_int_equal(graph->n_input, 1);
    assert_value(graph->input[0], "images", 3, (const int64_t[]){1, SIDE, SIDE});
    assert_int_equal(graph->n_output, 1);
    assert_value(graph->output[0], "probabilities", 1, (const int64_t[]){CLASSES});
    assert_int_equal(graph->n_initializer, 2 * 3);
    assert_string_equal(graph->initializer[0]->name, "conv_layers.0.weight");
    assert_int_equal(graph->n_node, 2 * 3 + 1 + 1 + 2); /* two blocks, mean, head, softmax, its name */
    onnx__model_proto__free_unpacked(model, NULL);

    succeeded(bnn_run("export", run, "--onnx", "--samples", "2", "--group-average", "--out", out));
    succeeded(bnn_run("export", run, "--onnx", "--samples", "2", "--group-average", "--out", again));
    const size_t size = get_file(out, bytes[0], sizeof bytes[0]);
    assert_int_equal(get_file(again, bytes[1], sizeof bytes[1]), size);
    assert_memory_equal(bytes[0], bytes[1], size);
    model = unpack(out);
    assert_string_equal(model->doc_string, "fcnn, 2 weight draws (seed 5), averaged over C4");
    assert_int_equal(model->graph->n_initializer, 2 * 2 * 3 + 4);
    onnx__model_proto__free_unpacked(model, NULL);
}

/* conv, and the sum of it and its ReLU. */
static bnn_network *small_network(const bnn_layer_type *sum)
{
    const bnn_layer layers[] = {
        {.type = &bnn_layer_conv,
         .name = "a",
         .shape = {.out.channels = 2, .kernel = 1},
         .inputs = {BNN_IMAGES}},
        {.type = &bnn_layer_relu, .name = "b", .inputs = {0}},
        {.type = sum, .name = "c", .inputs = {0, 1}},
    };
    bnn_network *network = NULL;
    assert_int_equal(bnn_network_begin((const size_t[]){1, 2, 2}, 2, 3, &network, NULL), BNN_OK);
    for (size_t l = 0; l < 3; l++) assert_int_equal(bnn_network_add(network, &layers[l], NULL), BNN_OK);
    return network;
}

static void layers_with_two_inputs(void **state)
{
    const bnn_real weights[4] = {0};
    const char *logits, *path = in_temporary("sum.onnx");
    bnn_network *network = small_network(&bnn_layer_sum);
    bnn_onnx *graph = bnn_onnx_create("test", "");
    (void)state;
    const bnn_onnx_part part = {graph, "p.", weights};
    assert_int_equal(bnn_network_onnx(network, &part, "images", &logits, NULL), BNN_OK);
    assert_string_equal(logits, "p.c");
    assert_int_equal(bnn_onnx_write(graph, path, NULL), BNN_OK);
    bnn_onnx_free(graph);
    Onnx__ModelProto *model = unpack(path);
    const Onnx__NodeProto *node = model->graph->node[2];
    assert_string_equal(node->op_type, "Add");
    assert_int_equal(node->n_input, 2);
    assert_string_equal(node->input[0], "p.a");
    assert_string_equal(node->input[1], "p.b");
    onnx__model_proto__free_unpacked(model, NULL);
    bnn_network_free(network);
}

static void layers_without_an_onnx_form(void **state)
{
    const bnn_real weights[4] = {0};
    const char *logits;
    bnn_layer_type plain = bnn_layer_sum;
    bnn_error error;
    (void)state;
    plain.onnx = NULL;
    bnn_network *network = small_network(&plain);
    bnn_onnx *graph = bnn_onnx_create("test", "");
    const bnn_onnx_part part = {graph, "", weights};
    assert_int_equal(bnn_network_onnx(network, &part, "images", &logits, &error), BNN_BAD_INPUT);
    assert_string_equal(error.message, "c: layers of type sum have no ONNX form");
    bnn_onnx_free(graph);
    bnn_network_free(network);
}

#define assert_refused(code, texts, ...)                                                                     \
    check_one_line(bnn_run("export", in_temporary("run"), __VA_ARGS__), code, texts)

static void what_cannot_be_exported_is_said(void **state)
{
    const char *out = in_temporary("nothing.onnx");
    (void)state;
    assert_refused(2, ARGUMENTS("--out X.onnx is missing"), "--onnx");
    assert_refused(2, ARGUMENTS("--onnx is missing"), "--out", out);
    assert_refused(2, ARGUMENTS("--samples: found 0", "from 1 to 1024"), "--onnx", "--out", out, "--samples",
                   "0");
    assert_refused(2, ARGUMENTS("--group: expected --group-average too"), "--onnx", "--out", out, "--group",
                   "C2");
    assert_refused(2, ARGUMENTS("--logits and --group-average"), "--onnx", "--out", out, "--logits",
                   "--group-average");
    assert_refused(2, ARGUMENTS("--mean: unknown option"), "--onnx", "--out", out, "--mean");
    assert_refused(2, ARGUMENTS("/run: C8 interpolates", "expected a group that permutes pixels"), "--onnx",
                   "--out", out, "--group-average", "--group", "C8");
    assert_refused(2, ARGUMENTS("/run: T3 does not act", "divisible by 3"), "--onnx", "--out", out,
                   "--group-average", "--group", "T3");
    assert_refused(2, ARGUMENTS("--group", "did you mean \"C4\""), "--onnx", "--out", out, "--group-average",
                   "--group", "c4");
    assert_one_line(bnn_run("export", in_temporary("config.json"), "--onnx", "--out", out), 2, "config.json",
                    "expected a model");
    assert_refused(2, ARGUMENTS("none/x.onnx: cannot"), "--onnx", "--out", in_temporary("none/x.onnx"));
    assert_int_equal(access(out, F_OK), -1);
}

/* A model of another program: the README's least metadata, and `data` beside it. */
static void put_model(const char *name, const char *data)
{
    static const char tensors[] =
        "\"fc_layers.0.weight_mu\":{\"dtype\":\"F32\",\"shape\":[1,16],\"data_offsets\":[0,64]},"
        "\"fc_layers.0.weight_rho\":{\"dtype\":\"F32\",\"shape\":[1,16],\"data_offsets\":[64,128]},"
        "\"fc_layers.0.bias_mu\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[128,132]},"
        "\"fc_layers.0.bias_rho\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[132,136]}";
    char bytes[2048] = {0};
    const int length =
        snprintf(bytes + 8, sizeof bytes - 8,
                 "{\"__metadata__\":{\"format\":\"bnn\",\"config\":\"{%s,\\\"model\\\":{\\\"type\\\":"
                 "\\\"mlp\\\",\\\"input\\\":[1,4,4],\\\"classes\\\":1,\\\"hidden\\\":[]}}\"},%s}",
                 data, tensors);
    bytes[0] = (char)(length & 255), bytes[1] = (char)(length >> 8);
    put_file(name, bytes, 8 + (size_t)length + 136);
}

static void padding_has_to_be_told(void **state)
{
    const char *model = in_temporary("padded.bin"), *out = in_temporary("padded.onnx");
    (void)state;
    put_model("padded.bin", "\\\"data\\\":{\\\"pad\\\":1}");
    assert_one_line(bnn_run("export", model, "--onnx", "--out", out), 2, "padded.bin: data.background",
                    "is auto");
    put_model("padded.bin", "\\\"data\\\":{\\\"pad\\\":2,\\\"background\\\":0}");
    assert_one_line(bnn_run("export", model, "--onnx", "--out", out), 2, "padded.bin: data.pad: found 2",
                    "4 x 4");
    assert_int_equal(access(out, F_OK), -1);
    put_model("padded.bin", "\\\"data\\\":{\\\"pad\\\":1,\\\"background\\\":0}");
    succeeded(bnn_run("export", model, "--onnx", "--out", out));
}

/* What predict does by the model's configuration and a graph does not. */
static void other_settings_of_the_model_are_told(void **state)
{
    const char *run = in_temporary("averaged"), *out = in_temporary("x.onnx");
    (void)state;
    succeeded(bnn_run("train", in_temporary("config.json"), "--out", run, "--quiet", "--set",
                      "eval.predictive=group-averaged", "--set", "eval.draws=independent"));
    const program_run *done = succeeded(bnn_run("export", run, "--onnx", "--out", out));
    assert_non_null(strstr(done->err, "eval.predictive is group-averaged"));
    done = succeeded(bnn_run("export", run, "--onnx", "--out", out, "--group-average"));
    assert_string_equal(done->err, "");
    done = succeeded(bnn_run("export", run, "--onnx", "--out", out, "--group-average", "--samples", "2"));
    assert_non_null(strstr(done->err, "eval.draws is independent"));
}

static int set_up(void **state)
{
    if (set_up_trainings(state)) return -1;
    put_small_config();
    return bnn_run("train", in_temporary("config.json"), "--out", in_temporary("run"))->code;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_file_holds),         cmocka_unit_test(layers_with_two_inputs),
        cmocka_unit_test(layers_without_an_onnx_form), cmocka_unit_test(what_cannot_be_exported_is_said),
        cmocka_unit_test(padding_has_to_be_told),      cmocka_unit_test(other_settings_of_the_model_are_told),
    };
    return cmocka_run_group_tests(tests, set_up, remove_temporary_directory);
}
