#include "bnn/html.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/utf8.h"

static const char style[] =
    ":root{color-scheme:light dark;--paper:#fff;--card:#f6f7f9;--ink:#1b1f24;--soft:#5b6570;--line:#d9dee4}\n"
    "@media(prefers-color-scheme:dark){:root{--paper:#15181c;--card:#1d2127;--ink:#e8ebee;--soft:#9aa5b1;"
    "--line:#343b44}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:1.5rem;max-width:80rem;background:var(--paper);color:var(--ink);"
    "font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}\n"
    "h1{font-size:1.8rem;line-height:1.2;margin:.5rem 0}\n"
    "h2{font-size:1.3rem;margin:2.5rem 0 .3rem}\n"
    "h3{font-size:1rem;margin:0 0 .3rem;overflow-wrap:anywhere}\n"
    "p{max-width:46rem;margin:.3rem 0 1rem;color:var(--soft);overflow-wrap:anywhere}\n"
    ".grid{display:grid;gap:1rem;grid-template-columns:repeat(auto-fill,minmax(min(100%,21rem),1fr))}\n"
    "figure{margin:0 0 1rem;padding:1rem;background:var(--card);border:1px solid "
    "var(--line);border-radius:.6rem;"
    "min-width:0}\n"
    ".grid figure{margin:0}\n"
    "figcaption{margin-top:.5rem;font-size:.85rem;color:var(--soft)}\n"
    ".chart{display:block;width:100%;height:auto;max-width:36rem;margin:0 auto;overflow:visible}\n"
    ".chart text{fill:var(--ink);font-family:inherit}\n"
    ".chart .gridline{opacity:.45}\n"
    ".chart [color=white]{color:var(--card)}\n"
    ".chart [stroke=white]{stroke:var(--card)}\n"
    ".legend{display:flex;flex-wrap:wrap;gap:.1rem 1rem;margin:.5rem 0 0;padding:0;list-style:none;"
    "font-size:.85rem}\n"
    ".legend li{overflow-wrap:anywhere}\n"
    ".mark{display:inline-block;width:1.2rem;margin-right:.4rem;vertical-align:middle;border-top:3px solid}\n"
    ".dashed{border-top-style:dashed}\n"
    ".wide{overflow-x:auto}\n"
    ".wide:focus-visible{outline:2px solid #2f80d0}\n"
    "table{border-collapse:collapse;width:100%;font-size:.85rem;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.45rem .4rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}\n"
    "th{font-weight:600;vertical-align:bottom}\n"
    "thead th{white-space:normal;font-size:.8rem;color:var(--soft)}\n"
    "th:first-child{text-align:left;position:sticky;left:0;background:var(--card)}\n"
    "tbody th{white-space:normal;min-width:9.5rem;overflow-wrap:anywhere}\n"
    ".spread{color:var(--soft);font-size:.8em}\n"
    ".confusion{font-size:.7rem}\n"
    ".confusion td,.confusion th{padding:.3rem .05rem;min-width:1.5rem;text-align:center;border:1px solid "
    "var(--line)}\n"
    ".confusion tbody th,.confusion thead "
    "th{min-width:0;font-size:.7rem;white-space:nowrap;text-align:center}\n"
    ".orbits{display:block;min-width:44rem;width:100%;max-width:60rem;margin:0 auto;border-radius:.4rem;"
    "background:#fff}\n"
    "details{margin:1rem 0}\n"
    "summary{cursor:pointer;color:var(--soft)}\n"
    "@media(max-width:40rem){body{padding:.8rem}figure{padding:.6rem}th,td{padding:.35rem .4rem}}\n";

void bnn_html_text(FILE *page, const char *text)
{
    static const char *const escapes[] = {"&amp;", "&lt;", "&gt;", "&quot;"};
    char *valid = bnn_utf8_mend(text);
    for (const char *c = valid; c && *c; c++) {
        const char *special = strchr("&<>\"", *c);
        if (special)
            fputs(escapes[special - "&<>\""], page);
        else
            fputc((unsigned char)*c < ' ' && *c != '\n' ? '?' : *c, page);
    }
    free(valid);
}

/* <tag>text</tag> */
static void put_element(FILE *page, const char *tag, const char *text)
{
    fprintf(page, "<%s>", tag);
    bnn_html_text(page, text);
    fprintf(page, "</%s>\n", tag);
}

void bnn_html_begin(FILE *page, const char *title)
{
    fprintf(page,
            "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n<meta "
            "charset=\"utf-8\"/>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
            "<link rel=\"icon\" href=\"data:,\"/>\n");
    put_element(page, "title", title);
    fprintf(page, "<style>\n%s</style>\n</head>\n<body>\n", style);
    put_element(page, "h1", title);
}

void bnn_html_end(FILE *page)
{
    fprintf(page, "</body>\n</html>\n");
}

void bnn_html_paragraph(FILE *page, const char *text)
{
    put_element(page, "p", text);
}

void bnn_html_section(FILE *page, const char *heading, const char *introduction, int grid)
{
    fprintf(page, "<section>\n");
    put_element(page, "h2", heading);
    if (introduction) put_element(page, "p", introduction);
    fprintf(page, "<div%s>\n", grid ? " class=\"grid\"" : "");
}

void bnn_html_end_section(FILE *page)
{
    fprintf(page, "</div>\n</section>\n");
}

void bnn_html_number(FILE *page, const char *format, double value)
{
    if (!isfinite(value)) {
        fputs("–", page);
        return;
    }
    fprintf(page, "<data value=\"%.17g\">", value);
    fprintf(page, format, value);
    fputs("</data>", page);
}

/* ---- tables -------------------------------------------------------------------------------------------- */

