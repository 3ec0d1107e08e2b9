/* Data sets in .npz archives: MedMNIST's layout, and everything that is refused. */
#include "archives.h"

#include "bnn/dataset.h"

enum { SIDE = 5, PIXELS = SIDE * SIDE * 3, TRAIN = 6, VALIDATION = 2, TEST = 3 };

static uint8_t pixels[TRAIN * PIXELS];

static void fill_pixels(void)
{
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(37 * i + i / 7);
}

static bnn_status load(const char *path, bnn_split split, bnn_dataset **dataset, bnn_error *error)
{
    bnn_data_paths paths = {.name = "npz"};
    snprintf(paths.path, sizeof paths.path, "%s", path);
    *error = (bnn_error){0};
    return bnn_dataset_load(&paths, split, NULL, dataset, error);
}

static bnn_dataset *loaded(const char *path, bnn_split split)
{
    bnn_error error;
    bnn_dataset *dataset;
    if (load(path, split, &dataset, &error)) fail_msg("%s", error.message);
    return dataset;
}

#define assert_load_fails(path, split, ...)                                                                  \
    do {                                                                                                     \
        bnn_error error_;                                                                                    \
        bnn_dataset *dataset_;                                                                               \
        const bnn_status status_ = load(path, split, &dataset_, &error_);                                    \
        assert_failure(status_, BNN_BAD_INPUT, error_, __VA_ARGS__);                                         \
        assert_null(dataset_);                                                                               \
    } while (0)

/* As MedMNIST has it: uint8 images (N,H,W,3), labels (N,1). */
static const char *put_medmnist(const char *name, zip_int32_t method)
{
    static const uint8_t labels[] = {0, 1, 2, 2, 1, 0};
    const char *path = in_temporary(name);
    zip_t *zip = new_archive(path);
    add_array(zip, "train_images", "|u1", "(6, 5, 5, 3)", pixels, TRAIN * PIXELS, method);
    add_array(zip, "val_images", "|u1", "(2, 5, 5, 3)", pixels + PIXELS, VALIDATION * PIXELS, method);
    add_array(zip, "test_images", "|u1", "(3, 5, 5, 3)", pixels + 2 * PIXELS, TEST * PIXELS, method);
    add_array(zip, "train_labels", "|u1", "(6, 1)", labels, TRAIN, method);
    add_array(zip, "val_labels", "|u1", "(2, 1)", labels + 1, VALIDATION, method);
    add_array(zip, "test_labels", "|u1", "(3, 1)", labels + 2, TEST, method);
    close_archive(zip);
    return path;
}

static void assert_images(const bnn_dataset *d, size_t count, size_t first)
{
    assert_true(d->count == count && d->channels == 3 && d->height == SIDE && d->width == SIDE);
    for (size_t i = 0; i < count; i++)
        for (size_t c = 0; c < 3; c++)
            for (size_t p = 0; p < SIDE * SIDE; p++) {
                const double x = pixels[(first + i) * PIXELS + 3 * p + c];
                assert_true(d->images[i * PIXELS + c * SIDE * SIDE + p] ==
                            (bnn_real)((x / 255.0 - 0.5) / 0.5));
            }
}

static void reads_the_splits_of_medmnist(void **state)
{
    static const zip_int32_t methods[] = {ZIP_CM_STORE, ZIP_CM_DEFLATE};
    (void)state;
    for (size_t m = 0; m < 2; m++) {
        const char *path = put_medmnist("medmnist.npz", methods[m]);
        bnn_dataset *train = loaded(path, BNN_TRAIN), *validation = loaded(path, BNN_VALIDATION),
                    *test = loaded(path, BNN_TEST);
        assert_images(train, TRAIN, 0);
        assert_images(validation, VALIDATION, 1);
        assert_images(test, TEST, 2);
        assert_int_equal(train->classes, 3);
        assert_memory_equal(train->labels, ((const uint32_t[]){0, 1, 2, 2, 1, 0}), sizeof(uint32_t) * TRAIN);
        assert_memory_equal(validation->labels, ((const uint32_t[]){1, 2}), sizeof(uint32_t) * VALIDATION);
        assert_memory_equal(test->labels, ((const uint32_t[]){2, 2, 1}), sizeof(uint32_t) * TEST);
        bnn_dataset_free(test);
        bnn_dataset_free(validation);
        bnn_dataset_free(train);
    }
}

