/* The action of a group on the pixels of an image and on the offsets of a kernel. */
#include <math.h>
#include <stdlib.h>

#include "bnn/group.h"

/* cos and sin of a k-th of n turns, exact for multiples of 90 degrees. */
static void rotation_of(size_t k, size_t n, double *cosine, double *sine)
{
    static const double quarter[] = {1, 0, -1, 0};
    if (4 * k % n == 0) {
        *cosine = quarter[4 * k / n];
        *sine = quarter[(4 * k / n + 3) % 4];
    } else {
        const double angle = 2 * acos(-1.0) * (double)k / (double)n;
        *cosine = cos(angle);
        *sine = sin(angle);
    }
}

/* g^-1 (row, column): where (g.x)(row, column) is read from. Rotations turn about ((H-1)/2, (W-1)/2). With
 * rows growing downwards, turning back by t takes (y, x) to (y cos t + x sin t, -y sin t + x cos t), and (r^k
 * f)^-1 = f r^-k. Whole numbers come out exactly when the element permutes the pixels. */
static void read_from(const bnn_group *group, size_t element, size_t height, size_t width, size_t row,
                      size_t column, double *from_row, double *from_column)
{
    const size_t n = group->n;
    if (group->kind == BNN_GROUP_TRANSLATION) {
        *from_row = (double)((row + height - element / n * (height / n)) % height);
        *from_column = (double)((column + width - element % n * (width / n)) % width);
        return;
    }
    const double middle_row = (double)(height - 1) / 2, middle_column = (double)(width - 1) / 2;
    const double y = (double)row - middle_row, x = (double)column - middle_column;
    double cosine, sine;
    rotation_of(element % n, n, &cosine, &sine);
    const double back_x = x * cosine - y * sine;
    *from_row = middle_row + y * cosine + x * sine;
    *from_column = middle_column + (element < n ? back_x : -back_x);
}

bool bnn_group_is_exact(const bnn_group *group, size_t height, size_t width)
{
    if (height == 1 && width == 1) return group->kind != BNN_GROUP_TRANSLATION || group->n == 1;
    if (group->kind == BNN_GROUP_TRANSLATION) return height % group->n == 0 && width % group->n == 0;
    return group->n <= 2 || (group->n == 4 && height == width);
}

/* source (order, H*W) of a group that permutes the grid. */
static void fill_sources(const bnn_group *group, size_t height, size_t width, uint32_t *source)
{
    for (size_t g = 0; g < group->order; g++)
        for (size_t i = 0; i < height; i++)
            for (size_t j = 0; j < width; j++) {
                double row, column;
                read_from(group, g, height, width, i, j, &row, &column);
                *source++ = (uint32_t)row * (uint32_t)width + (uint32_t)column;
            }
}

/* The four bilinear taps (top left, top right, bottom left, bottom right) around a point. */
static void fill_taps(size_t height, size_t width, double row, double column, uint32_t *tap, bnn_real *weight)
{
    const double top = floor(row), left = floor(column);
    for (size_t t = 0; t < 4; t++) {
        const double y = top + (double)(t / 2), x = left + (double)(t % 2);
        const bool inside = y >= 0 && y < (double)height && x >= 0 && x < (double)width;
        tap[t] = inside ? (uint32_t)y * (uint32_t)width + (uint32_t)x : 0;
        weight[t] = inside ? (bnn_real)((1 - fabs(row - y)) * (1 - fabs(column - x))) : 0;
    }
}

static void fill_all_taps(const bnn_group *group, bnn_grid_action *action)
{
    const size_t height = action->height, width = action->width;
    uint32_t *tap = action->tap;
    bnn_real *weight = action->weight;
    for (size_t g = 0; g < group->order; g++)
        for (size_t i = 0; i < height; i++)
            for (size_t j = 0; j < width; j++, tap += 4, weight += 4) {
                double row, column;
                read_from(group, g, height, width, i, j, &row, &column);
                fill_taps(height, width, row, column, tap, weight);
            }
}

bnn_status bnn_grid_check(const bnn_group *group, size_t height, size_t width, bnn_error *error)
{
    if (height == 0 || width == 0 || height > UINT32_MAX / width ||
        height * width > SIZE_MAX / 4 / group->order)
        return bnn_fail(error, BNN_BAD_INPUT, "found a grid of %zu x %zu pixels, expected 1 to %u of them",
                        height, width, UINT32_MAX);
    if (group->kind == BNN_GROUP_TRANSLATION && !bnn_group_is_exact(group, height, width))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s does not act on a grid of %zu x %zu: expected height and width divisible by %zu",
                        group->name, height, width, group->n);
    if (group->kind != BNN_GROUP_TRANSLATION && group->n % 4 == 0 && height != width)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "%s has quarter turns, which do not act on a grid of %zu x %zu: expected height = width",
            group->name, height, width);
    return BNN_OK;
}

