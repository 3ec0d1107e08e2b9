#include "commands/terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.h"
#include "bnn/io.h"
#include "bnn/ranks.h"

static const double interval = 0.1; /* seconds between two texts */
static const char *const duration_units[] = {" s", " min", " h"};

live_line live_line_open(double patience)
{
    const char *terminal = getenv("TERM");
    const bool able = terminal && *terminal && strcmp(terminal, "dumb") != 0;
    return (live_line){.live = able && bnn_rank() == 0 && isatty(STDERR_FILENO),
                       .begun = bnn_seconds(),
                       .label = "",
                       .patience = patience};
}

/* Columns that a line may have: one less than the terminal, whose last one some terminals wrap after. */
static size_t columns(void)
{
    struct winsize size;
    const char *said = getenv("COLUMNS");
    size_t width = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
    if (width == 0 && said) width = (size_t)strtoul(said, NULL, 10);
    return width == 0 ? 79 : width > 1 ? width - 1 : 1;
}

/* The bytes of the text that fit into `most`, up to the last two blanks there or else the last blank; 0: a word is longer. */
static size_t fitting(const char *text, size_t most)
{
    const size_t length = strlen(text);
    size_t piece = 0, word = 0;
    if (length <= most) return length;
    for (size_t i = 1; i <= most; i++) {
        if (text[i] != ' ') continue;
        word = i;
        if (text[i + 1] == ' ') piece = i;
    }
    return piece ? piece : word;
}

void live_line_show(live_line *line, const char *text)
{
    const double now = bnn_seconds();
    if (!line->live || (line->shown && now - line->last < interval)) return;
    const size_t room = columns(), fit = fitting(text, room);
    fprintf(stderr, "\r\033[K%.*s", (int)(fit ? fit : room), text);
    fflush(stderr);
    line->shown = true;
    line->last = now;
}

void live_line_clear(live_line *line)
{
    if (line->shown) fputs("\r\033[K", stderr);
    line->shown = false;
}

void live_line_print(live_line *line, const char *text)
{
    static const char indent[] = "  ";
    size_t room = line->live ? columns() : strlen(text);
    live_line_clear(line);
    for (size_t shown = 0; *text; text += shown, text += strspn(text, " ")) {
        if (shown) fputs(indent, stderr);
        shown = fitting(text, room);
        if (!shown) shown = strcspn(text, " "); /* a path is kept in one piece */
        fprintf(stderr, "%.*s\n", (int)shown, text);
        room = line->live && columns() > strlen(indent) ? columns() - strlen(indent) : room;
    }
}

void live_line_begin(live_line *line, const char *label)
{
    const double now = bnn_seconds();
    line->patience -= now - line->begun; /* of all work that the line tells of */
    line->begun = now;
    line->label = label;
}

void live_line_fraction(void *context, double fraction)
{
    live_line *line = context;
    const double spent = bnn_seconds() - line->begun;
    char text[256], left[32];
    if (!line->live || spent < line->patience || fraction <= 0) return;
    bnn_duration_text(spent / fraction * (1 - fraction), duration_units, left, sizeof left);
    snprintf(text, sizeof text, "%.0f%%  %s left  %s", 100 * fraction, left, line->label);
    live_line_show(line, text);
}
