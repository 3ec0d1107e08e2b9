/* Charts: a gnuplot script that draws SVG, and what of that SVG a page needs. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/picture.h"
#include "pictures/gnuplot.h"

enum { WIDTH = 420, HEIGHT = 300, POLAR_SIDE = 360 };
#define GRID "#999999" /* legible on white and on black */
static const double pi = 3.14159265358979323846;

/* Their contrast is 3.2 or more on white and 4 or more on almost black; each has its own shape of points too. */
static const struct {
    const char *rgb;
    int point;
} colours[BNN_CHART_COLOURS] = {{"#2f80d0", 7},  {"#d9730d", 5},  {"#1a9b7c", 9}, {"#c2559d", 13},
                                {"#a88414", 11}, {"#8b6fd6", 15}, {"#d64a4a", 6}, {"#6b8299", 4}};

const char *bnn_chart_colour(size_t colour)
{
    return colours[colour % BNN_CHART_COLOURS].rgb;
}

/* A chart on its way: the script, and what was found of its axes. */
typedef struct sheet {
    const bnn_chart *chart;
    FILE *script;
    double unit[2], least[2], most[2]; /* of x and of y; least and most in figures, not on the scale */
} sheet;

static const bnn_axis *axis_of(const sheet *s, size_t a)
{
    return a == 0 ? &s->chart->x : &s->chart->y;
}

static bool is_logarithmic(const bnn_axis *axis)
{
    return axis->scale == BNN_AXIS_LOG || axis->scale == BNN_AXIS_LOG2;
}

static double value_of(const bnn_series *series, size_t a, size_t i)
{
    return a == 0 ? series->x[i] : series->y[i];
}

static double error_of(const bnn_series *series, size_t a, size_t i)
{
    const double *errors = a == 0 ? series->x_error : series->y_error;
    return errors && isfinite(errors[i]) ? errors[i] : 0;
}

/* Where a figure is on its axis. */
static double placed(const sheet *s, size_t a, double value)
{
    switch (axis_of(s, a)->scale) {
    case BNN_AXIS_LOG:
        return value > 0 ? log10(value) : NAN;
    case BNN_AXIS_LOG2:
        return value > 0 ? log2(value) : NAN;
    case BNN_AXIS_SIGNED_LOG:
        return asinh(value / s->unit[a]);
    default:
        return value;
    }
}

/* The power of ten below the least size among the figures, but no more than five decades below the largest. */
static double unit_of(double smallest, double largest)
{
    if (!(largest > 0)) return 1;
    return pow(10, floor(log10(fmax(smallest, largest / 1e5))));
}

static void find_range(sheet *s, size_t a)
{
    const bnn_axis *axis = axis_of(s, a);
    double smallest = INFINITY, largest = 0;
    s->least[a] = INFINITY;
    s->most[a] = -INFINITY;
    for (size_t k = 0; k < s->chart->count; k++) {
        const bnn_series *series = &s->chart->series[k];
        for (size_t i = 0; i < series->count; i++) {
            const double value = value_of(series, a, i), error = error_of(series, a, i);
            const double down = is_logarithmic(axis) && value <= error ? value : value - error;
            if (!isfinite(value) || (is_logarithmic(axis) && value <= 0)) continue;
            s->least[a] = fmin(s->least[a], down);
            s->most[a] = fmax(s->most[a], value + error);
            largest = fmax(largest, fabs(value));
            if (value != 0) smallest = fmin(smallest, fabs(value));
        }
    }
    s->unit[a] = unit_of(smallest, largest);
    if (!isnan(axis->least)) s->least[a] = axis->least;
    if (!isnan(axis->most)) s->most[a] = axis->most;
    if (s->least[a] <= s->most[a]) return;
    s->least[a] = is_logarithmic(axis) ? 1 : 0; /* no figure at all */
    s->most[a] = is_logarithmic(axis) ? 2 : 1;
}

typedef void tic_visitor(const sheet *s, size_t a, double value, double place);

/* Visits a value and where it is, if it is within the axis and not where 0 has its own. */
static void visit_tic(const sheet *s, size_t a, double value, tic_visitor *visit)
{
    const double slack = 1e-9 * fabs(value);
    const double place = placed(s, a, value), width = placed(s, a, s->most[a]) - placed(s, a, s->least[a]);
    const bool at_zero = !is_logarithmic(axis_of(s, a)) && s->least[a] <= 0 && fabs(place) < width / 12;
    if (value >= s->least[a] - slack && value <= s->most[a] + slack && !at_zero) visit(s, a, value, place);
}

