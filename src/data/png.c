#include "data/png.h"

#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/io.h"
#include "data/array.h"
#include "data/source.h"

/* libpng leaves a failed call by longjmp, so all that outlives one stands here and not in variables. */
typedef struct decoding {
    const char *path;
    const uint8_t *bytes;
    size_t size, at; /* of the file; what libpng has taken of it */
    png_structp png;
    png_infop info;
    png_bytep *rows;
    uint8_t *pixels; /* (height, width, channels with alpha) */
    size_t height, width, channels, sample;
    size_t packed_row; /* bytes of a row as the file has it, once inflated */
    char why[200];     /* libpng's own word */
} decoding;

static void on_error(png_structp png, png_const_charp message)
{
    decoding *d = png_get_error_ptr(png);
    snprintf(d->why, sizeof d->why, "%s", message);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png, (void)message;
}

static void take_bytes(png_structp png, png_bytep out, size_t count)
{
    decoding *d = png_get_io_ptr(png);
    if (count > d->size - d->at) png_error(png, "it is cut short");
    memcpy(out, d->bytes + d->at, count);
    d->at += count;
}

static bnn_status damaged(const decoding *d, bnn_error *error)
{
    return bnn_fail(error, BNN_BAD_INPUT, "%s: is a damaged PNG file, at byte %zu of %zu: %s", d->path, d->at,
                    d->size, d->why);
}

/* The header, and what is to become of the samples. */
static bnn_status read_header(decoding *d, bnn_error *error)
{
    if (setjmp(png_jmpbuf(d->png))) return damaged(d, error);
    png_set_read_fn(d->png, d, take_bytes);
    png_set_user_limits(d->png, 65536, 65536);
    png_read_info(d->png, d->info);
    d->packed_row = png_get_rowbytes(d->png, d->info);
    png_set_expand(d->png);
    png_set_interlace_handling(d->png);
    png_read_update_info(d->png, d->info);
    d->height = png_get_image_height(d->png, d->info);
    d->width = png_get_image_width(d->png, d->info);
    d->channels = png_get_channels(d->png, d->info);
    d->sample = png_get_bit_depth(d->png, d->info) / 8u;
    return BNN_OK;
}

/* Memory for what the header tells, if the file can hold that. */
static bnn_status make_room(decoding *d, bnn_error *error)
{
    const size_t row = d->width * d->channels * d->sample;
    if (!bnn_can_inflate_to(d->size, d->height * d->packed_row))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: found %zu x %zu pixels (H x W) in its header, more than its %zu bytes can hold",
                        d->path, d->height, d->width, d->size);
    d->pixels = bnn_alloc(d->height, row);
    d->rows = bnn_alloc(d->height, sizeof *d->rows);
    if (!d->pixels || !d->rows) return bnn_no_memory(error, d->path, d->height, row);
    for (size_t y = 0; y < d->height; y++) d->rows[y] = d->pixels + y * row;
    return BNN_OK;
}

static bnn_status read_pixels(decoding *d, bnn_error *error)
{
    if (setjmp(png_jmpbuf(d->png))) return damaged(d, error);
    png_read_image(d->png, d->rows);
    png_read_end(d->png, NULL);
    return BNN_OK;
}

/* Leaves out an alpha channel, of an image that is opaque all over. */
static bnn_status drop_alpha(decoding *d, bnn_error *error)
{
    const size_t from = d->channels * d->sample, to = from - d->sample;
    if (d->channels % 2) return BNN_OK; /* grey or colour without it */
    for (size_t i = 0; i < d->height * d->width; i++) {
        const uint64_t alpha = bnn_load(d->pixels + i * from + to, d->sample, true);
        if (alpha != (d->sample == 1 ? 255 : 65535))
            return bnn_fail(error, BNN_BAD_INPUT,
                            "%s: row %zu, column %zu is transparent (alpha %llu), expected an opaque image",
                            d->path, i / d->width, i % d->width, (unsigned long long)alpha);
        memmove(d->pixels + i * to, d->pixels + i * from, to);
    }
    d->channels--;
    return BNN_OK;
}