/* Other layouts and types; and what an archive need not have. */
static void reads_other_layouts(void **state)
{
    static const float values[] = {0, 0.5f, 1, -1, 0.25f, 2, 3, 4};
    static const int64_t labels[] = {1, 0};
    (void)state;
    const char *path = in_temporary("small.npz");
    zip_t *zip = new_archive(path);
    add_array(zip, "train_images", "<f4", "(2, 1, 2, 2)", values, sizeof values, ZIP_CM_DEFLATE);
    add_array(zip, "train_labels", "<i8", "(2,)", labels, sizeof labels, ZIP_CM_DEFLATE);
    add_array(zip, "remarks", "<i8", "(2,)", labels, sizeof labels, ZIP_CM_DEFLATE);
    close_archive(zip);
    bnn_dataset *d = loaded(path, BNN_TRAIN);
    assert_true(d->count == 2 && d->channels == 1 && d->height == 2 && d->width == 2 && d->classes == 2);
    for (size_t i = 0; i < 8; i++) assert_true(d->images[i] == (bnn_real)values[i]);
    bnn_dataset_free(d);
    assert_null(loaded(path, BNN_VALIDATION));
    assert_null(loaded(path, BNN_TEST));
    zip = new_archive(path);
    add_array(zip, "train_images", "<f4", "(2, 2, 2)", values, sizeof values, ZIP_CM_STORE);
    add_array(zip, "train_labels", "<i8", "(2,)", labels, sizeof labels, ZIP_CM_STORE);
    close_archive(zip);
    d = loaded(path, BNN_TRAIN);
    assert_true(d->count == 2 && d->channels == 1 && d->height == 2);
    bnn_dataset_free(d);
}

static void missing_arrays_are_named(void **state)
{
    static const uint8_t labels[] = {0, 1};
    (void)state;
    const char *path = in_temporary("missing.npz");
    zip_t *zip = new_archive(path);
    add_array(zip, "x_train", "|u1", "(2, 5, 5, 3)", pixels, 2 * PIXELS, ZIP_CM_STORE);
    add_array(zip, "y_train", "|u1", "(2,)", labels, 2, ZIP_CM_STORE);
    close_archive(zip);
    assert_load_fails(path, BNN_TRAIN, path, "no array train_images", "there are: x_train, y_train");
    zip = new_archive(path);
    add_array(zip, "train_images", "|u1", "(2, 5, 5, 3)", pixels, 2 * PIXELS, ZIP_CM_STORE);
    add_array(zip, "test_images", "|u1", "(2, 5, 5, 3)", pixels, 2 * PIXELS, ZIP_CM_STORE);
    close_archive(zip);
    assert_load_fails(path, BNN_TRAIN, "no array train_labels", "there are: train_images, test_images");
    assert_load_fails(path, BNN_TEST, "no array test_labels");
    zip = new_archive(path);
    add_array(zip, "train_images", "|u1", "(2, 5, 5, 3)", pixels, 2 * PIXELS, ZIP_CM_STORE);
    add_array(zip, "validation_images", "|u1", "(2, 5, 5, 3)", pixels, 2 * PIXELS, ZIP_CM_STORE);
    close_archive(zip);
    assert_load_fails(path, BNN_TRAIN, "found the array validation_images", "\"val_images\"");
}

static void bad_arrays_are_named(void **state)
{
    static const uint8_t labels[] = {0, 1, 1};
    (void)state;
    const char *path = in_temporary("bad.npz");
    zip_t *zip = new_archive(path);
    add_array(zip, "train_images", "|u1", "(2, 5, 5, 3)", pixels, 2 * PIXELS - 1, ZIP_CM_DEFLATE);
    add_array(zip, "train_labels", "|u1", "(2,)", labels, 2, ZIP_CM_DEFLATE);
    close_archive(zip);
    assert_load_fails(path, BNN_TRAIN, "bad.npz: train_images: found 149 bytes of data", "(2, 5, 5, 3)");
    zip = new_archive(path);
    add_array(zip, "train_images", "|u1", "(2, 99999999999, 4, 3)", pixels, 2 * PIXELS, ZIP_CM_DEFLATE);
    add_array(zip, "train_labels", "|u1", "(2,)", labels, 2, ZIP_CM_DEFLATE);
    close_archive(zip);
    assert_load_fails(path, BNN_TRAIN, "train_images: found 150 bytes of data");
    zip = new_archive(path);
    add_array(zip, "train_images", "|u1", "(2, 5, 5, 3)", pixels, 2 * PIXELS, ZIP_CM_DEFLATE);
    add_array(zip, "train_labels", "|u1", "(3,)", labels, 3, ZIP_CM_DEFLATE);
    close_archive(zip);
    assert_load_fails(path, BNN_TRAIN, "train_labels: found 3 labels, expected 2");
    zip = new_archive(path);
    add_member(zip, "train_images.npy", "no array", 8, ZIP_CM_STORE);
    close_archive(zip);
    assert_load_fails(path, BNN_TRAIN, "train_images: is no .npy file");
}