bnn_status bnn_grid_action_create(const bnn_group *group, size_t height, size_t width,
                                  bnn_grid_action **action, bnn_error *error)
{
    *action = NULL;
    const bnn_status status = bnn_grid_check(group, height, width, error);
    if (status) return status;
    bnn_grid_action *result = bnn_alloc(1, sizeof *result);
    if (!result) return bnn_no_memory(error, "a group action", 1, sizeof *result);
    const size_t count = group->order * height * width;
    *result = (bnn_grid_action){.order = group->order, .height = height, .width = width};
    result->exact = bnn_group_is_exact(group, height, width);
    if (result->exact)
        result->source = bnn_alloc(count, sizeof *result->source);
    else {
        result->tap = bnn_alloc(4 * count, sizeof *result->tap);
        result->weight = bnn_alloc(4 * count, sizeof *result->weight);
    }
    if (result->exact ? !result->source : !result->tap || !result->weight) {
        bnn_grid_action_free(result);
        return bnn_no_memory(error, "a group action", count, sizeof *result->source);
    }
    if (result->exact)
        fill_sources(group, height, width, result->source);
    else
        fill_all_taps(group, result);
    *action = result;
    return BNN_OK;
}

void bnn_grid_action_free(bnn_grid_action *action)
{
    if (!action) return;
    free(action->weight);
    free(action->tap);
    free(action->source);
    free(action);
}

void bnn_grid_action_apply(const bnn_grid_action *action, size_t element, const bnn_real *in, size_t channels,
                           bnn_real background, bnn_real *out)
{
    const size_t pixels = action->height * action->width;
    for (size_t c = 0; c < channels; c++, in += pixels, out += pixels) {
        if (action->exact) {
            const uint32_t *source = action->source + element * pixels;
            for (size_t p = 0; p < pixels; p++) out[p] = in[source[p]];
            continue;
        }
        const uint32_t *tap = action->tap + element * pixels * 4;
        const bnn_real *weight = action->weight + element * pixels * 4;
        for (size_t p = 0; p < pixels; p++, tap += 4, weight += 4) {
            bnn_real sum = 0, covered = 0;
            for (size_t t = 0; t < 4; t++) {
                sum += weight[t] * in[tap[t]];
                covered += weight[t];
            }
            out[p] = sum + (1 - covered) * background;
        }
    }
}

/* Eighths of a turn of a 3 x 3 kernel shift its outer ring, listed here counter-clockwise from the top left;
 * the left-right flip takes place t of the ring to 6 - t. Two eighths are the quarter turn of the pixels. */
static void fill_ring_sources(const bnn_group *group, uint32_t *source)
{
    static const uint32_t ring[8] = {0, 3, 6, 7, 8, 5, 2, 1};
    for (size_t g = 0; g < group->order; g++, source += 9) {
        source[4] = 4;
        for (size_t t = 0; t < 8; t++) {
            const size_t back = t + 8 - g % 8;
            source[ring[t]] = ring[(g < 8 ? back : 6 + 16 - back) % 8];
        }
    }
}

bnn_status bnn_group_kernel_action(const bnn_group *group, size_t kernel, uint32_t **source, bnn_error *error)
{
    const bool fixed = kernel == 1 || group->kind == BNN_GROUP_TRANSLATION;
    const bool ring = group->n == 8 && kernel == 3;
    *source = NULL;
    if (kernel % 2 == 0 || kernel > UINT16_MAX)
        return bnn_fail(error, BNN_BAD_INPUT, "found a kernel of side %zu, expected an odd side", kernel);
    if (!fixed && !ring && !bnn_group_is_exact(group, kernel, kernel))
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "%s has no exact action on a %zu x %zu kernel: expected C1, C2, C4, D1, D2, D4 or T<k>, or C8 "
            "or D8 with 3 x 3 kernels",
            group->name, kernel, kernel);
    const size_t places = kernel * kernel;
    uint32_t *result = bnn_alloc(group->order * places, sizeof *result);
    if (!result) return bnn_no_memory(error, "a kernel's action", group->order * places, sizeof *result);
    if (fixed)
        for (size_t i = 0; i < group->order * places; i++) result[i] = (uint32_t)(i % places);
    else if (ring)
        fill_ring_sources(group, result);
    else
        fill_sources(group, kernel, kernel, result);
    *source = result;
    return BNN_OK;
}