static bnn_status decode(decoding *d, bnn_error *error)
{
    if (d->size < 8 || png_sig_cmp(d->bytes, 0, 8))
        return bnn_fail(error, BNN_BAD_INPUT, "%s: is no PNG file by its first bytes", d->path);
    d->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, d, on_error, on_warning);
    d->info = d->png ? png_create_info_struct(d->png) : NULL;
    bnn_status status = d->info ? BNN_OK : bnn_no_memory(error, d->path, 1, 0);
    if (!status) status = read_header(d, error);
    if (!status) status = make_room(d, error);
    if (!status) status = read_pixels(d, error);
    if (!status) status = drop_alpha(d, error);
    return status;
}

bnn_status bnn_png_read(const char *path, bnn_png *image, bnn_error *error)
{
    decoding d = {.path = path};
    uint8_t *bytes;
    *image = (bnn_png){0};
    bnn_status status = bnn_read_file(path, BNN_FILE_MOST, &bytes, &d.size, error);
    if (status) return status;
    d.bytes = bytes;
    status = decode(&d, error);
    png_destroy_read_struct(&d.png, &d.info, NULL);
    free(d.rows);
    free(bytes);
    if (status)
        free(d.pixels);
    else
        *image = (bnn_png){d.height, d.width, d.channels, d.sample, d.pixels};
    return status;
}

void bnn_png_free(bnn_png *image)
{
    free(image->pixels);
    *image = (bnn_png){0};
}

/* ---- another size ------------------------------------------------------------------------------------------ */

/* out (rows, to, inner) <- in (rows, from, inner), filtered along the middle axis. */
static void filter(const double *in, size_t rows, size_t from, size_t inner, size_t to, double *out)
{
    const double step = (double)from / (double)to, reach = fmax(step, 1);
    for (size_t k = 0; k < to; k++) {
        const double centre = ((double)k + 0.5) * step - 0.5; /* of pixel k, on the grid of `in` */
        const size_t first = (size_t)fmax(ceil(centre - reach), 0);
        const size_t last = (size_t)fmin(floor(centre + reach), (double)(from - 1));
        double sum = 0;
        for (size_t j = first; j <= last; j++) sum += 1 - fabs((double)j - centre) / reach;
        for (size_t r = 0; r < rows; r++)
            for (size_t j = first; j <= last; j++) {
                const double weight = (1 - fabs((double)j - centre) / reach) / sum;
                for (size_t i = 0; i < inner; i++)
                    out[(r * to + k) * inner + i] += weight * in[(r * from + j) * inner + i];
            }
    }
}

bnn_status bnn_png_resize(const char *name, bnn_png *image, size_t height, size_t width, bnn_error *error)
{
    const size_t channels = image->channels, bytes = image->bytes, row = image->width * channels;
    const size_t count = height * width * channels;
    if (image->height == height && image->width == width) return BNN_OK;
    double *in = bnn_alloc(image->height, row * sizeof *in);
    double *half = bnn_alloc(height, row * sizeof *half), *out = bnn_alloc(count, sizeof *out);
    uint8_t *pixels = bnn_alloc(count, bytes);
    if (in && half && out && pixels) {
        for (size_t i = 0; i < image->height * row; i++)
            in[i] = (double)bnn_load(image->pixels + i * bytes, bytes, true);
        filter(in, 1, image->height, row, height, half);
        filter(half, height, image->width, channels, width, out);
        for (size_t i = 0; i < count; i++) {
            const unsigned value = (unsigned)(out[i] + 0.5);
            if (bytes == 2) pixels[2 * i] = (uint8_t)(value >> 8);
            pixels[bytes * i + bytes - 1] = (uint8_t)value;
        }
    }
    free(out);
    free(half);
    free(in);
    if (!in || !half || !out || !pixels) {
        free(pixels);
        return bnn_no_memory(error, name, count, sizeof(double));
    }
    free(image->pixels);
    *image = (bnn_png){height, width, channels, bytes, pixels};
    return BNN_OK;
}
