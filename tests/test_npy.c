/* .npy files: figures that NumPy wrote, arrays spelled out byte by byte, and everything that is refused. */
#include "files.h"

#include "bnn/npy.h"

static const char plain_header[] = "{'descr': '<u1', 'fortran_order': False, 'shape': (3,), }";

static bnn_npy *parsed(uint8_t version, const char *header, const void *data, size_t data_size)
{
    bnn_error error = {0};
    bnn_npy *array;
    size_t size;
    const uint8_t *bytes = npy_bytes(version, header, data, data_size, &size);
    if (bnn_npy_parse("made", bytes, size, &array, &error)) fail_msg("%s: %s", header, error.message);
    return array;
}

static void assert_header_refused(const char *header, const char *text)
{
    bnn_error error;
    bnn_npy *array;
    size_t size;
    const uint8_t *bytes = npy_bytes(1, header, "\1\2\3", 3, &size);
    assert_failure(bnn_npy_parse("made", bytes, size, &array, &error), BNN_BAD_INPUT, error, "made: ", text);
    assert_null(array);
}

static void reads_what_numpy_wrote(void **state)
{
    static const double labels[] = {3, 4, 0, 2, 4, 3};
    bnn_error error;
    bnn_npy *array;
    (void)state;
    assert_int_equal(bnn_npy_read(REFERENCE "fcnn/images.npy", &array, &error), BNN_OK);
    assert_int_equal(array->rank, 4);
    assert_int_equal(array->shape[0], 6);
    assert_int_equal(array->shape[1], 1);
    assert_int_equal(array->shape[3], 12);
    assert_int_equal(array->count, 864);
    assert_int_equal(array->kind, 'f');
    assert_true(array->data[0] == 0.3141238192889012 && array->data[2] == 2.055859062556174);
    assert_true(array->data[863] == 0.8576156709125912);
    bnn_npy_free(array);
    assert_int_equal(bnn_npy_read(REFERENCE "fcnn/labels.npy", &array, &error), BNN_OK);
    assert_int_equal(array->kind, 'i');
    assert_int_equal(array->width, 8);
    assert_memory_equal(array->data, labels, sizeof labels);
    bnn_npy_free(array);
    bnn_npy_free(NULL);
}

/* Every type, in both byte orders, with items at the ends of their ranges. */
static void reads_every_type(void **state)
{
    static const struct {
        const char *type;
        size_t width;
        uint8_t bytes[8]; /* big-endian */
        double value;
    } cases[] = {
        {"f2", 2, {0x3c, 0x00}, 1},
        {"f2", 2, {0xc0, 0x00}, -2},
        {"f2", 2, {0x7b, 0xff}, 65504},
        {"f2", 2, {0x00, 0x01}, 0x1p-24},
        {"f2", 2, {0x03, 0xff}, 1023 * 0x1p-24},
        {"f2", 2, {0x04, 0x00}, 0x1p-14},
        {"f2", 2, {0x35, 0x55}, 1365 * 0x1p-12},
        {"f2", 2, {0xfc, 0x00}, -INFINITY},
        {"f2", 2, {0x7e, 0x00}, NAN},
        {"f4", 4, {0xc0, 0x49, 0x0f, 0xdb}, -3.1415927410125732},
        {"f4", 4, {0x00, 0x00, 0x00, 0x01}, 0x1p-149},
        {"f4", 4, {0x7f, 0x80, 0x00, 0x00}, INFINITY},
        {"f8", 8, {0x40, 0x09, 0x21, 0xfb, 0x54, 0x44, 0x2d, 0x18}, 3.141592653589793},
        {"i1", 1, {0x80}, -128},
        {"i1", 1, {0x7f}, 127},
        {"i2", 2, {0xff, 0xfe}, -2},
        {"i4", 4, {0x80, 0x00, 0x00, 0x00}, -2147483648.0},
        {"i8", 8, {0x80, 0, 0, 0, 0, 0, 0, 0}, -0x1p63},
        {"i8", 8, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, -1},
        {"i8", 8, {0x00, 0, 0, 0, 0, 0, 1, 2}, 258},
        {"u1", 1, {0xff}, 255},
        {"u2", 2, {0xff, 0xfe}, 65534},
        {"u4", 4, {0xff, 0xff, 0xff, 0xff}, 4294967295.0},
        {"u8", 8, {0x80, 0, 0, 0, 0, 0, 0, 0}, 0x1p63},
        {"b1", 1, {1}, 1},
        {"b1", 1, {0}, 0},
    };
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (int big = 0; big < 2; big++) {
            char header[100];
            uint8_t item[8];
            const size_t width = cases[c].width;
            for (size_t i = 0; i < width; i++) item[i] = cases[c].bytes[big ? i : width - 1 - i];
            snprintf(header, sizeof header, "{'descr': '%c%s', 'fortran_order': False, 'shape': (1,), }",
                     big ? '>' : '<', cases[c].type);
            bnn_npy *array = parsed(1, header, item, width);
            assert_int_equal(array->kind, cases[c].type[0]);
            assert_int_equal(array->width, width);
            if (!(array->data[0] == cases[c].value || (isnan(array->data[0]) && isnan(cases[c].value))))
                fail_msg("%s: found %g, expected %g", header, array->data[0], cases[c].value);
            bnn_npy_free(array);
        }
    }
}

