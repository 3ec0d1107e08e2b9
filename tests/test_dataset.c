/* Data sets: FashionMNIST against facts counted apart, small files spelled out, everything that is refused.
 */
#include <fcntl.h>

#include "files.h"

#include "bnn/dataset.h"
#include "bnn/npy.h"
#include "data/source.h"

/* Two images of 2 x 3 and their labels, as IDX. */
static const uint8_t idx_images[] = {0, 0, 8, 3,   0,  0,   0,   2,   0, 0, 0, 2, 0, 0,
                                     0, 3, 0, 255, 51, 102, 153, 204, 1, 2, 3, 4, 5, 6};
static const uint8_t idx_labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 7, 3};

/* What Python's gzip.compress(..., mtime=0) makes of the labels. */
static const uint8_t idx_labels_gz[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03,
                                        0x63, 0x60, 0xe0, 0x60, 0x64, 0x60, 0x60, 0x60, 0x62, 0x67,
                                        0x06, 0x00, 0x64, 0x6b, 0xd4, 0x43, 0x0a, 0x00, 0x00, 0x00};

static bnn_dataset *loaded_with(const char *images, const char *labels, const bnn_data_options *options)
{
    bnn_error error = {0};
    bnn_dataset *dataset;
    if (bnn_dataset_read(images, labels, options, &dataset, &error)) fail_msg("%s", error.message);
    return dataset;
}

static bnn_dataset *loaded(const char *images, const char *labels, size_t classes)
{
    return loaded_with(images, labels, &(bnn_data_options){.classes = classes, .background = NAN});
}

static void assert_read_fails(const char *images, const char *labels, size_t classes, const char *who,
                              const char *text)
{
    bnn_error error;
    bnn_dataset *dataset;
    const bnn_data_options options = {.classes = classes, .background = NAN};
    assert_failure(bnn_dataset_read(images, labels, &options, &dataset, &error), BNN_BAD_INPUT, error, who,
                   text);
    assert_null(dataset);
}

static const char *put_npy(const char *name, const char *type, const char *shape, const void *data,
                           size_t data_size)
{
    char header[200];
    size_t size;
    snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", type, shape);
    const uint8_t *bytes = npy_bytes(1, header, data, data_size, &size);
    return put_file(name, bytes, size);
}

static bnn_real scaled(int x)
{
    return (bnn_real)((x / 255.0 - 0.5) / 0.5);
}

static void loads_fashion_mnist(void **state)
{
    static const struct {
        bnn_split split;
        size_t count;
        uint32_t labels[10];
        double pixel_sum;
        int row[10]; /* image 5, row 14, columns 10 to 19 */
    } facts[] = {
        {BNN_TRAIN,
         60000,
         {9, 0, 0, 3, 0, 2, 7, 2, 5, 5},
         3431114169.0,
         {184, 187, 184, 186, 184, 185, 183, 192, 191, 200}},
        {BNN_TEST,
         10000,
         {9, 2, 1, 1, 6, 1, 4, 6, 5, 7},
         573469082.0,
         {175, 246, 70, 0, 2, 0, 177, 204, 121, 145}},
    };
    const bnn_data_paths paths = {.name = "fashion-mnist"};
    (void)state;
    for (size_t f = 0; f < 2; f++) {
        bnn_error error = {0};
        bnn_dataset *d;
        size_t counts[10] = {0};
        double sum = 0;
        if (bnn_dataset_load(&paths, facts[f].split, NULL, &d, &error)) fail_msg("%s", error.message);
        assert_int_equal(d->count, facts[f].count);
        assert_true(d->channels == 1 && d->height == 28 && d->width == 28 && d->classes == 10 &&
                    d->background == -1 && d->scaled && d->pixels.least == -1 && d->pixels.most == 1);
        assert_string_equal(d->type, "uint8");
        for (size_t i = 0; i < d->count; i++) counts[d->labels[i]]++;
        for (size_t c = 0; c < 10; c++) assert_int_equal(counts[c], facts[f].count / 10);
        assert_memory_equal(d->labels, facts[f].labels, sizeof facts[f].labels);
        for (size_t x = 0; x < 10; x++)
            assert_true(d->images[5 * 784 + 14 * 28 + 10 + x] == scaled(facts[f].row[x]));
        for (size_t i = 0; i < d->count * 784; i++) sum += round(((double)d->images[i] * 0.5 + 0.5) * 255);
        assert_true(sum == facts[f].pixel_sum);
        bnn_dataset_free(d);
    }
}