static void other_files_are_refused(void **state)
{
    (void)state;
    assert_load_fails(in_temporary("none.npz"), BNN_TRAIN,
                      "none.npz: cannot be read as an .npz archive: No such file");
    assert_load_fails(temporary_directory, BNN_TRAIN, "is no regular file");
    assert_load_fails(put_file("text.npz", "text", 4), BNN_TRAIN,
                      "text.npz: cannot be read as an .npz archive");
    assert_load_fails(put_file("empty.npz", "", 0), BNN_TRAIN, "empty.npz");
    assert_load_fails("", BNN_TRAIN, "data.path: is not set");
}

/* Wherever the file ends, it is refused. */
static void every_truncation_is_refused(void **state)
{
    uint8_t bytes[8192];
    (void)state;
    const size_t size = get_file(put_medmnist("whole.npz", ZIP_CM_DEFLATE), bytes, sizeof bytes);
    assert_true(size < sizeof bytes);
    for (size_t kept = 0; kept < size; kept += kept < 64 || kept + 64 > size ? 1 : 13)
        assert_load_fails(put_file("short.npz", bytes, kept), BNN_TRAIN, "short.npz");
}

/* A damaged byte of the packed data, found by the checksum or by inflate: none gives other images in silence. */
static void damaged_data_is_refused(void **state)
{
    uint8_t bytes[8192];
    (void)state;
    for (int m = 0; m < 2; m++) {
        const size_t size =
            get_file(put_medmnist("good.npz", m ? ZIP_CM_DEFLATE : ZIP_CM_STORE), bytes, sizeof bytes);
        for (size_t at = 60; at < 260; at += 9) { /* within the first member's data */
            bytes[at] ^= 0x10;
            assert_load_fails(put_file("damaged.npz", bytes, size), BNN_TRAIN, "damaged.npz: train_images: ");
            bytes[at] ^= 0x10;
        }
    }
}

/* The member's entry in the directory, which begins with PK 1 2: the first is that of train_images. */
static uint8_t *directory_entry(uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i + 46 < size; i++)
        if (memcmp(bytes + i, "PK\1\2", 4) == 0) return bytes + i;
    fail_msg("no directory");
    return NULL;
}

/* Sizes that the file cannot hold are not believed, and no memory is taken for them. */
static void sizes_that_lie_are_refused(void **state)
{
    enum { PACKED = 20, UNPACKED = 24 };
    static const uint8_t large[] = {0, 0, 0, 0x7f}, slightly[] = {0, 8, 0, 0}, small[] = {9, 0, 0, 0};
    uint8_t bytes[8192];
    (void)state;
    const size_t size = get_file(put_medmnist("good.npz", ZIP_CM_DEFLATE), bytes, sizeof bytes);
    uint8_t *entry = directory_entry(bytes, size), kept[46];
    memcpy(kept, entry, sizeof kept);
    memcpy(entry + UNPACKED, large, 4);
    assert_load_fails(put_file("bomb.npz", bytes, size), BNN_TRAIN,
                      "train_images: found 2130706432 bytes packed into", "which cannot be");
    memcpy(entry + UNPACKED, slightly, 4); /* what could be, but is not */
    assert_load_fails(put_file("more.npz", bytes, size), BNN_TRAIN, "more.npz: train_images: ");
    memcpy(entry + UNPACKED, small, 4);
    assert_load_fails(put_file("less.npz", bytes, size), BNN_TRAIN, "less.npz: train_images: ");
    memcpy(entry, kept, sizeof kept);
    memcpy(entry + PACKED, large, 4);
    assert_load_fails(put_file("packed.npz", bytes, size), BNN_TRAIN, "packed.npz");
    memcpy(entry, kept, sizeof kept);
    entry[10] = 12; /* bzip2 */
    assert_load_fails(put_file("bzip2.npz", bytes, size), BNN_TRAIN, "bzip2.npz");
    memcpy(entry, kept, sizeof kept);
    entry[8] |= 1; /* encrypted */
    assert_load_fails(put_file("secret.npz", bytes, size), BNN_TRAIN, "secret.npz");
    assert_int_equal(bnn_data_source_of(put_file("what.npz", bytes, size)) == bnn_data_source_find("npz"), 1);
    assert_null(bnn_data_source_of(put_file("what.txt", "text", 4)));
}

int main(void)
{
    fill_pixels();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_splits_of_medmnist), cmocka_unit_test(reads_other_layouts),
        cmocka_unit_test(missing_arrays_are_named),     cmocka_unit_test(bad_arrays_are_named),
        cmocka_unit_test(other_files_are_refused),      cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(damaged_data_is_refused),      cmocka_unit_test(sizes_that_lie_are_refused),
    };
    return cmocka_run_group_tests(tests, make_temporary_directory, remove_temporary_directory);
}
