/* Labelled images in memory, and the sources that they come from: one row of bnn_data_sources and one file each. */
#ifndef BNN_DATASET_H
#define BNN_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bnn/real.h"
#include "bnn/row.h"
#include "bnn/status.h"

#define BNN_TYPE_NAME 16
#define BNN_LABEL_NAME 64 /* bytes of the name of a class or a part, with its zero */
#define BNN_NUMBERS 64    /* entries of a list of numbers at most */

/* The smallest and the largest value of pixels; NaN where they are not known. */
typedef struct bnn_range {
    double least, most;
} bnn_range;

/* A list of numbers, as `data.ising.temperatures`. */
typedef struct bnn_numbers {
    size_t count;
    double value[BNN_NUMBERS];
} bnn_numbers;

/* Labelled images; labels may be NULL (prediction needs none). */
typedef struct bnn_dataset {
    size_t count, channels, height, width;
    size_t classes;           /* of the data set when known, else largest label + 1, else 0 */
    char type[BNN_TYPE_NAME]; /* of a pixel as it was stored: "uint8", "float32" */
    bool scaled;              /* x/127.5 - 1 was made of it */
    bnn_range pixels;         /* of all images as they were read, after scaling and before padding */
    bnn_real background;      /* the value of what lies around an image */
    bnn_real *images;         /* (count, channels, height, width) */
    uint32_t *labels;         /* (count) */
    char (*class_names)[BNN_LABEL_NAME]; /* (classes), empty where one has none; NULL: none has */

    /* Parts that are evaluated apart too, an image in one of them; 0: there are none. */
    size_t part_count;
    char (*part_names)[BNN_LABEL_NAME]; /* (part_count) */
    uint32_t *parts;                    /* (count) */
} bnn_dataset;

void bnn_dataset_free(bnn_dataset *dataset);

typedef enum bnn_scale { BNN_SCALE_AUTO, BNN_SCALE_NONE } bnn_scale;
extern const char
    *const bnn_scale_names[]; /* "auto": uint8 to -1..1, the rest as it is; "none": all as it is; NULL */

/* What is known of images and labels before they are read. Where a function takes a pointer to it, NULL stands for: nothing,
 * and scale auto. */
typedef struct bnn_data_options {
    size_t input
        [3]; /* C, H, W of the model's input: decides where an array can be read in two ways; zeros: not known */
    size_t pad;        /* background pixels that images may lack on every side of `input` */
    size_t classes;    /* labels are integers in 0..classes-1; 0: not known */
    bnn_scale scale;   /* of images */
    double background; /* NaN: the smallest value of the images, after scaling */
} bnn_data_options;

/* Where a data set comes from: what the `data` section of a configuration tells a source. Empty strings are unset. */
typedef struct bnn_data_paths {
    char name[32];
    char dir[1024];
    char train_images[1024], train_labels[1024];
    char validation_images[1024], validation_labels[1024];
    char test_images[1024], test_labels[1024];
    char path[1024];    /* the one file or folder that holds all splits */
    int labels;         /* an index into bnn_label_names */
    bnn_numbers resize; /* height and width, or one number for both; none: as the images are */
    size_t seed;        /* of images that are drawn, and of what data.rotate and data.repartition draw */
    struct {
        size_t size;                   /* sites on a side */
        bnn_numbers temperatures;      /* of training images, in units of J/k_B */
        bnn_numbers test_temperatures; /* none: the same */
        bnn_numbers window;            /* two: temperatures within are a part; none: each is one */
        size_t train_per_temperature, test_per_temperature; /* images */
    } ising;
} bnn_data_paths;

extern const char *const bnn_label_names[]; /* "fine", "coarse", NULL */

typedef enum bnn_split { BNN_TRAIN, BNN_VALIDATION, BNN_TEST } bnn_split;

/* A source of data: one file and one row of bnn_data_sources. */
typedef struct bnn_data_source {
    bnn_row row; /* its keys: those that it reads and that other sources may not */

    /* Loads a split. BNN_OK with *dataset NULL: the source has no such split; a training split it always has. */
    bnn_status (*load)(const bnn_data_paths *paths, bnn_split split, const bnn_data_options *options,
                       bnn_dataset **dataset, bnn_error *error);

    /* Whether a file or folder is one that the source reads as its data.path; NULL: it reads none. */
    bool (*reads)(const char *path);
} bnn_data_source;

extern const bnn_data_source *const bnn_data_sources[];        /* NULL-terminated */
const bnn_row *bnn_data_row(size_t i);                         /* the registry */
const bnn_data_source *bnn_data_source_find(const char *name); /* NULL: there is none */
const bnn_data_source *bnn_data_source_of(const char *path);   /* that reads it as its data.path; or NULL */

/* Loads a split of the source paths->name, as its row says; an unknown name's error lists the known ones. */
bnn_status bnn_dataset_load(const bnn_data_paths *paths, bnn_split split, const bnn_data_options *options,
                            bnn_dataset **dataset, bnn_error *error);

/* Images, and labels unless labels_path is NULL, from files in any array format (IDX, .npy; gzip-compressed or not), told by
 * their first bytes.
 * Images: (N,H,W), (N,C,H,W) or (N,H,W,C) with any number of channels C. Of the latter two, options->input decides. Where it
 * does not: channels first if the second axis is 1, 3 or 4; otherwise last if the fourth is; otherwise what makes images
 * square; otherwise what makes fewer channels; otherwise first.
 * uint8 is scaled to x/127.5 - 1 under scale auto; float, bool and other integers are taken as they are.
 * Labels: as bnn_labels_read says. */
bnn_status bnn_dataset_read(const char *images_path, const char *labels_path, const bnn_data_options *options,
                            bnn_dataset **dataset, bnn_error *error);

/* *labels (count; freed with free()) <- those of a file in any array format: (N) or (N,1) of exactly `count` integers, of any
 * type, in 0..classes-1; classes 0: in 0..65535. */
bnn_status bnn_labels_read(const char *path, size_t count, size_t classes, uint32_t **labels,
                           bnn_error *error);

/* The rows `indices` (n) of a data set, as a new one. */
bnn_status bnn_dataset_subset(const bnn_dataset *from, const size_t *indices, size_t n, bnn_dataset **dataset,
                              bnn_error *error);

/* The images of `first`, then those of `second`, of one type and shape, as a new data set without parts: background as `first`,
 * ranges and classes those of both, names those of the one with more classes. BNN_BAD_INPUT when the types differ. */
bnn_status bnn_dataset_join(const bnn_dataset *first, const bnn_dataset *second, bnn_dataset **dataset,
                            bnn_error *error);

/* BNN_BAD_INPUT, on every rank, where one has other images, labels or background than rank 0 (bnn_ranks_agree). */
bnn_status bnn_dataset_agree(const char *what, const bnn_dataset *data, bnn_error *error);

/* *shared <- how many images of `a` are also in `b`, pixel by pixel (by a hash of 64 bits); none where shapes differ. */
bnn_status bnn_dataset_shared(const bnn_dataset *a, const bnn_dataset *b, size_t *shared, bnn_error *error);

/* Adds `pad` background pixels on every side, in place. */
bnn_status bnn_dataset_pad(bnn_dataset *dataset, size_t pad, bnn_error *error);

#endif