static void reads_idx(void **state)
{
    (void)state;
    const char *images = put_file("images", idx_images, sizeof idx_images);
    bnn_dataset *d = loaded(images, put_file("labels", idx_labels, sizeof idx_labels), 0);
    assert_true(d->count == 2 && d->channels == 1 && d->height == 2 && d->width == 3 && d->classes == 8);
    assert_true(d->background == -1 && d->images[0] == -1 && d->images[1] == 1);
    for (size_t i = 0; i < 12; i++) assert_true(d->images[i] == scaled(idx_images[16 + i]));
    assert_true(d->labels[0] == 7 && d->labels[1] == 3);
    bnn_dataset_free(d);
    d = loaded(images, put_file("labels.gz", idx_labels_gz, sizeof idx_labels_gz), 10);
    assert_true(d->classes == 10 && d->labels[0] == 7 && d->labels[1] == 3);
    bnn_dataset_free(d);
    d = loaded(images, NULL, 0);
    assert_true(d->classes == 0 && d->labels == NULL);
    bnn_dataset_free(d);
    bnn_dataset_free(NULL);
}

static void reads_idx_floats(void **state)
{
    static const uint8_t singles[] = {0, 0, 0x0d, 3, 0,    0,    0, 1, 0,    0,    0, 1,
                                      0, 0, 0,    2, 0xc0, 0x20, 0, 0, 0x3f, 0x80, 0, 0};
    static const uint8_t doubles[] = {0, 0, 0x0e, 3, 0,    0,    0,    1,    0, 0, 0, 1,
                                      0, 0, 0,    1, 0x40, 0x64, 0x72, 0xc0, 0, 0, 0, 0};
    (void)state;
    bnn_dataset *d = loaded(put_file("singles", singles, sizeof singles), NULL, 0);
    assert_true(d->count == 1 && d->width == 2 && d->background == (bnn_real)-2.5 && !d->scaled);
    assert_true(d->pixels.least == -2.5 && d->pixels.most == 1);
    assert_string_equal(d->type, "float32");
    assert_true(d->images[0] == (bnn_real)-2.5 && d->images[1] == 1);
    bnn_dataset_free(d);
    d = loaded(put_file("doubles", doubles, sizeof doubles), NULL, 0);
    assert_true(d->images[0] == (bnn_real)163.5859375);
    bnn_dataset_free(d);
}

static void reads_npy_of_the_reference(void **state)
{
    static const uint32_t labels[] = {3, 4, 0, 2, 4, 3};
    (void)state;
    bnn_dataset *d = loaded(REFERENCE "fcnn/images.npy", REFERENCE "fcnn/labels.npy", 5);
    assert_true(d->count == 6 && d->channels == 1 && d->height == 12 && d->width == 12 && d->classes == 5);
    assert_true(d->images[0] == (bnn_real)0.3141238192889012);
    assert_true(d->images[863] == (bnn_real)0.8576156709125912);
    assert_memory_equal(d->labels, labels, sizeof labels);
    bnn_dataset_free(d);
}

/* d is what the bytes `pixels` give as (N,C,H,W) or, `last`, as (N,H,W,C). */
static void assert_images(const bnn_dataset *d, const uint8_t *pixels, bool last)
{
    const size_t n = d->count, c = d->channels, h = d->height, w = d->width;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < c; j++)
            for (size_t y = 0; y < h; y++)
                for (size_t x = 0; x < w; x++) {
                    const size_t at = last ? ((i * h + y) * w + x) * c + j : ((i * c + j) * h + y) * w + x;
                    assert_true(d->images[((i * c + j) * h + y) * w + x] == scaled(pixels[at]));
                }
}

/* Every arrangement of axes against the item that its index says: with nothing known, then with the model's input, and
 * with that of a model that pads. */
