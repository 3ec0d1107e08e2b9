/* PNG files for tests, made with libpng. */
#ifndef BNN_TESTS_PICTURES_H
#define BNN_TESTS_PICTURES_H

#include <png.h>
#include <stdbool.h>

#include "files.h"

typedef struct picture {
    size_t height, width;
    int depth, type;      /* bits a sample, PNG_COLOR_TYPE_... */
    const uint8_t *bytes; /* rows as PNG packs them */
    bool interlaced;
    const png_color *palette; /* of 4 colours, for PNG_COLOR_TYPE_PALETTE */
    const uint8_t *alphas;    /* of the 4 colours, or NULL */
} picture;

/* The bytes of a row: packed to whole ones. */
static inline size_t row_bytes(const picture *p)
{
    const size_t samples = p->type == PNG_COLOR_TYPE_RGB          ? 3
                           : p->type == PNG_COLOR_TYPE_RGB_ALPHA  ? 4
                           : p->type == PNG_COLOR_TYPE_GRAY_ALPHA ? 2
                                                                  : 1;
    return (p->width * samples * (size_t)p->depth + 7) / 8;
}

/* Writes the picture to a file of that path, folders and all. */
static inline const char *put_picture_at(const char *path, const picture *p)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, file);
    png_set_IHDR(png, info, (png_uint_32)p->width, (png_uint_32)p->height, p->depth, p->type,
                 p->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (p->palette) png_set_PLTE(png, info, p->palette, 4);
    if (p->alphas) png_set_tRNS(png, info, p->alphas, 4, NULL);
    png_write_info(png, info);
    const int passes = png_set_interlace_handling(png);
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < p->height; y++) png_write_row(png, p->bytes + y * row_bytes(p));
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    assert_int_equal(fclose(file), 0);
    return path;
}

static inline const char *put_picture(const char *name, const picture *p)
{
    return put_picture_at(in_temporary(name), p);
}

/* A grey picture of 8 bits, all of one value. */
static inline const char *put_grey(const char *name, size_t height, size_t width, uint8_t value)
{
    uint8_t bytes[64 * 64];
    assert_true(height * width <= sizeof bytes);
    memset(bytes, value, sizeof bytes);
    return put_picture(name, &(picture){height, width, 8, PNG_COLOR_TYPE_GRAY, bytes, false, NULL, NULL});
}

/* Makes the folder, and those above it, in the temporary one. */
static inline void put_folder(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s", in_temporary(name));
    for (char *slash = strchr(path + strlen(temporary_directory) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0777);
        *slash = '/';
    }
    mkdir(path, 0777);
}

#endif
