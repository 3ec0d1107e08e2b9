/* safetensors: files of the reference, files spelled out byte by byte, and everything that is refused. */
#include "files.h"

#include "bnn/safetensors.h"

/* Two tensors, the second of them first in the header, and one without data. */
static const char good_header[] = "{\"__metadata__\":{\"format\":\"bnn\",\"config\":\"{}\"},"
                                  "\"b\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[8,16]},"
                                  "\"a\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]},"
                                  "\"none\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[16,16]}}  ";
static const uint8_t good_data[16] = {0, 0, 0x80, 0x3f, 0,    0,    0x20, 0xc0,  /* 1, -2.5 */
                                      0, 0, 0,    0,    0xc0, 0x72, 0x64, 0x40}; /* 163.5859375 */

/* A file of the given header and data; gives back its path. */
static const char *make(const char *header, const void *data, size_t data_size)
{
    static uint8_t bytes[4096];
    const size_t length = strlen(header);
    for (size_t i = 0; i < 8; i++) bytes[i] = (uint8_t)((uint64_t)length >> 8 * i);
    memcpy(bytes + 8, header, length);
    memcpy(bytes + 8 + length, data, data_size);
    return put_file("made.bin", bytes, 8 + length + data_size);
}

static void assert_refused(const char *path, const char *text)
{
    bnn_error error = {0};
    bnn_safetensors *file;
    assert_failure(bnn_safetensors_read(path, &file, &error), BNN_BAD_INPUT, error, path, text);
    assert_null(file);
}

static void reads_a_file_spelled_out(void **state)
{
    bnn_error error;
    bnn_safetensors *file;
    (void)state;
    assert_int_equal(bnn_safetensors_read(make(good_header, good_data, 16), &file, &error), BNN_OK);
    assert_int_equal(file->tensor_count, 3);
    const bnn_tensor *a = bnn_safetensors_find(file, "a"), *b = bnn_safetensors_find(file, "b");
    const bnn_tensor *none = bnn_safetensors_find(file, "none");
    assert_int_equal(a->rank, 2);
    assert_int_equal(a->shape[0], 2);
    assert_int_equal(a->count, 2);
    assert_true(a->data[0] == 1 && a->data[1] == (bnn_real)-2.5);
    assert_true(b->rank == 1 && b->count == 1 && b->data[0] == (bnn_real)163.5859375);
    assert_true(none->rank == 2 && none->count == 0);
    assert_null(bnn_safetensors_find(file, "c"));
    assert_int_equal(file->metadata_count, 2);
    assert_string_equal(bnn_safetensors_metadata(file, "format"), "bnn");
    assert_null(bnn_safetensors_metadata(file, "other"));
    bnn_safetensors_free(file);
    bnn_safetensors_free(NULL);
}

static void reads_the_reference(void **state)
{
    bnn_error error;
    bnn_safetensors *file;
    (void)state;
    assert_int_equal(bnn_safetensors_read(REFERENCE "fcnn/model.bin", &file, &error), BNN_OK);
    assert_int_equal(file->tensor_count, 12);
    assert_non_null(strstr(bnn_safetensors_metadata(file, "config"), "\"group\": \"C4\""));
    const bnn_tensor *rho = bnn_safetensors_find(file, "conv_layers.1.weight_rho");
    const bnn_tensor *mu = bnn_safetensors_find(file, "classifier.weight_mu");
    assert_int_equal(rho->rank, 4);
    assert_int_equal(rho->count, 8 * 4 * 9);
    assert_true(rho->data[0] == (bnn_real)-1.6665700495045648 &&
                rho->data[287] == (bnn_real)-2.8172519754110037);
    assert_true(mu->data[0] == (bnn_real)0.00038396796470900607 &&
                mu->data[39] == (bnn_real)0.45339050053279806);
    bnn_safetensors_free(file);
}