static void finds_the_axes_of_npy(void **state)
{
    static const struct {
        const char *shape;
        size_t input[3], pad;
        size_t count, channels, height, width;
        bool last;
    } cases[] = {{"(2, 3, 4)", {0}, 0, 2, 1, 3, 4, false},
                 {"(2, 3, 5, 4)", {0}, 0, 2, 3, 5, 4, false}, /* 1, 3 and 4 channels, first or last */
                 {"(2, 3, 5, 3)", {0}, 0, 2, 3, 5, 3, false},
                 {"(2, 5, 6, 3)", {0}, 0, 2, 3, 5, 6, true},
                 {"(2, 5, 6, 1)", {0}, 0, 2, 1, 5, 6, true},
                 {"(2, 5, 6, 4)", {0}, 0, 2, 4, 5, 6, true},
                 {"(3, 1, 7, 7)", {0}, 0, 3, 1, 7, 7, false},
                 {"(2, 2, 8, 8)", {0}, 0, 2, 2, 8, 8, false}, /* square images */
                 {"(1, 10, 5, 5)", {0}, 0, 1, 10, 5, 5, false},
                 {"(1, 8, 8, 2)", {0}, 0, 1, 2, 8, 8, true},
                 {"(1, 6, 2, 5)", {0}, 0, 1, 5, 6, 2, true}, /* fewer channels */
                 {"(1, 5, 2, 6)", {0}, 0, 1, 5, 2, 6, false},
                 {"(1, 5, 2, 5)", {0}, 0, 1, 5, 2, 5, false}, /* as many */
                 {"(1, 2, 8, 8)", {8, 2, 8}, 0, 1, 8, 2, 8, true},
                 {"(1, 2, 8, 8)", {2, 8, 8}, 0, 1, 2, 8, 8, false},
                 {"(2, 3, 5, 4)", {4, 3, 5}, 0, 2, 4, 3, 5, true},
                 {"(1, 2, 8, 8)", {8, 6, 12}, 2, 1, 8, 2, 8, true},
                 {"(1, 2, 8, 8)", {2, 12, 12}, 2, 1, 2, 8, 8, false},
                 {"(1, 2, 8, 8)", {8, 2, 8}, 2, 1, 8, 2, 8, true}, /* padded already */
                 {"(1, 5, 5, 5)", {5, 5, 5}, 0, 1, 5, 5, 5, false},
                 {"(1, 2, 8, 8)", {1, 28, 28}, 0, 1, 2, 8, 8, false}}; /* neither fits */
    uint8_t pixels[256];
    (void)state;
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 37);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const size_t n = cases[k].count, c = cases[k].channels, h = cases[k].height, w = cases[k].width;
        bnn_data_options options = {.pad = cases[k].pad, .background = NAN};
        memcpy(options.input, cases[k].input, sizeof options.input);
        bnn_dataset *d =
            loaded_with(put_npy("axes.npy", "|u1", cases[k].shape, pixels, n * c * h * w), NULL, &options);
        if (d->count != n || d->channels != c || d->height != h || d->width != w)
            fail_msg("%s: found %zu x %zu x %zu x %zu", cases[k].shape, d->count, d->channels, d->height,
                     d->width);
        assert_images(d, pixels, cases[k].last);
        bnn_dataset_free(d);
    }
}

/* The same images in C and in Fortran order, channels first and last. */
static void fortran_order_is_the_same_images(void **state)
{
    static const size_t shapes[2][4] = {{2, 3, 5, 4}, {2, 5, 4, 3}};
    uint8_t pixels[120], turned[120];
    char header[200];
    size_t size;
    (void)state;
    for (size_t i = 0; i < 120; i++) pixels[i] = (uint8_t)(i * 2);
    for (size_t last = 0; last < 2; last++) {
        const size_t *n = shapes[last];
        for (size_t i = 0; i < 120; i++) {
            const size_t a = i / (n[1] * n[2] * n[3]), b = i / (n[2] * n[3]) % n[1], c = i / n[3] % n[2],
                         d = i % n[3];
            turned[((d * n[2] + c) * n[1] + b) * n[0] + a] = pixels[i];
        }
        snprintf(header, sizeof header,
                 "{'descr': '|u1', 'fortran_order': True, 'shape': (%zu, %zu, %zu, %zu), }", n[0], n[1], n[2],
                 n[3]);
        const uint8_t *bytes = npy_bytes(1, header, turned, sizeof turned, &size);
        bnn_dataset *d = loaded(put_file("turned.npy", bytes, size), NULL, 0);
        assert_true(d->count == 2 && d->channels == 3 && d->height == 5 && d->width == 4);
        assert_images(d, pixels, last);
        bnn_dataset_free(d);
    }
}

/* Only uint8 is scaled, and not that under scale none. */
static void takes_other_numbers_as_they_are(void **state)
{
    static const int8_t spins[] = {-1, 1, 1, -1};
    static const int64_t wide[] = {-1, 1, 1000000, 0};
    static const uint16_t words[] = {0, 1, 65535, 2}, halves[] = {0x3800, 0xbc00, 0, 0x3c00};
    static const double doubles[] = {0.25, -2.5, 7, 0};
    static const uint8_t flags[] = {0, 1, 1, 0}, bytes[] = {0, 1, 255, 7};
    static const struct {
        const char *descr, *type;
        const void *data;
        size_t width;
        bnn_scale scale;
        double values[4];
    } cases[] = {{"|i1", "int8", spins, 1, BNN_SCALE_AUTO, {-1, 1, 1, -1}},
                 {"<i8", "int64", wide, 8, BNN_SCALE_AUTO, {-1, 1, 1000000, 0}},
                 {"<u2", "uint16", words, 2, BNN_SCALE_AUTO, {0, 1, 65535, 2}},
                 {"<f2", "float16", halves, 2, BNN_SCALE_AUTO, {0.5, -1, 0, 1}},
                 {"<f8", "float64", doubles, 8, BNN_SCALE_AUTO, {0.25, -2.5, 7, 0}},
                 {"|b1", "bool", flags, 1, BNN_SCALE_AUTO, {0, 1, 1, 0}},
                 {"|u1", "uint8", bytes, 1, BNN_SCALE_NONE, {0, 1, 255, 7}}};
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const bnn_data_options options = {.scale = cases[k].scale, .background = NAN};
        double least = INFINITY, most = -INFINITY;
        bnn_dataset *d = loaded_with(
            put_npy("x.npy", cases[k].descr, "(1, 2, 2)", cases[k].data, 4 * cases[k].width), NULL, &options);
        for (size_t i = 0; i < 4; i++) {
            assert_true(d->images[i] == (bnn_real)cases[k].values[i]);
            least = fmin(least, cases[k].values[i]), most = fmax(most, cases[k].values[i]);
        }
        assert_true(d->pixels.least == least && d->pixels.most == most && d->background == (bnn_real)least);
        assert_string_equal(d->type, cases[k].type);
        assert_false(d->scaled);
        bnn_dataset_free(d);
    }
    const bnn_data_options given = {.background = 0.5};
    bnn_dataset *d = loaded_with(put_npy("x.npy", "|u1", "(1, 2, 2)", bytes, 4), NULL, &given);
    assert_true(d->background == (bnn_real)0.5 && d->pixels.least == -1 && d->scaled);
    bnn_dataset_free(d);
}

