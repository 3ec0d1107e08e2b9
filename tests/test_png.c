/* PNG images of every kind, their resizing, and data sets in folders and CSV files; and everything that is refused. */
#include <stdbool.h>

#include "pictures.h"

#include "bnn/dataset.h"
#include "bnn/rng.h"
#include "data/png.h"

static bnn_png image_of(const char *path)
{
    bnn_error error = {0};
    bnn_png image;
    if (bnn_png_read(path, &image, &error)) fail_msg("%s", error.message);
    return image;
}

static void assert_image(const char *path, size_t height, size_t width, size_t channels, size_t bytes,
                         const uint8_t *expected)
{
    bnn_png image = image_of(path);
    assert_true(image.height == height && image.width == width && image.channels == channels &&
                image.bytes == bytes);
    assert_memory_equal(image.pixels, expected, height * width * channels * bytes);
    bnn_png_free(&image);
}

#define assert_read_fails(path, ...)                                                                         \
    do {                                                                                                     \
        bnn_error error_ = {0};                                                                              \
        bnn_png image_;                                                                                      \
        const bnn_status status_ = bnn_png_read(path, &image_, &error_);                                     \
        assert_failure(status_, BNN_BAD_INPUT, error_, __VA_ARGS__);                                         \
    } while (0)

/* ---- images ------------------------------------------------------------------------------------------------------- */

static const uint8_t samples[] = {0,   255, 3,   200, 17,  99,  1,   2,   3,   4,   5,   6,
                                  250, 251, 252, 253, 254, 128, 64,  32,  8,   7,   77,  66,
                                  55,  44,  33,  22,  11,  100, 101, 102, 103, 104, 105, 106};

static void reads_grey_and_colour(void **state)
{
    (void)state;
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        picture p = {2, 3, 8, PNG_COLOR_TYPE_GRAY, samples, interlaced, NULL, NULL};
        assert_image(put_picture("grey8.png", &p), 2, 3, 1, 1, samples);
        p.depth = 16;
        assert_image(put_picture("grey16.png", &p), 2, 3, 1, 2, samples);
        p.type = PNG_COLOR_TYPE_RGB;
        assert_image(put_picture("colour16.png", &p), 2, 3, 3, 2, samples);
        p.depth = 8;
        assert_image(put_picture("colour8.png", &p), 2, 3, 3, 1, samples);
    }
}

static void widens_samples_of_few_bits(void **state)
{
    static const uint8_t one[] = {0xa0}, two[] = {0x1b};
    (void)state;
    const picture bits = {1, 3, 1, PNG_COLOR_TYPE_GRAY, one, false, NULL, NULL},
                  pairs = {1, 4, 2, PNG_COLOR_TYPE_GRAY, two, false, NULL, NULL};
    assert_image(put_picture("bits.png", &bits), 1, 3, 1, 1, (const uint8_t[]){255, 0, 255});
    assert_image(put_picture("pairs.png", &pairs), 1, 4, 1, 1, (const uint8_t[]){0, 85, 170, 255});
}

static void palettes_become_colours(void **state)
{
    static const png_color colours[] = {{1, 2, 3}, {40, 50, 60}, {255, 0, 128}, {9, 9, 9}};
    static const uint8_t index[] = {0x1b}, opaque[] = {255, 255, 255, 255}, clear[] = {255, 255, 7, 255};
    (void)state;
    picture p = {1, 4, 2, PNG_COLOR_TYPE_PALETTE, index, false, colours, NULL};
    const uint8_t expected[] = {1, 2, 3, 40, 50, 60, 255, 0, 128, 9, 9, 9};
    assert_image(put_picture("palette.png", &p), 1, 4, 3, 1, expected);
    p.alphas = opaque;
    assert_image(put_picture("opaque.png", &p), 1, 4, 3, 1, expected);
    p.alphas = clear;
    assert_read_fails(put_picture("clear.png", &p), "clear.png: row 0, column 2 is transparent (alpha 7)");
}

