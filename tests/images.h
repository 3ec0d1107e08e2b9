/* A small data set for tests: 8 x 8 images of three classes, none of them symmetric, as IDX files. */
#ifndef BNN_TESTS_IMAGES_H
#define BNN_TESTS_IMAGES_H

#include <math.h>

#include "bnn/rng.h"
#include "files.h"

enum { IMAGES = 64, SIDE = 8, CLASSES = 3 };

static inline size_t put_idx_header(uint8_t *bytes, size_t rank, const size_t *shape)
{
    memcpy(bytes, (const uint8_t[]){0, 0, 8, (uint8_t)rank}, 4);
    for (size_t i = 0; i < 4 * rank; i++) bytes[4 + i] = (uint8_t)(shape[i / 4] >> (24 - 8 * (i % 4)));
    return 4 + 4 * rank;
}

/* IDX images (count, height, width): a bright bar whose place tells the class, under noise. */
static inline const char *put_images(const char *name, size_t count, size_t height, size_t width)
{
    uint8_t *bytes = malloc(16 + count * height * width);
    assert_non_null(bytes);
    size_t at = put_idx_header(bytes, 3, (const size_t[]){count, height, width});
    bnn_pcg32 rng = bnn_stream_open(bnn_stream_of(count, BNN_STREAM_SHUFFLE, 0, 0, 0));
    for (size_t i = 0; i < count; i++)
        for (size_t y = 0; y < height; y++)
            for (size_t x = 0; x < width; x++)
                bytes[at++] =
                    (uint8_t)((y == 1 + 2 * (i % CLASSES) && x < 5 ? 155 : 0) + bnn_pcg32_below(&rng, 100));
    const char *path = put_file(name, bytes, at);
    free(bytes);
    return path;
}

/* Labels that fit put_images; the last one is `last` (i % CLASSES to fit). */
static inline const char *put_labels(const char *name, size_t count, uint8_t last)
{
    uint8_t *bytes = malloc(8 + count);
    assert_non_null(bytes);
    size_t at = put_idx_header(bytes, 1, &count);
    for (size_t i = 0; i < count; i++) bytes[at++] = (uint8_t)(i % CLASSES);
    bytes[at - 1] = last;
    const char *path = put_file(name, bytes, at);
    free(bytes);
    return path;
}

/* The four files, and in `text` a configuration of a short training on them, with `more` further members. */
static inline void put_data_set(void)
{
    put_images("train-images", IMAGES, SIDE, SIDE);
    put_labels("train-labels", IMAGES, (IMAGES - 1) % CLASSES);
    put_images("test-images", IMAGES / 2, SIDE, SIDE);
    put_labels("test-labels", IMAGES / 2, (IMAGES / 2 - 1) % CLASSES);
}

static inline const char *small_config(char *text, size_t size)
{
    const char *d = temporary_directory;
    const int length = snprintf(
        text, size,
        "{\"seed\": 5, \"data\": {\"name\": \"idx\", \"train_images\": \"%s/train-images\",\n"
        " \"train_labels\": \"%s/train-labels\", \"test_images\": \"%s/test-images\",\n"
        " \"test_labels\": \"%s/test-labels\"}, \"group\": \"C4\",\n"
        " \"model\": {\"type\": \"fcnn\", \"channels\": [8, 8], \"hidden\": [8]},\n"
        " \"train\": {\"epochs\": 2, \"batch_size\": 16, \"samples\": 1, \"schedule\": \"constant\",\n"
        " \"optimizer\": {\"name\": \"sgd\"}}, \"eval\": {\"samples\": 2, \"every\": 1}}\n",
        d, d, d, d);
    assert_true(length > 0 && (size_t)length < size);
    return text;
}

/* The same as a file, config.json; its path. */
static inline const char *put_small_config(void)
{
    char text[1024];
    small_config(text, sizeof text);
    return put_file("config.json", text, strlen(text));
}

#endif
