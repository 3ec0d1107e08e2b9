/* Readers of untrusted bytes under libFuzzer (clang). BNN_FUZZ names the reader; tests/fuzz.sh runs all of them. A reader may refuse
 * what it gets with one line; it may not crash, leak, read past a buffer or ask for memory on a header's word. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bnn/config.h"
#include "bnn/io.h"
#include "bnn/model.h"
#include "bnn/settings.h"
#include "data/array.h"
#include "data/png.h"
#include "run/checkpoint.h"

/* A failure leaves a message, of which the commands make one line. */
static void check(bnn_status status, const bnn_error *error)
{
    if (!status) return;
    if (error->status != status || !error->message[0]) abort();
}

static void read_model(const char *name, const uint8_t *bytes, size_t size)
{
    bnn_model *model = NULL;
    bnn_error error;
    check(bnn_model_parse(name, bytes, size, &model, NULL, &error), &error);
    bnn_model_free(model);
}

static void read_checkpoint(const char *path, const uint8_t *bytes, size_t size)
{
    bnn_checkpoint checkpoint;
    bnn_error error;
    (void)bytes, (void)size;
    check(bnn_checkpoint_load(path, &checkpoint, &error), &error);
    bnn_checkpoint_free(&checkpoint);
}

static void read_config(const char *name, const uint8_t *bytes, size_t size)
{
    bnn_config config;
    bnn_error error;
    uint8_t *text = malloc(size + 1);
    if (!text) return;
    memcpy(text, bytes, size);
    text[size] = 0;
    check(bnn_settings_read_text(name, text, size, NULL, 0, &config, &error), &error);
    free(text);
}

static void read_set(const char *name, const uint8_t *bytes, size_t size)
{
    char set[4096];
    const char *sets[] = {set};
    bnn_config config;
    bnn_error error;
    if (size >= sizeof set) return;
    memcpy(set, bytes, size);
    set[size] = '\0';
    check(bnn_settings_parse(name, "{\"data\": {\"name\": \"fashion-mnist\"}}", sets, 1, &config, &error),
          &error);
}

/* IDX and .npy, gzip-compressed or not. */
static void read_array(const char *path, const uint8_t *bytes, size_t size)
{
    bnn_array array = {.rank = 0};
    bnn_error error;
    (void)bytes, (void)size;
    check(bnn_array_read(path, &array, &error), &error);
    bnn_array_free(&array);
}

static void read_png(const char *path, const uint8_t *bytes, size_t size)
{
    bnn_png image = {.height = 0};
    bnn_error error;
    (void)bytes, (void)size;
    check(bnn_png_read(path, &image, &error), &error);
    bnn_png_free(&image);
}

static void read_npz(const char *path, const uint8_t *bytes, size_t size)
{
    const bnn_data_options options = {.background = NAN};
    bnn_data_paths paths = {.name = "npz"};
    bnn_dataset *train = NULL;
    bnn_error error;
    (void)bytes, (void)size;
    snprintf(paths.path, sizeof paths.path, "%s", path);
    check(bnn_dataset_load(&paths, BNN_TRAIN, &options, &train, &error), &error);
    bnn_dataset_free(train);
}

/* As the one file of its training images, in the folder that fuzz.sh makes and removes. */
static void read_cifar(const char *path, const uint8_t *bytes, size_t size)
{
    static const char link[] = "fuzz-cifar/train.bin";
    const bnn_data_options options = {.background = NAN};
    const bnn_data_paths paths = {.name = "cifar100", .dir = "fuzz-cifar"};
    bnn_dataset *train = NULL;
    bnn_error error;
    (void)bytes, (void)size;
    if (symlink(path, link) != 0) abort();
    check(bnn_dataset_load(&paths, BNN_TRAIN, &options, &train, &error), &error);
    bnn_dataset_free(train);
    if (unlink(link) != 0) abort();
}

static const struct target {
    const char *name;
    void (*read)(const char *path, const uint8_t *bytes, size_t size);
} targets[] = {{"model", read_model},   {"checkpoint", read_checkpoint},
               {"config", read_config}, {"set", read_set},
               {"array", read_array},   {"png", read_png},
               {"npz", read_npz},       {"cifar", read_cifar}};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *name = getenv("BNN_FUZZ");
    char path[64];
    const int file = memfd_create("fuzz", 0);
    if (file < 0 || write(file, bytes, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        if (name && strcmp(name, targets[i].name) == 0) targets[i].read(path, bytes, size);
    close(file);
    return 0;
}