static void alpha_has_to_be_opaque(void **state)
{
    static const uint8_t grey[] = {5, 255, 6, 255, 7, 255, 8, 255},
                         see_through[] = {5, 255, 6, 255, 7, 255, 8, 254};
    static const uint8_t wide[] = {1, 2, 255, 255, 3, 4, 255, 255}, colour[] = {1, 2, 3, 255, 4, 5, 6, 255};
    (void)state;
    picture p = {2, 2, 8, PNG_COLOR_TYPE_GRAY_ALPHA, grey, false, NULL, NULL};
    assert_image(put_picture("ga.png", &p), 2, 2, 1, 1, (const uint8_t[]){5, 6, 7, 8});
    p.bytes = see_through;
    assert_read_fails(put_picture("ga.png", &p), "ga.png: row 1, column 1 is transparent (alpha 254)");
    p = (picture){1, 2, 16, PNG_COLOR_TYPE_GRAY_ALPHA, wide, false, NULL, NULL};
    assert_image(put_picture("ga16.png", &p), 1, 2, 1, 2, (const uint8_t[]){1, 2, 3, 4});
    p = (picture){1, 2, 8, PNG_COLOR_TYPE_RGB_ALPHA, colour, false, NULL, NULL};
    assert_image(put_picture("rgba.png", &p), 1, 2, 3, 1, (const uint8_t[]){1, 2, 3, 4, 5, 6});
}

static void every_truncation_is_refused(void **state)
{
    uint8_t bytes[512];
    (void)state;
    const picture p = {2, 3, 8, PNG_COLOR_TYPE_RGB, samples, false, NULL, NULL};
    const size_t size = get_file(put_picture("whole.png", &p), bytes, sizeof bytes);
    for (size_t kept = 0; kept < size; kept++)
        assert_read_fails(put_file("short.png", bytes, kept), "short.png: is ");
    assert_read_fails(in_temporary("none.png"), "none.png: cannot open");
    assert_read_fails(put_file("text.png", "this is no picture", 18), "text.png: is no PNG file");
}

/* A byte changed anywhere in the header or in the pixels is found by the checksum of its chunk. */
static void damage_is_refused(void **state)
{
    uint8_t bytes[512];
    (void)state;
    const picture p = {2, 3, 8, PNG_COLOR_TYPE_RGB, samples, false, NULL, NULL};
    const size_t size = get_file(put_picture("whole.png", &p), bytes, sizeof bytes);
    for (size_t at = 8; at < size; at++) {
        bytes[at] ^= 0x40;
        assert_read_fails(put_file("damaged.png", bytes, size), "damaged.png: is ");
        bytes[at] ^= 0x40;
    }
}