/* Arrays one after the other, as CIFAR's files are: every one has its own range, and all have one shape. */
static void joins_arrays(void **state)
{
    static const uint8_t pixels[] = {9, 8, 7, 6, 5, 4}, labels[] = {1, 9, 0, 9, 3}; /* every other */
    bnn_array images[2] = {{.name = "a",
                            .rank = 3,
                            .shape = {2, 1, 2},
                            .stride = {2, 2, 1},
                            .count = 4,
                            .kind = 'i',
                            .width = 1,
                            .items = pixels},
                           {.name = "b",
                            .rank = 4,
                            .shape = {1, 1, 1, 2},
                            .stride = {2, 2, 2, 1},
                            .count = 2,
                            .kind = 'i',
                            .width = 1,
                            .items = pixels + 4}};
    const bnn_array names[2] = {{.name = "l",
                                 .rank = 1,
                                 .shape = {2},
                                 .stride = {2},
                                 .count = 2,
                                 .kind = 'u',
                                 .width = 1,
                                 .items = labels},
                                {.name = "m",
                                 .rank = 1,
                                 .shape = {1},
                                 .stride = {1},
                                 .count = 1,
                                 .kind = 'u',
                                 .width = 1,
                                 .items = labels + 4}};
    bnn_error error = {0};
    bnn_dataset *d;
    (void)state;
    assert_int_equal(bnn_dataset_from_arrays(images, names, 2, NULL, &d, &error), BNN_OK);
    assert_true(d->count == 3 && d->channels == 1 && d->height == 1 && d->width == 2 && d->classes == 4);
    assert_true(d->pixels.least == 4 && d->pixels.most == 9 && d->background == 4);
    for (size_t i = 0; i < 6; i++) assert_true(d->images[i] == 9 - (bnn_real)i);
    for (size_t i = 0; i < 3; i++) assert_int_equal(d->labels[i], labels[2 * i]);
    bnn_dataset_free(d);
    images[1].shape[2] = 2, images[1].shape[3] = 1;
    assert_failure(bnn_dataset_from_arrays(images, NULL, 2, NULL, &d, &error), BNN_BAD_INPUT, error,
                   "b: found images of 1 x 2 x 1 (C x H x W), expected 1 x 1 x 2");
    assert_null(d);
}

static void reads_labels_of_every_kind(void **state)
{
    static const float floats[] = {2, 0};
    static const int64_t integers[] = {2, 0};
    (void)state;
    const char *images = put_file("images", idx_images, sizeof idx_images);
    const char *const labels[] = {put_npy("f.npy", "<f4", "(2,)", floats, sizeof floats),
                                  put_npy("i.npy", "<i8", "(2, 1)", integers, sizeof integers),
                                  put_npy("u.npy", "|u1", "(2,)", "\2\0", 2)};
    for (size_t i = 0; i < 3; i++) {
        bnn_dataset *d = loaded(images, labels[i], 0);
        assert_true(d->classes == 3 && d->labels[0] == 2 && d->labels[1] == 0);
        bnn_dataset_free(d);
    }
}

