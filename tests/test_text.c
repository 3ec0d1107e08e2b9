/* Messages: texts that are built in buffers, names that were meant, and lines that are too long. */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "bnn/status.h"

/* Pieces are put together; in every size of buffer what does not fit is left out, and nothing is written beyond. */
static void pieces_are_appended(void **state)
{
    static const char whole[] = "abc, 12, def";
    (void)state;
    for (size_t size = 0; size <= sizeof whole + 2; size++) {
        char text[sizeof whole + 3];
        memset(text, '#', sizeof text);
        if (size) *text = '\0';
        bnn_append(text, size, "%s", "abc");
        bnn_append(text, size, ", %d", 12);
        assert_ptr_equal(bnn_append(text, size, ", %s", "def"), text);
        for (size_t i = size; i < sizeof text; i++) assert_int_equal(text[i], '#');
        if (size == 0) continue;
        const size_t length = strlen(text);
        assert_true(length < size);
        if (size >= sizeof whole)
            assert_string_equal(text, whole);
        else if (size >= 4)
            assert_true(strcmp(text + length - 3, "...") == 0 && strncmp(text, whole, length - 3) == 0);
    }
}

static void distances_are_in_thirds_of_edits(void **state)
{
    static const struct {
        const char *a, *b;
        size_t distance;
    } rows[] = {{"", "", 0},          {"tie", "tie", 0},    {"Tie", "tie", 1},
                {"adam", "adamw", 3}, {"adamw", "adam", 3}, {"trian", "train", 6},
                {"", "abc", 9},       {"abc", "", 9},       {"kitten", "sitting", 9},
                {"D4", "C4", 3},      {"TIE", "tied", 6}};
    char longer[200];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(bnn_edit_distance(rows[i].a, rows[i].b), rows[i].distance);
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(bnn_edit_distance(longer, "a"), 3 * (sizeof longer - 2));
    assert_true(bnn_edit_distance("a", longer) == SIZE_MAX); /* beyond what a name may be */
}

static void names_that_were_meant_are_offered(void **state)
{
    static const char *const names[] = {"none", "augment", "group-elbo", "average", "orbit-expansion",
                                        "tie",  NULL};
    static const struct {
        const char *found, *meant;
    } rows[] = {{"Tie", "tie"},
                {"agument", "augment"},
                {"group_elbo", "group-elbo"},
                {"AUGMENT", "augment"},
                {"averaged", "average"},
                {"OrbitExpansion", "orbit-expansion"},
                {"Orbit", "orbit-expansion"},
                {"x", NULL},
                {"", NULL},
                {"something-else-entirely", NULL}};
    char expected[80], joined[40];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bnn_choices choices = bnn_choices_for(rows[i].found);
        bnn_choices_add_all(&choices, names);
        if (rows[i].meant ? !choices.nearest || strcmp(choices.nearest, rows[i].meant) != 0
                          : choices.nearest != NULL)
            fail_msg("%s: offered %s", rows[i].found, choices.nearest ? choices.nearest : "nothing");
        const char *text = bnn_choices_text(&choices);
        assert_true(strncmp(text, "one of \"none\", \"augment\", ", 25) == 0);
        snprintf(expected, sizeof expected, "\"tie\" (did you mean \"%s\"?)", rows[i].meant);
        assert_int_equal(strstr(text, expected) != NULL, rows[i].meant != NULL);
    }
    assert_string_equal(bnn_join(joined, sizeof joined, names + 4), "\"orbit-expansion\", \"tie\"");
    assert_string_equal(bnn_join(joined, sizeof joined, names + 6), "");
}

/* A long line keeps its beginning and its end, whatever is put before it. */
static void long_messages_keep_their_ends(void **state)
{
    bnn_error error;
    char *path = malloc(5000);
    (void)state;
    assert_non_null(path);
    memset(path, 'p', 4999);
    path[4999] = '\0';
    assert_int_equal(bnn_fail(&error, BNN_BAD_INPUT, "first %s: cannot open: name too long", path),
                     BNN_BAD_INPUT);
    for (size_t i = 0; i < 40; i++) {
        const size_t length = strlen(error.message);
        assert_int_equal(length, sizeof error.message - 1);
        assert_string_equal(error.message + length - strlen(": cannot open: name too long"),
                            ": cannot open: name too long");
        assert_non_null(strstr(error.message, " ... "));
        assert_true(strncmp(error.message, i ? "config.json: " : "first ", i ? 13 : 6) == 0);
        bnn_fail_in(&error, BNN_BAD_INPUT, "config.json");
    }
    bnn_fail(&error, BNN_FAILED, "%s", "short");
    assert_int_equal(bnn_fail_in(&error, BNN_FAILED, "--group"), BNN_FAILED);
    assert_string_equal(error.message, "--group: short");
    assert_int_equal(bnn_fail_in(NULL, BNN_FAILED, "--group"), BNN_FAILED);
    free(path);
}

/* A text of any length is as it was written, in whatever pieces. */
static void texts_grow(void **state)
{
    (void)state;
    for (size_t lines = 0; lines < 3000; lines = 3 * lines + 1) {
        bnn_text text;
        size_t size = 0;
        FILE *stream = bnn_text_open(&text);
        assert_non_null(stream);
        for (size_t i = 0; i < lines; i++) fprintf(stream, "%07zu\n", i);
        char *whole = bnn_text_close(&text, &size);
        assert_non_null(whole);
        assert_int_equal(size, 8 * lines);
        assert_int_equal(strlen(whole), size);
        for (size_t i = 0; i < lines; i++) assert_int_equal(strtoul(whole + 8 * i, NULL, 10), i);
        free(whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_appended),
        cmocka_unit_test(distances_are_in_thirds_of_edits),
        cmocka_unit_test(names_that_were_meant_are_offered),
        cmocka_unit_test(long_messages_keep_their_ends),
        cmocka_unit_test(texts_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