/* Width and height that the file cannot hold, under a checksum that is right. */
static void sizes_that_lie_are_refused(void **state)
{
    uint8_t bytes[512];
    (void)state;
    const picture p = {2, 3, 8, PNG_COLOR_TYPE_GRAY, samples, false, NULL, NULL};
    const size_t size = get_file(put_picture("whole.png", &p), bytes, sizeof bytes);
    memcpy(bytes + 16, (const uint8_t[]){0, 0, 0xf0, 0, 0, 0, 0xf0, 0}, 8);
    uint32_t crc = 0xffffffff; /* of the chunk's name and data (PNG specification, annex D) */
    for (size_t i = 12; i < 29; i++) {
        crc ^= bytes[i];
        for (size_t bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb88320 ^ crc >> 1 : crc >> 1;
    }
    for (size_t i = 0; i < 4; i++) bytes[29 + i] = (uint8_t)(~crc >> (24 - 8 * i));
    assert_read_fails(put_file("bomb.png", bytes, size), "bomb.png: found 61440 x 61440 pixels", "can hold");
}

/* ---- another size ---------------------------------------------------------------------------------------------------- */

static bnn_png resized(const picture *p, size_t height, size_t width)
{
    bnn_error error = {0};
    bnn_png image = image_of(put_picture("from.png", p));
    if (bnn_png_resize("from.png", &image, height, width, &error)) fail_msg("%s", error.message);
    assert_true(image.height == height && image.width == width);
    return image;
}

static void resizing_is_a_triangular_filter(void **state)
{
    static const uint8_t row[] = {0, 100, 200, 40}, flat[] = {9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9};
    (void)state;
    const picture p = {1, 4, 8, PNG_COLOR_TYPE_GRAY, row, false, NULL, NULL};
    bnn_png image = resized(&p, 1, 8); /* centres at -1/4, 1/4, 3/4, ... */
    assert_memory_equal(image.pixels, ((const uint8_t[]){0, 25, 75, 125, 175, 160, 80, 40}), 8);
    bnn_png_free(&image);
    image = resized(&p, 1, 2); /* weights 3/4, 3/4, 1/4 over their sum, and mirrored */
    assert_memory_equal(image.pixels, ((const uint8_t[]){71, 117}), 2); /* (75+50)/1.75, (25+150+30)/1.75 */
    bnn_png_free(&image);
    const picture q = {3, 4, 8, PNG_COLOR_TYPE_GRAY, flat, false, NULL, NULL};
    image = resized(&q, 5, 2);
    for (size_t i = 0; i < 10; i++) assert_int_equal(image.pixels[i], 9);
    bnn_png_free(&image);
}

/* Turning by 90 degrees and resizing commute; 16 bits and colours are filtered as 8 and grey are. */
static void resizing_commutes_with_turns(void **state)
{
    enum { H = 7, W = 5, TO = 4 };
    uint8_t grey[H * W], turned[W * H], wide[2 * H * W], colour[3 * H * W];
    bnn_pcg32 rng = bnn_stream_open(bnn_stream_of(1, BNN_STREAM_SHUFFLE, 0, 0, 0));
    (void)state;
    for (size_t y = 0; y < H; y++)
        for (size_t x = 0; x < W; x++) {
            const uint8_t value = (uint8_t)bnn_pcg32_below(&rng, 256);
            grey[y * W + x] = turned[(W - 1 - x) * H + y] = wide[2 * (y * W + x)] =
                wide[2 * (y * W + x) + 1] = value;
            for (size_t c = 0; c < 3; c++)
                colour[3 * (y * W + x) + c] = c == 1 ? value : (uint8_t)(255 - value);
        }
    bnn_png a = resized(&(picture){H, W, 8, PNG_COLOR_TYPE_GRAY, grey, false, NULL, NULL}, TO, TO),
            b = resized(&(picture){W, H, 8, PNG_COLOR_TYPE_GRAY, turned, false, NULL, NULL}, TO, TO),
            c = resized(&(picture){H, W, 16, PNG_COLOR_TYPE_GRAY, wide, false, NULL, NULL}, TO, TO),
            d = resized(&(picture){H, W, 8, PNG_COLOR_TYPE_RGB, colour, false, NULL, NULL}, TO, TO);
    for (size_t y = 0; y < TO; y++)
        for (size_t x = 0; x < TO; x++) {
            const uint8_t value = a.pixels[y * TO + x];
            const double fine = (c.pixels[2 * (y * TO + x)] * 256 + c.pixels[2 * (y * TO + x) + 1]) / 257.0;
            assert_int_equal(b.pixels[(TO - 1 - x) * TO + y], value);
            assert_int_equal(d.pixels[3 * (y * TO + x) + 1], value);
            assert_true(fabs(fine - value) <= 0.5 + 1 / 256.0);
        }
    bnn_png_free(&d);
    bnn_png_free(&c);
    bnn_png_free(&b);
    bnn_png_free(&a);
}

/* ---- data sets --------------------------------------------------------------------------------------------------------- */

static bnn_status load(const char *folder, bnn_numbers resize, bnn_split split, bnn_dataset **dataset,
                       bnn_error *error)
{
    bnn_data_paths paths = {.name = "png", .resize = resize};
    if (*folder) snprintf(paths.path, sizeof paths.path, "%s", in_temporary(folder));
    *error = (bnn_error){0};
    return bnn_dataset_load(&paths, split, NULL, dataset, error);
}

static bnn_dataset *loaded(const char *folder, bnn_split split)
{
    bnn_error error;
    bnn_dataset *dataset;
    if (load(folder, (bnn_numbers){0}, split, &dataset, &error)) fail_msg("%s", error.message);
    return dataset;
}

#define assert_load_fails(folder, split, ...)                                                                \
    do {                                                                                                     \
        bnn_error error_;                                                                                    \
        bnn_dataset *dataset_;                                                                               \
        const bnn_status status_ = load(folder, (bnn_numbers){0}, split, &dataset_, &error_);                \
        assert_failure(status_, BNN_BAD_INPUT, error_, __VA_ARGS__);                                         \
        assert_null(dataset_);                                                                               \
    } while (0)

/* The values of the pixels, one an image, and the labels. */
static void assert_grey(const bnn_dataset *d, size_t count, const uint8_t *values, const uint32_t *labels)
{
    const size_t pixels = d->height * d->width;
    assert_int_equal(d->count, count);
    assert_int_equal(d->channels, 1);
    for (size_t i = 0; i < count * pixels; i++)
        assert_true(d->images[i] == (bnn_real)((values[i / pixels] / 255.0 - 0.5) / 0.5));
    assert_memory_equal(d->labels, labels, count * sizeof *labels);
}

static void reads_a_folder_of_classes(void **state)
{
    (void)state;
    put_folder("f/train/dog");
    put_folder("f/train/cat");
    put_folder("f/val/dog");
    put_folder("f/test/cat");
    put_grey("f/train/cat/b.png", 2, 3, 2);
    put_grey("f/train/cat/a.png", 2, 3, 1);
    put_grey("f/train/cat/c.PNG", 2, 3, 3);
    put_grey("f/train/dog/z.png", 2, 3, 9);
    put_grey("f/val/dog/y.png", 2, 3, 8);
    put_grey("f/test/cat/x.png", 2, 3, 7);
    put_file("f/train/.DS_Store", "x", 1);
    put_file("f/train/cat/.hidden", "x", 1);
    bnn_dataset *d = loaded("f", BNN_TRAIN);
    assert_grey(d, 4, (const uint8_t[]){1, 9, 2, 3}, (const uint32_t[]){0, 1, 0, 0}); /* by turns */
    assert_true(d->height == 2 && d->width == 3 && d->classes == 2 && d->scaled && d->part_count == 0);
    assert_string_equal(d->class_names[0], "cat");
    assert_string_equal(d->class_names[1], "dog");
    assert_string_equal(d->type, "uint8");
    bnn_dataset_free(d);
    d = loaded("f", BNN_VALIDATION); /* its labels are those of the training images */
    assert_grey(d, 1, (const uint8_t[]){8}, (const uint32_t[]){1});
    bnn_dataset_free(d);
    d = loaded("f", BNN_TEST);
    assert_grey(d, 1, (const uint8_t[]){7}, (const uint32_t[]){0});
    assert_string_equal(d->class_names[1], "dog");
    bnn_dataset_free(d);
}

static void whole_numbers_are_labels(void **state)
{
    (void)state;
    put_folder("n/train/10");
    put_folder("n/train/2");
    put_grey("n/train/10/a.png", 2, 2, 1);
    put_grey("n/train/2/a.png", 2, 2, 2);
    bnn_dataset *d = loaded("n", BNN_TRAIN);
    assert_grey(d, 2, (const uint8_t[]){1, 2}, (const uint32_t[]){10, 2});
    assert_int_equal(d->classes, 11);
    assert_null(d->class_names);
    bnn_dataset_free(d);
    assert_null(loaded("n", BNN_VALIDATION));
    assert_null(loaded("n", BNN_TEST));
}

static void put_text(const char *name, const char *text)
{
    put_file(name, text, strlen(text));
}

static void reads_csv_files(void **state)
{
    (void)state;
    put_folder("c/images");
    put_folder("c/test");
    put_grey("c/images/1.png", 2, 2, 1);
    put_grey("c/images/2.png", 2, 2, 2);
    put_grey("c/test/3.png", 2, 2, 3);
    put_text("c/train.csv", "\xef\xbb\xbf"
                            "file,label\r\nimages/2.png, malignant\r\n\r\nimages/1.png,benign\r\n");
    put_text("c/test/labels.csv",
             "3.png,malignant,site B\n../images/1.png,benign,site A\n3.png,malignant,site A");
    bnn_dataset *d = loaded("c", BNN_TRAIN);
    assert_grey(d, 2, (const uint8_t[]){2, 1}, (const uint32_t[]){1, 0});
    assert_string_equal(d->class_names[0], "benign");
    bnn_dataset_free(d);
    d = loaded("c", BNN_TEST);
    assert_grey(d, 3, (const uint8_t[]){3, 1, 3}, (const uint32_t[]){1, 0, 1});
    assert_int_equal(d->part_count, 2);
    assert_string_equal(d->part_names[1], "site B");
    assert_memory_equal(d->parts, ((const uint32_t[]){1, 0, 0}), 3 * sizeof(uint32_t));
    const size_t last = 2;
    bnn_dataset *subset;
    assert_int_equal(bnn_dataset_subset(d, &last, 1, &subset, NULL), BNN_OK);
    assert_true(subset->part_count == 2 && subset->parts[0] == 0);
    assert_string_equal(subset->part_names[0], "site A");
    assert_string_equal(subset->class_names[1], "malignant");
    bnn_dataset_free(subset);
    bnn_dataset_free(d);
}

static void bad_csv_files_are_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "train.csv: found no image"},
        {"file,label\n", "train.csv: found no image"},
        {"1.png\n", "train.csv: line 1: found \"1.png\", expected file,label"},
        {"1.png,a,b,c\n", "line 1: found"},
        {"1.png,a\n1.png,a,b\n", "line 2: found"},
        {"\"1.png\",a\n", "without quotes"},
        {"1.png,\n", "line 1: the label \"\": expected 1 to 63 bytes"},
        {"1.png,\xff\n", "line 1: the label"},
        {"1.png,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", "line 1: the label"},
        {"none.png,a\n", "none.png: cannot open"},
        {"1.png,a\nlabels.txt,b\n", "labels.txt: is no PNG file"},
    };
    (void)state;
    put_folder("b");
    put_grey("b/1.png", 2, 2, 1);
    put_text("b/labels.txt", "no picture");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_text("b/train.csv", bad[i].text);
        assert_load_fails("b", BNN_TRAIN, bad[i].says);
    }
}

