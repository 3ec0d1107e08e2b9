/* Images over their orbit and their predicted distributions, as one page of small plots. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/picture.h"
#include "pictures/gnuplot.h"

/* Sizes in pixels: of an image's cell, of the bars under it, of what stands around. */
enum { CELL = 170, BARS = 90, GAP = 24, LEFT = 90, TITLE = 56, HEADER = 20 };

/* More classes than this are not numbered. */
enum { NUMBERED_CLASSES = 20 };

typedef struct page {
    const bnn_orbit_picture *picture;
    FILE *script;
    double width, height; /* pixels */
    double least, most;   /* of the pixel values */
} page;

static double row_height(const bnn_orbit_picture *o)
{
    return CELL + (o->classes ? BARS + 2 * GAP : GAP);
}

/* The plot that follows fills this rectangle; `top` in pixels from the upper edge. */
static void place(const page *p, double left, double top, double width, double height)
{
    fprintf(p->script,
            "set lmargin at screen %.6f\nset rmargin at screen %.6f\nset tmargin at screen %.6f\n"
            "set bmargin at screen %.6f\n",
            left / p->width, (left + width) / p->width, 1 - top / p->height, 1 - (top + height) / p->height);
}

static void put_label(const page *p, const char *text, double left, double top, const char *how)
{
    fprintf(p->script, "set label ");
    gnuplot_quote(p->script, text);
    fprintf(p->script, " at screen %.6f, screen %.6f %s noenhanced\n", left / p->width, 1 - top / p->height,
            how);
}

static void put_image(const page *p, const bnn_real *pixels)
{
    const bnn_orbit_picture *o = p->picture;
    const size_t plane = o->height * o->width;
    const double scale = p->most > p->least ? 255 / (p->most - p->least) : 0;
    fprintf(p->script, "$image << END\n");
    for (size_t i = 0; i < plane; i++) {
        fprintf(p->script, "%zu %zu", i % o->width, i / o->width);
        for (size_t c = 0; c < 3; c++) {
            const bnn_real value = pixels[o->channels == 3 ? c * plane + i : i];
            fprintf(p->script, " %.0f", ((double)value - p->least) * scale);
        }
        fputc('\n', p->script);
    }
    fprintf(p->script,
            "END\nset xrange [-0.5:%zu-0.5]\nset yrange [%zu-0.5:-0.5]\nunset xtics\nunset ytics\n"
            "plot $image using 1:2:3:4:5 with rgbimage notitle\nunset label\n",
            o->width, o->height);
}

/* Bars from 0 to 1, that of the label in another colour. */
static void put_bars(const page *p, size_t image, size_t element)
{
    const bnn_orbit_picture *o = p->picture;
    const size_t at = (image * o->order + element) * o->classes;
    fprintf(p->script, "$bars << END\n");
    for (size_t c = 0; c < o->classes; c++)
        fprintf(p->script, "%zu %.9g %.9g %d\n", c, o->mean[at + c], o->deviation[at + c],
                o->labels && o->labels[image] == c ? 0x2a9d5c : 0x4878a8);
    fprintf(p->script, "END\nset xrange [-0.6:%zu-0.4]\nset yrange [0:1]\n", o->classes);
    if (o->classes <= NUMBERED_CLASSES) fprintf(p->script, "set xtics 0,1 scale 0 offset 0,0.4\n");
    fprintf(p->script, element ? "unset ytics\n" : "set ytics 0,0.5,1 scale 0.5\n");
    fprintf(p->script,
            "plot $bars using 1:2:4 with boxes linecolor rgb variable notitle, "
            "$bars using 1:($2-$3):(0):(2*$3) with vectors nohead linecolor rgb '#202020' notitle\n");
}

static void put_row(const page *p, size_t image)
{
    const bnn_orbit_picture *o = p->picture;
    const size_t count = o->channels * o->height * o->width;
    const double top = TITLE + HEADER + (double)image * row_height(o);
    for (size_t g = 0; g < o->order; g++) {
        const double left = LEFT + (double)g * (CELL + GAP);
        char text[64];
        if (image == 0) put_label(p, o->elements[g], left + CELL / 2.0, TITLE + HEADER / 2.0, "center");
        if (g == 0) {
            snprintf(text, sizeof text, "image %zu", o->numbers[image]);
            put_label(p, text, 10, top + CELL / 2.0 - 9, "left");
        }
        if (g == 0 && o->labels) {
            snprintf(text, sizeof text, "class %lu", (unsigned long)o->labels[image]);
            put_label(p, text, 10, top + CELL / 2.0 + 9, "left textcolor rgb '#2a9d5c'");
        }
        place(p, left, top, CELL, CELL);
        put_image(p, o->pixels + (image * o->order + g) * count);
        if (o->classes == 0) continue;
        place(p, left, top + CELL + GAP / 3.0, CELL, BARS);
        put_bars(p, image, g);
    }
}

/* Line by line: a newline would end gnuplot's command. */
static void put_title(const page *p)
{
    const char *from = p->picture->title;
    for (double top = 16; *from; top += 20) {
        char line[256];
        const size_t length = strcspn(from, "\n");
        snprintf(line, sizeof line, "%.*s", (int)length, from);
        put_label(p, line, 10, top, "left");
        from += length + (from[length] == '\n');
    }
}

static void put_page(page *p)
{
    const bnn_orbit_picture *o = p->picture;
    const size_t pixels = o->images * o->order * o->channels * o->height * o->width;
    p->width = LEFT + (double)o->order * (CELL + GAP);
    p->height = TITLE + HEADER + (double)o->images * row_height(o);
    p->least = INFINITY;
    p->most = -INFINITY;
    for (size_t i = 0; i < pixels; i++) {
        p->least = fmin(p->least, (double)o->pixels[i]);
        p->most = fmax(p->most, (double)o->pixels[i]);
    }
    fprintf(p->script,
            "set terminal pngcairo size %.0f,%.0f font 'sans,9' noenhanced\nset style fill solid\nset "
            "boxwidth 0.8\n"
            "unset key\nset multiplot\n",
            p->width, p->height);
    put_title(p);
    for (size_t i = 0; i < o->images; i++) put_row(p, i);
    fprintf(p->script, "unset multiplot\n");
}

bnn_status bnn_draw_orbits(const bnn_orbit_picture *picture, uint8_t **png, size_t *png_size,
                           bnn_error *error)
{
    char *text = NULL;
    size_t size = 0;
    page p = {.picture = picture, .script = open_memstream(&text, &size)};
    *png = NULL;
    if (!p.script) return bnn_no_memory(error, "a picture", 1, 0);
    put_page(&p);
    bnn_status status = BNN_OK;
    if (ferror(p.script) | fclose(p.script)) status = bnn_no_memory(error, "a picture", size, 1);
    if (!status) status = gnuplot_run(text, size, png, png_size, error);
    free(text);
    return status;
}