/* The round figures of an axis that is not linear: powers of two; or 0 and powers of ten, of either sign, with 2 and 5 times
 * them, or all their whole or half multiples, where there are few. */
static void visit_tics(const sheet *s, size_t a, tic_visitor *visit)
{
    const bool twos = axis_of(s, a)->scale == BNN_AXIS_LOG2, is_signed = !is_logarithmic(axis_of(s, a));
    const double width = placed(s, a, s->most[a]) - placed(s, a, s->least[a]);
    const double decades = width / (is_signed ? log(10) : 1);
    const double last = twos || decades > 2.5 ? 1 : decades > 1 ? 5 : 9.5;
    const double step = decades > 1 ? 3 : decades > 0.25 ? 1 : 0.5; /* from 1 to 2 and to 5 where it is 3 */
    const double size = fmax(fabs(s->least[a]), fabs(s->most[a]));
    if (is_signed && s->least[a] <= 0 && s->most[a] >= 0) visit(s, a, 0, 0);
    for (int k = twos ? 0 : (int)floor(log10(is_signed ? s->unit[a] : s->least[a]) + 1e-9); k < 400; k++) {
        const double power = pow(twos ? 2 : 10, k);
        if (power > size) return;
        for (double m = 1; m <= last; m += step > 1 && m < 2 ? 1 : step) {
            visit_tic(s, a, m * power, visit);
            if (is_signed) visit_tic(s, a, -m * power, visit);
        }
    }
}

/* "0.02", and "1e-4" instead of "1e-04" where that is shorter. Returns `text`. */
static const char *tic_text(double value, char text[32])
{
    const double size = fabs(value);
    if (value == 0 || (size > 0.005 && size < 1e4)) {
        snprintf(text, 32, "%g", value);
        return text;
    }
    const int exponent = (int)floor(log10(size) + 1e-9);
    snprintf(text, 32, "%.3ge%d", value / pow(10, exponent), exponent);
    return text;
}

static void put_tic(const sheet *s, size_t a, double value, double place)
{
    char text[32];
    fprintf(s->script, "set %ctics add ('%s' %.9g)\n", a == 0 ? 'x' : 'y', tic_text(value, text), place);
}

static void put_axis(const sheet *s, size_t a)
{
    const bnn_axis *axis = axis_of(s, a);
    const char name = a == 0 ? 'x' : 'y';
    const double least = placed(s, a, s->least[a]), most = placed(s, a, s->most[a]);
    const double width = most > least ? most - least : fmax(fabs(most), 1);
    fprintf(s->script, "set %clabel ", name);
    gnuplot_quote(s->script, axis->label);
    fprintf(s->script, " textcolor rgb 'black'\n");
    fprintf(s->script, "set %crange [%.9g:%.9g]\n", name, isnan(axis->least) ? least - 0.05 * width : least,
            isnan(axis->most) ? most + 0.05 * width : most);
    if (axis->scale == BNN_AXIS_LINEAR) return;
    fprintf(s->script, "set %ctics ()\n", name);
    visit_tics(s, a, put_tic);
}

/* ---- series -------------------------------------------------------------------------------------------- */

/* The columns x, y and how far their error bars reach down and up. */
static void put_data(const sheet *s, size_t k)
{
    const bnn_series *series = &s->chart->series[k];
    fprintf(s->script, "$s%zu << END\n", k);
    for (size_t i = 0; i < series->count; i++) {
        double at[2], down[2], up[2];
        for (size_t a = 0; a < 2; a++) {
            const double value = value_of(series, a, i), error = error_of(series, a, i);
            at[a] = placed(s, a, value);
            down[a] = placed(s, a, value - error);
            up[a] = placed(s, a, value + error);
            if (isnan(down[a])) down[a] = at[a];
        }
        if (s->chart->spokes) {
            const double angle = series->x[i] * pi / 180, radius = fmax(at[1], 0);
            at[0] = radius * cos(angle);
            at[1] = radius * sin(angle);
        }
        if (isfinite(at[0]) && isfinite(at[1]))
            fprintf(s->script, "%.9g %.9g %.9g %.9g %.9g %.9g\n", at[0], at[1], down[0], up[0], down[1],
                    up[1]);
        else
            fputc('\n', s->script); /* a gap */
    }
    fprintf(s->script, "END\n");
}