static void bad_folders_are_refused(void **state)
{
    (void)state;
    assert_load_fails("", BNN_TRAIN, "data.path: is not set");
    assert_load_fails("nowhere", BNN_TRAIN, "nowhere: found neither a folder train");
    put_folder("e/train");
    assert_load_fails("e", BNN_TRAIN, "e/train: found no image");
    put_grey("e/train/a.png", 2, 2, 1); /* no class folder */
    assert_load_fails("e", BNN_TRAIN, "e/train/a.png: is no folder, expected a folder for each class");
    put_folder("g/train/empty");
    assert_load_fails("g", BNN_TRAIN, "g/train/empty: is empty");
    put_folder("g/train/full");
    put_grey("g/train/full/a.png", 2, 2, 1);
    assert_load_fails("g", BNN_TRAIN, "g/train/empty: is empty");
    put_grey("g/train/empty/a.png", 2, 2, 1);
    put_folder("g/test/fuller");
    put_grey("g/test/fuller/a.png", 2, 2, 1);
    assert_load_fails("g", BNN_TEST, "found the class \"fuller\"", "did you mean \"full\"");
    put_folder("g/val/full");
    put_folder("g/validation/full");
    assert_load_fails("g", BNN_VALIDATION, "g/validation too, expected one of them");
    put_file("g/train/full/b.jpg", "\xff\xd8\xff", 3);
    assert_load_fails("g", BNN_TRAIN, "g/train/full/b.jpg: is no PNG file");
}