static void writes_what_it_reads(void **state)
{
    static bnn_real x[] = {1, (bnn_real)-2.5, (bnn_real)0.1, 4, 5, 6}, y[] = {7};
    const bnn_tensor tensors[] = {
        {.name = "conv_layers.0.weight_mu", .rank = 2, .shape = {2, 3}, .count = 6, .data = x},
        {.name = "scalar", .rank = 0, .count = 1, .data = y},
        {.name = "empty", .rank = 1, .shape = {0}, .count = 0, .data = y}};
    const char *const metadata[] = {"format", "bnn", "config",
                                    "{\"a\": \"quoted \\\"text\\\"\",\n\t\"b\": [1]}"};
    const char *path = in_temporary("model.bin");
    bnn_error error;
    bnn_safetensors *file;
    (void)state;
    assert_int_equal(bnn_safetensors_write(path, tensors, 3, metadata, 2, &error), BNN_OK);
    assert_int_equal(bnn_safetensors_read(path, &file, &error), BNN_OK);
    assert_int_equal(file->tensor_count, 3);
    for (size_t t = 0; t < 3; t++) {
        const bnn_tensor *found = bnn_safetensors_find(file, tensors[t].name);
        assert_int_equal(found->rank, tensors[t].rank);
        assert_memory_equal(found->shape, tensors[t].shape, sizeof found->shape);
        assert_memory_equal(found->data, tensors[t].data, tensors[t].count * sizeof *x);
    }
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(bnn_safetensors_metadata(file, metadata[2 * i]), metadata[2 * i + 1]);
    bnn_safetensors_free(file);
    assert_failure(bnn_safetensors_write(in_temporary("no/x"), tensors, 3, metadata, 2, &error),
                   BNN_BAD_INPUT, error, "no/x: cannot");
}

/* The bytes of a small file, as the format's description has them. */
static void writes_the_format(void **state)
{
#ifdef BNN_DOUBLE
    static const char header[] = "{\"__metadata__\":{\"k\":\"v\"},\"t\":{\"dtype\":\"F64\",\"shape\":[1,2],"
                                 "\"data_offsets\":[0,16]}}      ";
    static const uint8_t data[] = {0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0x04, 0xc0};
#else
    static const char header[] = "{\"__metadata__\":{\"k\":\"v\"},\"t\":{\"dtype\":\"F32\",\"shape\":[1,2],"
                                 "\"data_offsets\":[0,8]}}       ";
    static const uint8_t data[] = {0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0};
#endif
    static bnn_real values[] = {1, (bnn_real)-2.5};
    const bnn_tensor tensor = {.name = "t", .rank = 2, .shape = {1, 2}, .count = 2, .data = values};
    const char *const metadata[] = {"k", "v"};
    uint8_t bytes[512];
    bnn_error error;
    (void)state;
    const char *path = in_temporary("format.bin");
    assert_int_equal(bnn_safetensors_write(path, &tensor, 1, metadata, 1, &error), BNN_OK);
    assert_int_equal(get_file(path, bytes, sizeof bytes), 8 + (sizeof header - 1) + sizeof data);
    const uint8_t length[8] = {sizeof header - 1};
    assert_int_equal((sizeof header - 1) % 8, 0);
    assert_memory_equal(bytes, length, 8);
    assert_memory_equal(bytes + 8, header, sizeof header - 1);
    assert_memory_equal(bytes + 8 + sizeof header - 1, data, sizeof data);
}

static void refuses_every_truncation(void **state)
{
    uint8_t bytes[1024];
    (void)state;
    const size_t size = get_file(make(good_header, good_data, 16), bytes, sizeof bytes);
    for (size_t length = 0; length < size; length++)
        assert_refused(put_file("cut.bin", bytes, length), length < 8 ? "at least 8" : "found");
    bytes[size] = 0;
    assert_refused(put_file("long.bin", bytes, size + 1), "found 17 bytes of data, expected 16");
}

/* Whatever one byte turns into, the reader answers; the sanitizers watch. */
static void survives_every_changed_byte(void **state)
{
    static const uint8_t values[] = {0, 0xff, '"', '{', '}', '[', ']', ',', '0', '9', '-', '.', '\\', 'e'};
    uint8_t bytes[1024];
    size_t refused = 0;
    (void)state;
    const size_t size = get_file(make(good_header, good_data, 16), bytes, sizeof bytes);
    for (size_t at = 0; at < size; at++) {
        const uint8_t before = bytes[at];
        for (size_t v = 0; v < sizeof values; v++) {
            bnn_error error = {0};
            bnn_safetensors *file;
            bytes[at] = values[v];
            const bnn_status status =
                bnn_safetensors_read(put_file("changed.bin", bytes, size), &file, &error);
            if (status) {
                assert_failure(status, BNN_BAD_INPUT, error, "changed.bin");
                refused++;
            }
            bnn_safetensors_free(file);
        }
        bytes[at] = before;
    }
    assert_true(refused > size);
}