static void put_series(const sheet *s, size_t k)
{
    const bnn_series *series = &s->chart->series[k];
    const char *rgb = bnn_chart_colour(series->colour);
    const int point = colours[series->colour % BNN_CHART_COLOURS].point;
    const double width = series->faint ? 1 : 2;
    const bool joined = series->style == BNN_SERIES_LINE_POINTS, polar = s->chart->spokes != NULL;
    fprintf(s->script, k > 0 ? ", " : "plot ");
    switch (series->style) {
    case BNN_SERIES_LINE:
    case BNN_SERIES_DASHED:
        fprintf(s->script, "$s%zu using 1:2 with lines lw %g dt %d lc rgb '%s'", k, width,
                series->style == BNN_SERIES_LINE ? 1 : 2, rgb);
        break;
    case BNN_SERIES_STEPS:
        fprintf(s->script,
                "$s%zu using 1:2 with fillsteps fs transparent solid 0.2 noborder lc rgb '%s', "
                "$s%zu using 1:2 with steps lw 2 lc rgb '%s'",
                k, rgb, k, rgb);
        break;
    case BNN_SERIES_POINTS:
    case BNN_SERIES_LINE_POINTS:
        if (joined) fprintf(s->script, "$s%zu using 1:2 with lines lw %g lc rgb '%s', ", k, width, rgb);
        if (series->x_error && !polar)
            fprintf(s->script, "$s%zu using 1:2:3:4 with xerrorbars pt 0 lw 1.5 lc rgb '%s', ", k, rgb);
        if (series->y_error && !polar)
            fprintf(s->script, "$s%zu using 1:2:5:6 with yerrorbars pt 0 lw 1.5 lc rgb '%s', ", k, rgb);
        fprintf(s->script, "$s%zu using 1:2 with points pt %d ps %g lc rgb '%s'", k, point,
                series->faint ? 0.5
                : joined      ? 0.7
                              : 1.1,
                rgb);
        break;
    }
}

/* ---- polar charts -------------------------------------------------------------------------------------- */

static void put_ring(const sheet *s, size_t a, double value, double place)
{
    char text[32];
    (void)a;
    if (place <= 0) return;
    fprintf(s->script,
            "set object circle at 0,0 size %.9g fc rgb '" GRID "' fs empty border rgb '" GRID "' back\n",
            place);
    fprintf(s->script, "set label '%s' at %.9g,%.9g center font ',10' textcolor rgb 'black' front\n",
            tic_text(value, text), place * cos(pi / 8), place * sin(pi / 8));
}

static void put_polar_grid(const sheet *s)
{
    const double outer = placed(s, 1, s->most[1]), radius = outer > 0 ? 1.08 * outer : 1;
    visit_tics(s, 1, put_ring);
    for (size_t i = 0; i < s->chart->spoke_count; i++) {
        const bnn_spoke *spoke = &s->chart->spokes[i];
        const double x = cos(spoke->degrees * pi / 180), y = sin(spoke->degrees * pi / 180);
        fprintf(s->script, "set arrow from 0,0 to %.9g,%.9g nohead lc rgb '" GRID "' lw 1 back\nset label ",
                radius * x, radius * y);
        gnuplot_quote(s->script, spoke->label);
        fprintf(s->script, " at %.9g,%.9g %s textcolor rgb 'black'\n", 1.07 * radius * x, 1.07 * radius * y,
                x > 0.3    ? "left"
                : x < -0.3 ? "right"
                           : "center");
    }
    fprintf(
        s->script,
        "unset border\nunset tics\nunset grid\nset lmargin 0\nset rmargin 0\nset tmargin 0\nset bmargin 0\n"
        "set xrange [%.9g:%.9g]\nset yrange [%.9g:%.9g]\n",
        -1.3 * radius, 1.3 * radius, -1.3 * radius, 1.3 * radius);
}

/* ---- the picture --------------------------------------------------------------------------------------- */