static void tolerates_order_and_spacing(void **state)
{
    static const char *const headers[] = {
        plain_header,
        "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }                   \n",
        "{\"shape\":(3,),\"descr\":\"<u1\",\"fortran_order\":False}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (3L,), }", /* Python 2 */
        "{'descr': '|u1', 'fortran_order': True, 'shape': (3,), }", /* order means nothing in one dimension */
        "  {  'fortran_order' : False ,\n 'shape' : ( 3 , ) , 'descr' : '>u1' }  \n",
    };
    (void)state;
    for (size_t h = 0; h < sizeof headers / sizeof *headers; h++) {
        for (uint8_t version = 1; version <= 3; version++) {
            bnn_npy *array = parsed(version, headers[h], "\1\2\3", 3);
            assert_int_equal(array->rank, 1);
            assert_int_equal(array->count, 3);
            assert_true(array->data[0] == 1 && array->data[1] == 2 && array->data[2] == 3);
            bnn_npy_free(array);
        }
    }
}

static void reads_every_rank(void **state)
{
    (void)state;
    bnn_npy *array = parsed(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (), }", "\7", 1);
    assert_int_equal(array->rank, 0);
    assert_int_equal(array->count, 1);
    assert_true(array->data[0] == 7);
    bnn_npy_free(array);
    array = parsed(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 0, 3), }", "", 0);
    assert_int_equal(array->rank, 3);
    assert_int_equal(array->count, 0);
    bnn_npy_free(array);
    array = parsed(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 2,), }",
                   "\7\10", 2);
    assert_int_equal(array->rank, 8);
    assert_int_equal(array->shape[7], 2);
    bnn_npy_free(array);
}

/* In Fortran order the first index runs fastest: item (i, j, k, ...) of shape (n0, n1, ...) lies at i + n0 (j + n1 (k + ...)).
 * Every rank, the item's value being its place in the file. */
static void reads_fortran_order_of_every_rank(void **state)
{
    static const size_t sizes[] = {2, 3, 1, 4, 2, 1, 2, 2};
    uint8_t data[192];
    (void)state;
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)i;
    for (size_t rank = 0; rank <= 8; rank++) {
        char header[200], shape[100] = "";
        size_t count = 1;
        for (size_t d = 0; d < rank; d++) {
            count *= sizes[d];
            snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%zu, ", sizes[d]);
        }
        snprintf(header, sizeof header, "{'descr': '|u1', 'fortran_order': True, 'shape': (%s), }", shape);
        bnn_npy *array = parsed(1, header, data, count);
        assert_int_equal(array->count, count);
        for (size_t flat = 0; flat < count; flat++) {
            size_t rest = flat, place = 0, index[8];
            for (size_t d = rank; d-- > 0; rest /= sizes[d]) index[d] = rest % sizes[d];
            for (size_t d = rank; d-- > 0;) place = place * sizes[d] + index[d];
            assert_true(array->data[flat] == (double)place);
        }
        bnn_npy_free(array);
    }
}