static void images_have_to_be_alike(void **state)
{
    static const uint8_t colours[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    bnn_error error;
    bnn_dataset *d;
    (void)state;
    put_folder("m/train/a");
    put_grey("m/train/a/1.png", 2, 2, 5);
    put_grey("m/train/a/2.png", 4, 6, 7);
    assert_load_fails("m", BNN_TRAIN, "m/train/a/2.png: found 1 x 4 x 6",
                      "of 8 bits, expected 1 x 2 x 2 of 8 as",
                      "m/train/a/1.png; data.resize brings all to one size");
    assert_int_equal(load("m", (bnn_numbers){2, {3, 4}}, BNN_TRAIN, &d, &error), BNN_OK);
    assert_true(d->height == 3 && d->width == 4);
    assert_grey(d, 2, (const uint8_t[]){5, 7}, (const uint32_t[]){0, 0});
    bnn_dataset_free(d);
    assert_int_equal(load("m", (bnn_numbers){1, {3}}, BNN_TRAIN, &d, &error), BNN_OK);
    assert_true(d->height == 3 && d->width == 3);
    bnn_dataset_free(d);
    assert_failure(load("m", (bnn_numbers){3, {3, 3, 3}}, BNN_TRAIN, &d, &error), BNN_BAD_INPUT, error,
                   "data.resize: found 3 numbers");
    put_picture("m/train/a/2.png", &(picture){2, 2, 8, PNG_COLOR_TYPE_RGB, colours, false, NULL, NULL});
    assert_load_fails("m", BNN_TRAIN, "2.png: found 3 x 2 x 2");
    put_picture("m/train/a/2.png", &(picture){2, 2, 16, PNG_COLOR_TYPE_GRAY, colours, false, NULL, NULL});
    assert_load_fails("m", BNN_TRAIN, "2.png: found 1 x 2 x 2 (C x H x W) of 16 bits");
}

/* 16 bits are intensities as 8 are. */
static void sixteen_bits_are_scaled(void **state)
{
    static const uint8_t wide[] = {0, 0, 255, 255, 128, 0, 1, 2};
    (void)state;
    put_folder("w/train/0");
    put_picture("w/train/0/1.png", &(picture){2, 2, 16, PNG_COLOR_TYPE_GRAY, wide, false, NULL, NULL});
    bnn_dataset *d = loaded("w", BNN_TRAIN);
    assert_string_equal(d->type, "uint16");
    assert_true(d->scaled && d->images[0] == -1 && d->images[1] == 1);
    assert_close(d->images[2], 2 * 32768 / 65535.0 - 1, 1e-6, 1);
    assert_close(d->images[3], 2 * 258 / 65535.0 - 1, 1e-6, 1);
    bnn_dataset_free(d);
    bnn_data_paths paths = {.name = "png"};
    bnn_error error = {0};
    snprintf(paths.path, sizeof paths.path, "%s", in_temporary("w"));
    const bnn_data_options plain = {.scale = BNN_SCALE_NONE, .background = NAN};
    assert_int_equal(bnn_dataset_load(&paths, BNN_TRAIN, &plain, &d, &error), BNN_OK);
    assert_true(!d->scaled && d->images[1] == 65535 && d->images[3] == 258);
    bnn_dataset_free(d);
    assert_true(bnn_data_source_of(paths.path) == bnn_data_source_find("png"));
}

/* Colours are channels, whatever the sides; here three pixels wide and three high. */
static void colours_are_channels(void **state)
{
    (void)state;
    put_folder("k/train/0");
    put_picture("k/train/0/1.png", &(picture){3, 3, 8, PNG_COLOR_TYPE_RGB, samples, false, NULL, NULL});
    bnn_dataset *d = loaded("k", BNN_TRAIN);
    assert_true(d->channels == 3 && d->height == 3 && d->width == 3);
    for (size_t c = 0; c < 3; c++)
        for (size_t p = 0; p < 9; p++)
            assert_true(d->images[c * 9 + p] == (bnn_real)((samples[3 * p + c] / 255.0 - 0.5) / 0.5));
    bnn_dataset_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_grey_and_colour),        cmocka_unit_test(widens_samples_of_few_bits),
        cmocka_unit_test(palettes_become_colours),      cmocka_unit_test(alpha_has_to_be_opaque),
        cmocka_unit_test(every_truncation_is_refused),  cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(sizes_that_lie_are_refused),   cmocka_unit_test(resizing_is_a_triangular_filter),
        cmocka_unit_test(resizing_commutes_with_turns), cmocka_unit_test(reads_a_folder_of_classes),
        cmocka_unit_test(whole_numbers_are_labels),     cmocka_unit_test(reads_csv_files),
        cmocka_unit_test(bad_csv_files_are_refused),    cmocka_unit_test(bad_folders_are_refused),
        cmocka_unit_test(images_have_to_be_alike),      cmocka_unit_test(sixteen_bits_are_scaled),
        cmocka_unit_test(colours_are_channels),
    };
    return cmocka_run_group_tests(tests, make_temporary_directory, remove_temporary_directory);
}