static void reads_labels_alone(void **state)
{
    static const int64_t integers[] = {2, 0, 1};
    bnn_error error = {0};
    uint32_t *labels;
    (void)state;
    const char *path = put_npy("i.npy", "<i8", "(3, 1)", integers, sizeof integers);
    assert_int_equal(bnn_labels_read(path, 3, 3, &labels, &error), BNN_OK);
    assert_true(labels[0] == 2 && labels[1] == 0 && labels[2] == 1);
    free(labels);
    assert_failure(bnn_labels_read(path, 3, 2, &labels, &error), BNN_BAD_INPUT, error,
                   "i.npy: label 0 is 2, expected an integer in 0..1");
    assert_null(labels);
    assert_failure(bnn_labels_read(path, 4, 0, &labels, &error), BNN_BAD_INPUT, error,
                   "found 3 labels, expected 4");
    path = put_npy("wide.npy", "|u1", "(2, 2)", "\1\2\3\4", 4);
    assert_failure(bnn_labels_read(path, 4, 0, &labels, &error), BNN_BAD_INPUT, error,
                   "wide.npy: found an array of shape (2, 2), expected labels (N) or (N,1)");
    assert_failure(bnn_labels_read(in_temporary("absent"), 4, 0, &labels, &error), BNN_BAD_INPUT, error,
                   "absent");
}

static void refuses_every_truncation_of_idx(void **state)
{
    (void)state;
    const char *images = put_file("images", idx_images, sizeof idx_images);
    for (size_t length = 0; length < sizeof idx_images; length++)
        assert_read_fails(put_file("cut", idx_images, length), NULL, 0, "cut: ", "");
    for (size_t length = 0; length < sizeof idx_labels; length++)
        assert_read_fails(images, put_file("cut", idx_labels, length), 0, "cut: ", "");
    for (size_t length = 2; length < sizeof idx_labels_gz; length++)
        assert_read_fails(images, put_file("cut", idx_labels_gz, length), 0, "cut: ", "truncated");
}

static void refuses_bad_idx(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        const char *text;
    } cases[] = {{0, 1, "is of no known format by its first bytes, expected one of IDX, .npy"},
                 {2, 0x0a, "found IDX type 0x0a"},
                 {2, 0x0b, "expected (2, 2, 3) items of 2 bytes"},
                 {3, 0, "found 0 IDX dimensions"},
                 {3, 9, "found 9 IDX dimensions"},
                 {3, 2, "found 16 bytes of data, expected (2, 2) items"},
                 {7, 3, "found 12 bytes of data, expected (3, 2, 3) items of 1 bytes"},
                 {4, 0xff, "expected (4278190082, 2, 3) items"},
                 {7, 1, "expected (1, 2, 3) items"}};
    uint8_t bytes[sizeof idx_images + 1];
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        memcpy(bytes, idx_images, sizeof idx_images);
        bytes[cases[c].at] = cases[c].value;
        assert_read_fails(put_file("bad", bytes, sizeof idx_images), NULL, 0, "bad: ", cases[c].text);
    }
    /* Sizes whose product is 0 modulo 2^64. */
    uint8_t wide[4 + 8 * 4] = {0, 0, 8, 8};
    for (size_t d = 0; d < 8; d++) wide[4 + 4 * d] = 0x80;
    assert_read_fails(put_file("bad", wide, sizeof wide), NULL, 0,
                      "bad: ", "found 0 bytes of data, expected (2147483648,");
}

static void refuses_bad_images(void **state)
{
    static const float floats[] = {1, 2, 3, INFINITY, 5, 6, 7, 8};
    static const float nan[] = {1, NAN};
    static const double large[] = {1e300};
    (void)state;
    assert_read_fails(put_npy("inf.npy", "<f4", "(2, 2, 2)", floats, 32), NULL, 0, "inf.npy",
                      "image 0, channel 0, row 1, column 1 is inf, expected a finite");
    assert_read_fails(put_npy("nan.npy", "<f4", "(2, 1, 1)", nan, 8), NULL, 0, "nan.npy",
                      "image 1, channel 0, row 0");
    if (sizeof(bnn_real) == 4)
        assert_read_fails(put_npy("large.npy", "<f8", "(1, 1, 1)", large, 8), NULL, 0, "large.npy",
                          "is 1e+300");
    assert_read_fails(put_npy("flat.npy", "|u1", "(2, 4)", floats, 8), NULL, 0, "flat.npy",
                      "found an array of shape (2, 4)");
    assert_read_fails(
        put_npy("five.npy", "|u1", "(1, 2, 2, 2, 1)", floats, 8), NULL, 0, "five.npy",
        "found an array of shape (1, 2, 2, 2, 1), expected images (N,H,W), (N,C,H,W) or (N,H,W,C)");
    assert_read_fails(put_npy("none.npy", "|u1", "(0, 2, 2)", floats, 0), NULL, 0, "none.npy",
                      "at least one image");
    assert_read_fails(put_file("text", "P5 2 2", 6), NULL, 0, "text", "is of no known format");
    assert_read_fails(in_temporary("absent"), NULL, 0, "absent", "No such file");
    assert_read_fails(temporary_directory, NULL, 0, temporary_directory, "is a directory");
}