/* Opens a figure whose content may be wider than the screen. */
static void begin_wide(FILE *page, const char *title)
{
    fprintf(page, "<figure>\n");
    if (title) put_element(page, "h3", title);
    fprintf(page, "<div class=\"wide\" tabindex=\"0\">\n");
}

static void put_mark(FILE *page, size_t colour, bool dashed)
{
    fprintf(page, "<span class=\"mark%s\" style=\"border-color:%s\"></span>", dashed ? " dashed" : "",
            bnn_chart_colour(colour));
}

static void put_head(FILE *page, const bnn_html_table *t)
{
    fprintf(page, "<thead><tr><th scope=\"col\">");
    bnn_html_text(page, t->head);
    fprintf(page, "</th>");
    for (size_t c = 0; c < t->column_count; c++) {
        fprintf(page, "<th scope=\"col\" title=\"");
        bnn_html_text(page, t->columns[c].meaning ? t->columns[c].meaning : t->columns[c].title);
        fprintf(page, "\">");
        bnn_html_text(page, t->columns[c].title);
        fprintf(page, "</th>");
    }
    fprintf(page, "</tr></thead>\n");
}

void bnn_html_table_of(FILE *page, const bnn_html_table *t)
{
    begin_wide(page, NULL);
    fprintf(page, "<table>\n");
    put_head(page, t);
    fprintf(page, "<tbody>\n");
    for (size_t r = 0; r < t->row_count; r++) {
        fprintf(page, "<tr><th scope=\"row\">");
        put_mark(page, t->colours[r], false);
        bnn_html_text(page, t->names[r]);
        fprintf(page, "</th>");
        for (size_t c = 0; c < t->column_count; c++) {
            const bnn_html_cell *cell = &t->cells[r * t->column_count + c];
            fprintf(page, "<td>");
            bnn_html_number(page, t->columns[c].format, cell->value);
            if (isfinite(cell->deviation) && cell->deviation > 0) {
                fprintf(page, " <span class=\"spread\">± ");
                bnn_html_number(page, "%.2g", cell->deviation);
                fprintf(page, "</span>");
            }
            fprintf(page, "</td>");
        }
        fprintf(page, "</tr>\n");
    }
    fprintf(page, "</tbody></table>\n</div>\n");
    put_element(page, "figcaption", t->caption);
    fprintf(page, "</figure>\n");
}

void bnn_html_confusion(FILE *page, const char *title, const char *caption, const double *counts,
                        size_t classes)
{
    begin_wide(page, title);
    fprintf(page, "<table class=\"confusion\">\n<thead><tr><th scope=\"col\">label</th>");
    for (size_t c = 0; c < classes; c++) fprintf(page, "<th scope=\"col\">%zu</th>", c);
    fprintf(page, "</tr></thead>\n<tbody>\n");
    for (size_t r = 0; r < classes; r++) {
        double sum = 0;
        for (size_t c = 0; c < classes; c++) sum += counts[r * classes + c];
        fprintf(page, "<tr><th scope=\"row\">%zu</th>", r);
        for (size_t c = 0; c < classes; c++) {
            const double share = sum > 0 ? counts[r * classes + c] / sum : 0;
            fprintf(page, "<td style=\"background:rgba(%s,%.3f)\">", r == c ? "26,155,124" : "217,115,13",
                    0.7 * sqrt(share));
            bnn_html_number(page, "%.0f", counts[r * classes + c]);
            fprintf(page, "</td>");
        }
        fprintf(page, "</tr>\n");
    }
    fprintf(page, "</tbody></table>\n</div>\n");
    put_element(page, "figcaption", caption);
    fprintf(page, "</figure>\n");
}

/* ---- pictures ------------------------------------------------------------------------------------------ */

static void put_legend(FILE *page, const bnn_chart *chart)
{
    size_t labelled = 0;
    for (size_t k = 0; k < chart->count; k++) labelled += chart->series[k].label != NULL;
    if (labelled == 0) return;
    fprintf(page, "<ul class=\"legend\">\n");
    for (size_t k = 0; k < chart->count; k++) {
        const bnn_series *series = &chart->series[k];
        if (!series->label) continue;
        fprintf(page, "<li>");
        put_mark(page, series->colour, series->style == BNN_SERIES_DASHED);
        bnn_html_text(page, series->label);
        fprintf(page, "</li>\n");
    }
    fprintf(page, "</ul>\n");
}

bnn_status bnn_html_chart(FILE *page, const bnn_chart *chart, size_t number, const char *caption,
                          bnn_error *error)
{
    char *svg;
    const bnn_status status = bnn_draw_chart(chart, number, &svg, error);
    if (status) return status;
    fprintf(page, "<figure>\n");
    put_element(page, "h3", chart->title);
    fputs(svg, page);
    free(svg);
    put_legend(page, chart);
    put_element(page, "figcaption", caption);
    fprintf(page, "</figure>\n");
    return BNN_OK;
}

/* RFC 4648, section 4. */
static void put_base64(FILE *page, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        const size_t left = size - i;
        const uint32_t word = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                              (left > 2 ? bytes[i + 2] : 0);
        fputc(digits[word >> 18], page);
        fputc(digits[word >> 12 & 63], page);
        fputc(left > 1 ? digits[word >> 6 & 63] : '=', page);
        fputc(left > 2 ? digits[word & 63] : '=', page);
    }
}

void bnn_html_png(FILE *page, const char *title, const char *caption, const uint8_t *png, size_t size)
{
    begin_wide(page, title);
    fprintf(page, "<img class=\"orbits\" alt=\"");
    bnn_html_text(page, title);
    fprintf(page, "\" src=\"data:image/png;base64,");
    put_base64(page, png, size);
    fprintf(page, "\"/>\n</div>\n");
    put_element(page, "figcaption", caption);
    fprintf(page, "</figure>\n");
}