static void put_script(sheet *s)
{
    const bnn_chart *c = s->chart;
    fprintf(s->script,
            "set terminal svg size %d,%d dynamic font 'sans-serif,13' noenhanced\nunset key\n"
            "set border 3 lc rgb '" GRID "'\nset grid lt 1 dt 1 lc rgb '" GRID
            "' lw 0.5\nset tics nomirror scale 0 textcolor rgb 'black'\n",
            c->spokes ? POLAR_SIDE : WIDTH, c->spokes ? POLAR_SIDE : HEIGHT);
    for (size_t a = 0; a < 2; a++) find_range(s, a);
    if (c->spokes)
        put_polar_grid(s);
    else
        for (size_t a = 0; a < 2; a++) put_axis(s, a);
    size_t drawn = 0;
    for (size_t k = 0; k < c->count; k++) put_data(s, k);
    for (size_t k = 0; k < c->count; k++) drawn += s->chart->series[k].count;
    if (drawn == 0) fprintf(s->script, "plot NaN");
    for (size_t k = 0; drawn && k < c->count; k++) put_series(s, k);
    fputc('\n', s->script);
}

/* Copies from..end and puts the chart's number in front of every name that begins with "gp": of the shapes of points. */
static void copy_named(FILE *out, const char *from, const char *end, size_t number)
{
    for (const char *c = from; c < end; c++) {
        fputc(*c, out);
        if ((*c == '\'' || *c == '#') && strncmp(c + 1, "gp", 2) == 0) fprintf(out, "c%zu", number);
    }
}

/* Without what pages have no use for: the head of a file, names of its parts, filters, and the many groups without content. */
static void put_svg(FILE *out, const bnn_chart *chart, const char *drawn, size_t number)
{
    const int width = chart->spokes ? POLAR_SIDE : WIDTH, height = chart->spokes ? POLAR_SIDE : HEIGHT;
    const char *group = NULL; /* the beginning of a group that has had no content yet */
    bool filter = false;
    fprintf(out,
            "<svg class=\"chart\" viewBox=\"0 0 %d %d\" xmlns=\"http://www.w3.org/2000/svg\" "
            "xmlns:xlink=\"http://www.w3.org/1999/xlink\" role=\"img\" aria-label=\"%s\">\n<g>\n",
            width, height, chart->title);
    drawn = strstr(drawn, "<defs>");
    for (const char *next; drawn && *drawn; drawn = next) {
        next = drawn + strcspn(drawn, "\n");
        next += *next == '\n';
        const char *word = drawn + strspn(drawn, " \t");
        if (strncmp(word, "<filter", 7) == 0) filter = true;
        if (!filter && *word != '\n' && !(group && strncmp(word, "</g>", 4) == 0)) {
            if (group) copy_named(out, group, drawn, number);
            group = NULL;
            if (strncmp(word, "<g fill=\"none\"", 14) == 0)
                group = drawn;
            else if (strncmp(word, "<g id=", 6) == 0)
                fputs("<g>\n", out);
            else if (strncmp(word, "<title", 6) != 0)
                copy_named(out, drawn, next, number);
        } else if (!filter && *word != '\n')
            group = NULL;
        if (strncmp(word, "</filter", 8) == 0) filter = false;
    }
}

/* *text <- what `put` writes. */
static bnn_status draw(sheet *s, uint8_t **drawn, bnn_error *error)
{
    char *script = NULL;
    size_t size = 0, drawn_size;
    s->script = open_memstream(&script, &size);
    if (!s->script) return bnn_no_memory(error, "a chart", 1, 0);
    put_script(s);
    bnn_status status = BNN_OK;
    if (ferror(s->script) | fclose(s->script)) status = bnn_no_memory(error, "a chart", size, 1);
    if (!status) status = gnuplot_run(script, size, drawn, &drawn_size, error);
    free(script);
    return status;
}

bnn_status bnn_draw_chart(const bnn_chart *chart, size_t number, char **svg, bnn_error *error)
{
    sheet s = {.chart = chart};
    uint8_t *drawn = NULL;
    size_t size = 0;
    *svg = NULL;
    bnn_status status = draw(&s, &drawn, error);
    if (status) return status;
    FILE *out = open_memstream(svg, &size);
    if (out) put_svg(out, chart, (const char *)drawn, number);
    free(drawn);
    if (!out || ferror(out) | fclose(out)) return bnn_no_memory(error, "a chart", size, 1);
    return BNN_OK;
}