static void refuses_bad_labels(void **state)
{
    static const float halves[] = {1, 0.5f}, nan[] = {NAN, 1};
    static const int32_t negative[] = {1, -1}, large[] = {1, 70000};
    (void)state;
    const char *images = put_file("images", idx_images, sizeof idx_images);
    const char *labels = put_file("labels", idx_labels, sizeof idx_labels);
    assert_read_fails(images, labels, 7, "labels: ", "label 0 is 7, expected an integer in 0..6");
    assert_read_fails(images, put_npy("l.npy", "<f4", "(2,)", halves, 8), 0, "l.npy",
                      "label 1 is 0.5, expected an integer");
    assert_read_fails(images, put_npy("l.npy", "<f4", "(2,)", nan, 8), 0, "l.npy", "label 0 is nan");
    assert_read_fails(images, put_npy("l.npy", "<i4", "(2,)", negative, 8), 0, "l.npy", "label 1 is -1");
    assert_read_fails(images, put_npy("l.npy", "<i4", "(2,)", large, 8), 0, "l.npy",
                      "label 1 is 70000, expected an integer in 0..65535");
    assert_read_fails(images, put_npy("l.npy", "|u1", "(3,)", "\1\2\3", 3), 0, "l.npy",
                      "found 3 labels, expected 2");
    assert_read_fails(images, put_npy("l.npy", "|u1", "(1, 2)", "\1\2", 2), 0, "l.npy",
                      "expected labels (N) or (N,1)");
    assert_read_fails(images, in_temporary("absent"), 0, "absent", "No such file");
}

static void loads_the_users_files(void **state)
{
    bnn_data_paths paths = {.name = "idx"};
    bnn_error error;
    bnn_dataset *d;
    (void)state;
    assert_failure(bnn_dataset_load(&paths, BNN_TRAIN, NULL, &d, &error), BNN_BAD_INPUT, error,
                   "data.train_images: is not set");
    strcpy(paths.train_images, put_file("images", idx_images, sizeof idx_images));
    assert_failure(bnn_dataset_load(&paths, BNN_TRAIN, NULL, &d, &error), BNN_BAD_INPUT, error,
                   "data.train_labels: is not set");
    strcpy(paths.train_labels, put_file("labels", idx_labels, sizeof idx_labels));
    assert_int_equal(bnn_dataset_load(&paths, BNN_TRAIN, NULL, &d, &error), BNN_OK);
    assert_true(d->count == 2 && d->classes == 8);
    bnn_dataset_free(d);
    static const bnn_split optional[] = {BNN_VALIDATION, BNN_TEST};
    for (size_t s = 0; s < 2; s++) { /* what is not named is not there */
        assert_int_equal(bnn_dataset_load(&paths, optional[s], NULL, &d, &error), BNN_OK);
        assert_null(d);
    }
    strcpy(paths.test_labels, paths.train_labels);
    assert_failure(bnn_dataset_load(&paths, BNN_TEST, NULL, &d, &error), BNN_BAD_INPUT, error,
                   "data.test_images: is not set");
    strcpy(paths.validation_images, paths.train_images);
    assert_failure(bnn_dataset_load(&paths, BNN_VALIDATION, NULL, &d, &error), BNN_BAD_INPUT, error,
                   "data.validation_labels: is not set");
    strcpy(paths.validation_labels, paths.train_labels);
    assert_int_equal(bnn_dataset_load(&paths, BNN_VALIDATION, NULL, &d, &error), BNN_OK);
    assert_true(d->count == 2 && d->labels[0] == 7);
    bnn_dataset_free(d);
    strcpy(paths.name, "npy");
    strcpy(paths.test_images, REFERENCE "fcnn/images.npy");
    strcpy(paths.test_labels, REFERENCE "fcnn/labels.npy");
    assert_int_equal(bnn_dataset_load(&paths, BNN_TEST, NULL, &d, &error), BNN_OK);
    assert_true(d->count == 6 && d->classes == 5);
    bnn_dataset_free(d);
}

static void looks_only_in_the_folder_given(void **state)
{
    bnn_data_paths paths = {.name = "mnist"};
    const int here = open(".", O_RDONLY);
    bnn_error error;
    bnn_dataset *d;
    (void)state;
    assert_int_equal(chdir(temporary_directory), 0); /* where there is no data/mnist */
    assert_failure(bnn_dataset_load(&paths, BNN_TEST, NULL, &d, &error), BNN_BAD_INPUT, error,
                   "mnist: ", "t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte (plain or .gz)",
                   "data/mnist and /usr/share/datasets/mnist", "data/get.sh mnist");
    assert_int_equal(fchdir(here), 0);
    close(here);
    assert_int_equal(mkdir(in_temporary("own"), 0777), 0);
    strcpy(paths.dir, in_temporary("own"));
    put_file("own/t10k-images-idx3-ubyte", idx_images, sizeof idx_images);
    strcpy(paths.name, "fashion-mnist");
    assert_failure(bnn_dataset_load(&paths, BNN_TEST, NULL, &d, &error), BNN_BAD_INPUT, error, paths.dir,
                   "apt-get install dataset-fashion-mnist");
    assert_null(strstr(error.message, "/usr/share"));
    put_file("own/t10k-labels-idx1-ubyte.gz", idx_labels_gz, sizeof idx_labels_gz);
    assert_int_equal(bnn_dataset_load(&paths, BNN_TEST, NULL, &d, &error), BNN_OK);
    assert_true(d->count == 2 && d->classes == 10 && d->labels[0] == 7);
    bnn_dataset_free(d);
    assert_failure(bnn_dataset_load(&paths, BNN_TRAIN, NULL, &d, &error), BNN_BAD_INPUT, error,
                   "train-images-idx3-ubyte");
}