static void refuses_bad_headers(void **state)
{
    static const char *const cases[][2] = {
        {"", "no JSON object"},
        {"[]", "no JSON object"},
        {" {}", "no JSON object"},
        {"{\"a\":}", "no JSON object"},
        {"{} x", "no JSON object"},
        {"{}", "found 8 bytes of data, expected 0"},
        {"{\"a\":1}", "dtype, shape and data_offsets, each once"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", "each once"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"more\":1}}", "each once"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "each once"},
        {"{\"a\":{\"DTYPE\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "each once"},
        {"{\"a\":{\"dtype\":32,\"shape\":[2],\"data_offsets\":[0,8]}}", "a string as its dtype"},
        {"{\"a\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]}}",
         "found dtype I64, expected F32 or F64"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", "a list as its shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", "sizes in its shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2.5],\"data_offsets\":[0,8]}}", "sizes in its shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[\"2\"],\"data_offsets\":[0,8]}}", "sizes in its shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1e400],\"data_offsets\":[0,8]}}", "sizes in its shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[9007199254740992],\"data_offsets\":[0,8]}}",
         "sizes in its shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2147483648,2147483648,4],\"data_offsets\":[0,8]}}",
         "overflows"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2147483648,2147483648,1],\"data_offsets\":[0,8]}}",
         "found 8 bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}",
         "at most 8 dimensions"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", "two offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,8]}}", "two offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", "two offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}",
         "data_offsets 8 and 0 in 8 bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[1,9]}}",
         "data_offsets 1 and 9 in 8 bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}",
         "found 8 bytes of data, expected 3 items of 4"},
        {"{\"a\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[0,8]}}", "expected 2 items of 8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
         "begins at byte 4 of the data, expected 0 (a hole)"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
         "tensor \"b\" begins at byte 4 of the data, expected 8 (tensors overlap)"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[8,8]}}",
         "the header names \"a\" twice"},
        {"{\"__metadata__\":1,\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
         "__metadata__ is no object"},
        {"{\"__metadata__\":{\"k\":1},\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
         "\"k\" is no string"},
        {"{\"__metadata__\":{\"k\":\"1\",\"k\":\"1\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_"
         "offsets\":[0,8]}}",
         "__metadata__ names \"k\" twice"},
    };
    char header[400];
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        assert_refused(make(cases[c][0], good_data, 8), cases[c][1]);
    snprintf(header, sizeof header, "{\"%0200d\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
             0);
    assert_refused(make(header, good_data, 8), "at most 127 bytes");
}

static void refuses_what_is_no_safetensors(void **state)
{
    static const uint8_t huge[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{', '}'};
    static const uint8_t zero_inside[] = {3, 0, 0, 0, 0, 0, 0, 0, '{', '}', 0};
    (void)state;
    assert_refused(put_file("huge.bin", huge, sizeof huge), "found a header of 18446744073709551615 bytes");
    assert_refused(put_file("zero.bin", zero_inside, sizeof zero_inside), "no JSON object");
    assert_refused(put_file("noise.bin", "no header at all", 16), "is no safetensors file");
    assert_refused(REFERENCE "fcnn/images.npy", "is a NumPy array (.npy), expected a model");
    assert_refused(put_file("config.json", "\xef\xbb\xbf \n{\"seed\": 1}", 16),
                   "is a JSON text, expected a model");
    assert_refused(in_temporary("absent.bin"), "No such file");
    assert_refused(temporary_directory, "is a directory");
}

/* Arrays within arrays, far deeper than a stack is. */
static void refuses_deep_nesting(void **state)
{
    enum { DEPTH = 500000 };
    uint8_t *bytes = malloc(8 + DEPTH);
    (void)state;
    for (size_t i = 0; i < 8; i++) bytes[i] = (uint8_t)((uint64_t)DEPTH >> 8 * i);
    memset(bytes + 8, '[', DEPTH);
    memcpy(bytes + 8, "{\"a\":", 5);
    const char *path = put_file("deep.bin", bytes, 8 + DEPTH);
    free(bytes);
    assert_refused(path, "nested deeper than the 500 levels");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_file_spelled_out), cmocka_unit_test(reads_the_reference),
        cmocka_unit_test(writes_what_it_reads),     cmocka_unit_test(writes_the_format),
        cmocka_unit_test(refuses_every_truncation), cmocka_unit_test(survives_every_changed_byte),
        cmocka_unit_test(refuses_bad_headers),      cmocka_unit_test(refuses_what_is_no_safetensors),
        cmocka_unit_test(refuses_deep_nesting),
    };
    return cmocka_run_group_tests(tests, make_temporary_directory, remove_temporary_directory);
}