static void refuses_bad_headers(void **state)
{
    static const char *const cases[][2] = {
        {"{'descr': '<u1', 'fortran_order': Truth, 'shape': (3,), }", "False or True"},
        {"{'descr': '<u1', 'fortran_order': Trueish, 'shape': (3,), }", "a comma or }"},
        {"{'descr': '<u1', 'fortran_order': False, 'shape': (3LL,), }", "a comma"},
        {"{'descr': '<u1', 'fortran_order': False, 'shape': (L,), }", "a size"},
        {"{'descr': '<u1', 'fortran_order': 0, 'shape': (3,), }", "at character 34, expected False or True"},
        {"{'descr': '<u1', 'fortran_order': False, 'shape': (4,), }",
         "found 3 bytes of data, expected (4,) items of 1"},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (3,), }", "expected (3,) items of 2"},
        {"{'descr': '<u1', 'fortran_order': False, 'shape': (2,), }", "expected (2,) items of 1"},
        {"{'descr': '<u8', 'fortran_order': False, 'shape': (2305843009213693952,), }", "found 3 bytes"},
        {"{'descr': '<u1', 'fortran_order': False, 'shape': (4294967296, 4294967296, 3), }", "found 3 bytes"},
        {"{'descr': '<u1', 'fortran_order': False, 'shape': (99999999999999999999,), }",
         "a size that a machine"},
        {"{'descr': '<u1', 'fortran_order': False, 'shape': (-3,), }", "a size"},
        {"{'descr': '<u1', 'fortran_order': False, 'shape': (3), }", "a comma"},
        {"{'descr': '<u1', 'fortran_order': False, 'shape': 3, }", "a tuple"},
        {"{'descr': '<u1', 'fortran_order': False, 'shape': (3,, }", "a size"},
        {"{'descr': '<u1', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,3), }", "at most 8 dimensions"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (3,), }", "items of type '<c8'"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (3,), }", "items of type '|O'"},
        {"{'descr': '|u2', 'fortran_order': False, 'shape': (3,), }", "items of type '|u2'"},
        {"{'descr': '', 'fortran_order': False, 'shape': (3,), }", "items of type ''"},
        {"{'descr': '<f16', 'fortran_order': False, 'shape': (3,), }", "items of type '<f16'"},
        {"{'descr': [('a', '<u1')], 'fortran_order': False, 'shape': (3,), }", "structured"},
        {"{'descr': '<u1', 'descr': '<u1', 'fortran_order': False, 'shape': (3,), }", "once"},
        {"{'descr': '<u1', 'fortran_order': False}", "once"},
        {"{'descr': '<u1', 'fortran_order': False, 'shape': (3,), 'more': 1}", "once"},
        {"{'descr': '<u1', 'fortran_order': False, 'shape': (3,), } x", "the end of the header"},
        {"{'descr': '<u1' 'fortran_order': False, 'shape': (3,), }", "a comma or }"},
        {"{'descr' '<u1', 'fortran_order': False, 'shape': (3,), }", "a colon"},
        {"{'descr': '<u1", "the end of a short string"},
        {"{'a key far longer than any that there is': 1}", "the end of a short string"},
        {"['descr']", "{"},
        {"", "{"},
        {"{", "a string in quotes"},
    };
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) assert_header_refused(cases[c][0], cases[c][1]);
}