static void names_the_known_sources(void **state)
{
    const bnn_data_paths paths = {.name = "imagenet"};
    bnn_error error;
    bnn_dataset *d;
    (void)state;
    assert_failure(bnn_dataset_load(&paths, BNN_TRAIN, NULL, &d, &error), BNN_BAD_INPUT, error,
                   "data.name: found \"imagenet\"");
    for (const bnn_data_source *const *source = bnn_data_sources; *source; source++) {
        assert_non_null(strstr(error.message, (*source)->row.name));
        assert_ptr_equal(bnn_data_source_find((*source)->row.name), *source);
        assert_true(strlen((*source)->row.summary) > 0 && (*source)->load);
    }
    assert_null(bnn_data_source_find("imagenet"));
}

/* One record of each CIFAR file: label bytes, then pixels that count up. */
static void loads_cifar(void **state)
{
    enum { PIXELS = 3072 };
    static uint8_t record[2 + PIXELS];
    bnn_data_paths paths = {.name = "cifar10"};
    bnn_error error;
    bnn_dataset *d;
    char name[64];
    (void)state;
    for (size_t p = 0; p < PIXELS; p++) record[2 + p] = (uint8_t)(p * 7);
    assert_int_equal(mkdir(in_temporary("cifar"), 0777), 0);
    assert_int_equal(mkdir(in_temporary("cifar/cifar-10-batches-bin"), 0777), 0);
    strcpy(paths.dir, in_temporary("cifar"));
    for (uint8_t f = 1; f <= 5; f++) {
        assert_failure(bnn_dataset_load(&paths, BNN_TRAIN, NULL, &d, &error), BNN_BAD_INPUT, error,
                       "data_batch_5.bin", paths.dir);
        snprintf(name, sizeof name, "cifar/cifar-10-batches-bin/data_batch_%d.bin", f);
        record[1] = f;
        put_file(name, record + 1, 1 + PIXELS);
    }
    assert_int_equal(bnn_dataset_load(&paths, BNN_TRAIN, NULL, &d, &error), BNN_OK);
    assert_true(d->count == 5 && d->channels == 3 && d->height == 32 && d->width == 32 && d->classes == 10);
    assert_true(d->background == -1);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(d->labels[i], i + 1);
        for (size_t p = 0; p < PIXELS; p++)
            assert_true(d->images[i * PIXELS + p] == scaled((uint8_t)(p * 7)));
    }
    bnn_dataset_free(d);
    record[1] = 10;
    put_file("cifar/cifar-10-batches-bin/data_batch_3.bin", record + 1, 1 + PIXELS);
    assert_failure(bnn_dataset_load(&paths, BNN_TRAIN, NULL, &d, &error), BNN_BAD_INPUT, error,
                   "data_batch_3.bin: label 0 is 10, expected an integer in 0..9");
    strcpy(paths.name, "cifar100");
    record[0] = 3, record[1] = 99;
    put_file("cifar/test.bin", record, 2 + PIXELS);
    assert_int_equal(bnn_dataset_load(&paths, BNN_TEST, NULL, &d, &error), BNN_OK);
    assert_true(d->count == 1 && d->classes == 100 && d->labels[0] == 99 && d->images[1] == scaled(7));
    bnn_dataset_free(d);
    paths.labels = 1; /* coarse */
    assert_int_equal(bnn_dataset_load(&paths, BNN_TEST, NULL, &d, &error), BNN_OK);
    assert_true(d->count == 1 && d->classes == 20 && d->labels[0] == 3 && d->images[1] == scaled(7));
    bnn_dataset_free(d);
    record[0] = 20;
    put_file("cifar/test.bin", record, 2 + PIXELS);
    assert_failure(bnn_dataset_load(&paths, BNN_TEST, NULL, &d, &error), BNN_BAD_INPUT, error,
                   "test.bin: label 0 is 20, expected an integer in 0..19");
    const bnn_data_options sideways = {.input = {32, 3, 32}, .background = NAN}; /* the axes are known */
    strcpy(paths.name, "cifar10");
    assert_int_equal(bnn_dataset_load(&paths, BNN_VALIDATION, NULL, &d, &error), BNN_OK);
    assert_null(d);
    record[1] = 9;
    put_file("cifar/cifar-10-batches-bin/test_batch.bin", record + 1, 1 + PIXELS);
    assert_int_equal(bnn_dataset_load(&paths, BNN_TEST, &sideways, &d, &error), BNN_OK);
    assert_true(d->channels == 3 && d->height == 32 && d->images[1] == scaled(7));
    bnn_dataset_free(d);
    strcpy(paths.name, "cifar100");
    put_file("cifar/test.bin", record, 1 + PIXELS);
    assert_failure(bnn_dataset_load(&paths, BNN_TEST, NULL, &d, &error), BNN_BAD_INPUT, error,
                   "test.bin: found 3073 bytes, expected records of 3074");
}

static void takes_subsets(void **state)
{
    static const size_t indices[] = {4, 0, 4}, bad[] = {6};
    bnn_error error;
    bnn_dataset *subset;
    (void)state;
    bnn_dataset *d = loaded(REFERENCE "fcnn/images.npy", REFERENCE "fcnn/labels.npy", 5);
    assert_int_equal(bnn_dataset_subset(d, indices, 3, &subset, &error), BNN_OK);
    assert_true(subset->count == 3 && subset->channels == 1 && subset->height == 12 && subset->width == 12);
    assert_true(subset->classes == 5 && subset->background == d->background);
    assert_true(subset->pixels.least == d->pixels.least && subset->pixels.most == d->pixels.most);
    assert_string_equal(subset->type, "float64");
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(subset->labels[i], d->labels[indices[i]]);
        assert_memory_equal(subset->images + i * 144, d->images + indices[i] * 144, 144 * sizeof(bnn_real));
    }
    bnn_dataset_free(subset);
    assert_failure(bnn_dataset_subset(d, bad, 1, &subset, &error), BNN_BAD_INPUT, error,
                   "image 6, expected one below 6");
    assert_null(subset);
    bnn_dataset_free(d);
    d = loaded(REFERENCE "fcnn/images.npy", NULL, 0);
    assert_int_equal(bnn_dataset_subset(d, indices, 3, &subset, &error), BNN_OK);
    assert_null(subset->labels);
    bnn_dataset_free(subset);
    bnn_dataset_free(d);
}

static void pads_with_the_background(void **state)
{
    bnn_error error;
    (void)state;
    bnn_dataset *d = loaded(put_file("images", idx_images, sizeof idx_images), NULL, 0);
    assert_int_equal(bnn_dataset_pad(d, 0, &error), BNN_OK);
    assert_true(d->height == 2 && d->width == 3);
    assert_int_equal(bnn_dataset_pad(d, 2, &error), BNN_OK);
    assert_true(d->count == 2 && d->height == 6 && d->width == 7);
    for (size_t i = 0; i < 2; i++)
        for (size_t y = 0; y < 6; y++)
            for (size_t x = 0; x < 7; x++) {
                const bool inside = y >= 2 && y < 4 && x >= 2 && x < 5;
                const bnn_real expected = inside ? scaled(idx_images[16 + (i * 2 + y - 2) * 3 + x - 2]) : -1;
                assert_true(d->images[(i * 6 + y) * 7 + x] == expected);
            }
    assert_failure(bnn_dataset_pad(d, SIZE_MAX / 2, &error), BNN_BAD_INPUT, error, "data.pad: found");
    assert_failure(bnn_dataset_pad(d, (size_t)1 << 30, &error), BNN_FAILED, error, "out of memory");
    assert_true(d->height == 6 && d->width == 7);
    bnn_dataset_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_fashion_mnist),
        cmocka_unit_test(reads_idx),
        cmocka_unit_test(reads_idx_floats),
        cmocka_unit_test(reads_npy_of_the_reference),
        cmocka_unit_test(finds_the_axes_of_npy),
        cmocka_unit_test(fortran_order_is_the_same_images),
        cmocka_unit_test(takes_other_numbers_as_they_are),
        cmocka_unit_test(joins_arrays),
        cmocka_unit_test(reads_labels_of_every_kind),
        cmocka_unit_test(reads_labels_alone),
        cmocka_unit_test(refuses_every_truncation_of_idx),
        cmocka_unit_test(refuses_bad_idx),
        cmocka_unit_test(refuses_bad_images),
        cmocka_unit_test(refuses_bad_labels),
        cmocka_unit_test(loads_the_users_files),
        cmocka_unit_test(looks_only_in_the_folder_given),
        cmocka_unit_test(names_the_known_sources),
        cmocka_unit_test(loads_cifar),
        cmocka_unit_test(takes_subsets),
        cmocka_unit_test(pads_with_the_background),
    };
    return cmocka_run_group_tests(tests, make_temporary_directory, remove_temporary_directory);
}