/* A header cut at every length, and a whole file cut at every length. */
static void refuses_every_truncation(void **state)
{
    bnn_error error;
    bnn_npy *array;
    size_t size;
    (void)state;
    for (size_t length = 0; length < sizeof plain_header - 1; length++) {
        char header[sizeof plain_header];
        snprintf(header, sizeof header, "%.*s", (int)length, plain_header);
        assert_header_refused(header, "header");
    }
    for (uint8_t version = 1; version <= 2; version++) {
        const uint8_t *bytes = npy_bytes(version, plain_header, "\1\2\3", 3, &size);
        for (size_t length = 0; length < size; length++) {
            uint8_t *exact = malloc(length + 1); /* so that the sanitizer sees a read past the end */
            memcpy(exact, bytes, length);
            const char *path = put_file("cut.npy", exact, length);
            assert_failure(bnn_npy_read(path, &array, &error), BNN_BAD_INPUT, error, path);
            exact = realloc(exact, length ? length : 1);
            assert_failure(bnn_npy_parse("cut", exact, length, &array, &error), BNN_BAD_INPUT, error, "cut");
            free(exact);
        }
    }
}

static void refuses_what_is_no_npy(void **state)
{
    bnn_error error;
    bnn_npy *array;
    size_t size;
    (void)state;
    assert_failure(bnn_npy_parse("zip", (const uint8_t *)"PK\3\4........", 12, &array, &error), BNN_BAD_INPUT,
                   error, "zip: is no .npy file");
    const uint8_t *bytes = npy_bytes(4, plain_header, "\1\2\3", 3, &size);
    assert_failure(bnn_npy_parse("new", bytes, size, &array, &error), BNN_BAD_INPUT, error,
                   "found .npy version 4.0");
    assert_failure(bnn_npy_read(in_temporary("none.npy"), &array, &error), BNN_BAD_INPUT, error,
                   "none.npy: cannot open");
    assert_failure(bnn_npy_read(temporary_directory, &array, &error), BNN_BAD_INPUT, error, "is a directory");
}

static void writes_what_it_reads(void **state)
{
    static const double values[] = {0, -1.5, 3.141592653589793, 1e-300, -0.0, 12345678.9};
    static const size_t shape[] = {2, 1, 3};
    bnn_error error;
    bnn_npy *array;
    (void)state;
    for (size_t width = 4; width <= 8; width += 4) {
        const char *path = in_temporary("written.npy");
        assert_int_equal(bnn_npy_write(path, values, 3, shape, width, &error), BNN_OK);
        assert_int_equal(bnn_npy_read(path, &array, &error), BNN_OK);
        assert_int_equal(array->rank, 3);
        assert_memory_equal(array->shape, shape, sizeof shape);
        assert_int_equal(array->width, width);
        for (size_t i = 0; i < 6; i++)
            assert_true(array->data[i] == (width == 8 ? values[i] : (double)(float)values[i]));
        bnn_npy_free(array);
    }
    assert_failure(bnn_npy_write(in_temporary("x"), values, 3, shape, 2, &error), BNN_FAILED, error,
                   "2-byte");
    assert_failure(bnn_npy_write(in_temporary("no/x"), values, 3, shape, 8, &error), BNN_BAD_INPUT, error,
                   "no/x");
}

/* A file that numpy.save wrote, written again from its values: the same bytes. */
static void writes_the_bytes_that_numpy_writes(void **state)
{
    uint8_t expected[8192], found[8192];
    bnn_error error;
    bnn_npy *array;
    const char *path = in_temporary("again.npy");
    (void)state;
    assert_int_equal(bnn_npy_read(REFERENCE "fcnn/images.npy", &array, &error), BNN_OK);
    assert_int_equal(bnn_npy_write(path, array->data, array->rank, array->shape, 8, &error), BNN_OK);
    const size_t size = get_file(REFERENCE "fcnn/images.npy", expected, sizeof expected);
    assert_int_equal(get_file(path, found, sizeof found), size);
    assert_memory_equal(found, expected, size);
    bnn_npy_free(array);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_numpy_wrote),
        cmocka_unit_test(reads_every_type),
        cmocka_unit_test(tolerates_order_and_spacing),
        cmocka_unit_test(reads_every_rank),
        cmocka_unit_test(reads_fortran_order_of_every_rank),
        cmocka_unit_test(refuses_bad_headers),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(refuses_what_is_no_npy),
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(writes_the_bytes_that_numpy_writes),
    };
    return cmocka_run_group_tests(tests, make_temporary_directory, remove_temporary_directory);
}
