/* Reading and writing files: contents, compressed contents, and every way in which they fail. */
#include "files.h"

#include <signal.h>
#include <sys/resource.h>
#include <zlib.h>

#include "bnn/io.h"
#include "bnn/utf8.h"

enum { MOST = 1 << 20 };

/* "hello, symmetric world\n" as Python's gzip.compress(..., mtime=0) packs it: not made by the zlib under
 * test's own deflate. */
static const char hello[] = "hello, symmetric world\n";
static const uint8_t hello_gz[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xcb,
                                   0x48, 0xcd, 0xc9, 0xc9, 0xd7, 0x51, 0x28, 0xae, 0xcc, 0xcd, 0x4d,
                                   0x2d, 0x29, 0xca, 0x4c, 0x56, 0x28, 0xcf, 0x2f, 0xca, 0x49, 0xe1,
                                   0x02, 0x00, 0xa8, 0xea, 0x5c, 0x66, 0x17, 0x00, 0x00, 0x00};

static void assert_contents(const char *path, const void *expected, size_t expected_size)
{
    bnn_error error;
    uint8_t *data;
    size_t size;
    assert_int_equal(bnn_read_file(path, MOST, &data, &size, &error), BNN_OK);
    assert_int_equal(size, expected_size);
    assert_memory_equal(data, expected, expected_size);
    assert_int_equal(data[size], 0);
    free(data);
}

static void assert_unreadable(const char *path, size_t most, const char *text)
{
    bnn_error error;
    uint8_t *data;
    size_t size;
    assert_failure(bnn_read_file(path, most, &data, &size, &error), BNN_BAD_INPUT, error, path, text);
    assert_null(data);
    assert_int_equal(size, 0);
}

static void reads_plain_files(void **state)
{
    (void)state;
    assert_contents(put_file("empty", "", 0), "", 0);
    assert_contents(put_file("one", "x", 1), "x", 1);
    assert_contents(put_file("hello", hello, sizeof hello - 1), hello, sizeof hello - 1);
}

static void reads_what_has_no_size(void **state)
{
    bnn_error error;
    uint8_t *data;
    size_t size;
    (void)state;
    assert_int_equal(bnn_read_file("/proc/self/status", MOST, &data, &size, &error), BNN_OK);
    assert_true(size > 100);
    assert_memory_equal(data, "Name:", 5);
    free(data);
}

static void reads_compressed_files_of_any_name(void **state)
{
    uint8_t twice[2 * sizeof hello_gz];
    char expected[2 * sizeof hello];
    (void)state;
    assert_contents(put_file("hello.gz", hello_gz, sizeof hello_gz), hello, sizeof hello - 1);
    assert_contents(put_file("no-suffix", hello_gz, sizeof hello_gz), hello, sizeof hello - 1);
    memcpy(twice, hello_gz, sizeof hello_gz);
    memcpy(twice + sizeof hello_gz, hello_gz, sizeof hello_gz);
    const int length = snprintf(expected, sizeof expected, "%s%s", hello, hello);
    assert_contents(put_file("two-members", twice, sizeof twice), expected, (size_t)length);
}

/* The published digest of "abc" (FIPS 180-2, appendix B.1); of a compressed file, that of its own bytes. */
static void identifies_files(void **state)
{
    char digest[BNN_SHA256], unpacked[BNN_SHA256];
    uint8_t *data;
    size_t size;
    (void)state;
    assert_int_equal(bnn_read_identified(put_file("abc", "abc", 3), MOST, &data, &size, digest, NULL),
                     BNN_OK);
    assert_string_equal(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    free(data);
    assert_int_equal(bnn_read_identified(put_file("hello.gz", hello_gz, sizeof hello_gz), MOST, &data, &size,
                                         digest, NULL),
                     BNN_OK);
    const char *path = put_file("hello", data, size);
    free(data);
    assert_int_equal(bnn_read_identified(path, MOST, &data, &size, unpacked, NULL), BNN_OK);
    assert_int_equal(size, sizeof hello - 1);
    assert_string_not_equal(unpacked, digest);
    free(data);
}

/* A megabyte of zeros packs to a thousandth of its size: the output outgrows its first guess again and again.
 */
static void reads_what_expands_a_thousandfold(void **state)
{
    uint8_t *zeros = calloc(MOST, 1);
    const char *path = in_temporary("zeros.gz");
    (void)state;
    gzFile file = gzopen(path, "wb");
    assert_int_equal(gzwrite(file, zeros, MOST), MOST);
    assert_int_equal(gzclose(file), Z_OK);
    assert_contents(path, zeros, MOST);
    assert_unreadable(path, MOST - 1, "the decompressed file is larger than the 1048575 bytes");
    free(zeros);
}

static void names_every_truncation_of_compressed_data(void **state)
{
    (void)state;
    for (size_t length = 2; length < sizeof hello_gz; length++)
        assert_unreadable(put_file("cut.gz", hello_gz, length), MOST, "truncated");
}

static void names_corrupt_compressed_data(void **state)
{
    uint8_t bad[sizeof hello_gz + 3] = {0};
    (void)state;
    const struct {
        size_t offset;
        const char *text;
    } cases[] = {{2, "unknown compression method"},
                 {10, "corrupt"},
                 {sizeof hello_gz - 5, "incorrect data check"},
                 {sizeof hello_gz - 1, "incorrect length check"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memcpy(bad, hello_gz, sizeof hello_gz);
        bad[cases[i].offset] ^= 0xff;
        assert_unreadable(put_file("bad.gz", bad, sizeof hello_gz), MOST, cases[i].text);
    }
    memcpy(bad, hello_gz, sizeof hello_gz);
    bad[sizeof bad - 1] = 1;
    assert_unreadable(put_file("tail.gz", bad, sizeof bad), MOST, "found 3 bytes after the end");
}

/* As tapes and block devices pad; a file cut short is no less cut short for it. */
static void padding_ends_compressed_data(void **state)
{
    uint8_t padded[2 * sizeof hello_gz + 512] = {0};
    char twice[2 * sizeof hello];
    (void)state;
    memcpy(padded, hello_gz, sizeof hello_gz);
    assert_contents(put_file("padded.gz", padded, sizeof hello_gz + 1), hello, sizeof hello - 1);
    assert_contents(put_file("padded.gz", padded, sizeof hello_gz + 512), hello, sizeof hello - 1);
    memcpy(padded + sizeof hello_gz, hello_gz, sizeof hello_gz);
    const int length = snprintf(twice, sizeof twice, "%s%s", hello, hello);
    assert_contents(put_file("padded.gz", padded, sizeof padded), twice, (size_t)length);
    memset(padded, 0, sizeof padded);
    memcpy(padded, hello_gz, sizeof hello_gz - 8); /* its sums are zeros now */
    assert_unreadable(put_file("padded.gz", padded, sizeof padded), MOST, "incorrect data check");
}

static void refuses_what_is_no_file(void **state)
{
    (void)state;
    assert_unreadable(in_temporary("missing"), MOST, "cannot open: No such file or directory");
    assert_unreadable(temporary_directory, MOST, "is a directory, expected a file");
    assert_unreadable("/dev/zero", 1000, "larger than the 1000 bytes");
    assert_unreadable(put_file("five", "12345", 5), 4, "larger than the 4 bytes");
    assert_contents("/dev/null", "", 0);
}

static void writes_and_replaces(void **state)
{
    bnn_error error;
    struct stat info;
    const char *path = in_temporary("written"), *link = in_temporary("link");
    (void)state;
    assert_int_equal(bnn_write_file(path, "first", 5, &error), BNN_OK);
    assert_contents(path, "first", 5);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(symlink("written", link), 0);
    assert_int_equal(bnn_write_file(link, "2nd", 3, &error), BNN_OK);
    assert_contents(path, "2nd", 3);
    assert_int_equal(lstat(link, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
    assert_int_equal(bnn_write_file(path, "", 0, &error), BNN_OK);
    assert_contents(path, "", 0);
}

/* A link to a file that is yet to be made, by a relative, an absolute and a second link. */
static void links_stay_links(void **state)
{
    bnn_error error;
    struct stat info;
    (void)state;
    assert_int_equal(mkdir(in_temporary("links"), 0777), 0);
    assert_int_equal(mkdir(in_temporary("links/far"), 0777), 0);
    assert_int_equal(symlink("far/new", in_temporary("links/relative")), 0);
    assert_int_equal(symlink(in_temporary("links/far/other"), in_temporary("links/absolute")), 0);
    assert_int_equal(symlink("relative", in_temporary("links/second")), 0);
    assert_int_equal(symlink("circle", in_temporary("links/circle")), 0);
    assert_int_equal(bnn_write_file(in_temporary("links/second"), "1", 1, &error), BNN_OK);
    assert_contents(in_temporary("links/far/new"), "1", 1);
    assert_int_equal(bnn_write_file(in_temporary("links/relative"), "22", 2, &error), BNN_OK);
    assert_contents(in_temporary("links/far/new"), "22", 2);
    assert_int_equal(bnn_write_file(in_temporary("links/absolute"), "3", 1, &error), BNN_OK);
    assert_contents(in_temporary("links/far/other"), "3", 1);
    assert_failure(bnn_write_file(in_temporary("links/circle"), "4", 1, &error), BNN_BAD_INPUT, error,
                   "links/circle: cannot write");
    static const char *const names[] = {"links/second", "links/relative", "links/absolute", "links/circle"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(lstat(in_temporary(names[i]), &info), 0);
        assert_true(S_ISLNK(info.st_mode));
    }
    assert_int_equal(count_entries(in_temporary("links/far")), 2);
}

static void writes_in_the_working_directory(void **state)
{
    bnn_error error;
    char before[1024];
    (void)state;
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(temporary_directory), 0);
    assert_int_equal(bnn_write_file("relative", "x", 1, &error), BNN_OK);
    assert_int_equal(chdir(before), 0);
    assert_contents(in_temporary("relative"), "x", 1);
}

/* The limit on a file's size makes a write fail half-way, for root too. */
static void keeps_the_old_file_when_a_write_fails(void **state)
{
    enum { SIZE = 200000 };
    uint8_t *large = calloc(SIZE, 1);
    struct rlimit before, small;
    bnn_error error;
    (void)state;
    assert_int_equal(mkdir(in_temporary("full"), 0777), 0);
    const char *path = put_file("full/kept", "old", 3);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 100000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const bnn_status status = bnn_write_file(path, large, SIZE, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_failure(status, BNN_FAILED, error, path, "cannot write: File too large");
    assert_contents(path, "old", 3);
    assert_int_equal(count_entries(in_temporary("full")), 1);
    free(large);
}

/* What cannot be written, whatever it holds, is known before. */
static void assert_no_target(const char *path, const char *expected)
{
    bnn_error error;
    assert_failure(bnn_write_file(path, "x", 1, &error), BNN_BAD_INPUT, error, expected);
    assert_failure(bnn_can_write(path, &error), BNN_BAD_INPUT, error, expected);
}

static void refuses_bad_targets(void **state)
{
    bnn_error error;
    char longest[6000];
    (void)state;
    assert_int_equal(mkdir(in_temporary("targets"), 0777), 0);
    assert_no_target(in_temporary("targets"), "targets: is a directory");
    assert_no_target(in_temporary("targets/none/file"),
                     "targets/none/file: cannot create a temporary file beside it: No such file");
    put_file("targets/file", "old", 3);
    assert_no_target(in_temporary("targets/file/below"), "Not a directory");
    assert_int_equal(symlink("none/file", in_temporary("targets/link")), 0);
    assert_no_target(in_temporary("targets/link"),
                     "targets/none/file: cannot create a temporary file beside it");
    assert_int_equal(unlink(in_temporary("targets/link")), 0);
    assert_failure(bnn_write_file("/dev/full", "x", 1, &error), BNN_FAILED, error,
                   "/dev/full: cannot write: No space left on device");
    assert_int_equal(bnn_write_file("/dev/null", "x", 1, &error), BNN_OK);
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_no_target(longest, "aaa");
    assert_int_equal(bnn_can_write("/dev/null", &error), BNN_OK);
    assert_int_equal(bnn_can_write("-", &error), BNN_OK);
    assert_int_equal(bnn_can_write(in_temporary("targets/file"), &error), BNN_OK);
    assert_int_equal(bnn_can_write(in_temporary("targets/new"), &error), BNN_OK);
    assert_int_equal(bnn_write_file(in_temporary("targets"), "x", 1, NULL), BNN_BAD_INPUT);
    assert_int_equal(count_entries(in_temporary("targets")), 1);
}

static void appends_lines(void **state)
{
    bnn_error error;
    const char *path = in_temporary("lines");
    (void)state;
    assert_int_equal(bnn_append_line(path, "one", &error), BNN_OK);
    assert_int_equal(bnn_append_line(path, "", &error), BNN_OK);
    assert_int_equal(bnn_append_line(path, "three", &error), BNN_OK);
    assert_contents(path, "one\n\nthree\n", 11);
    assert_failure(bnn_append_line("/dev/full", "x", &error), BNN_FAILED, error, "/dev/full",
                   "No space left");
    assert_failure(bnn_append_line(temporary_directory, "x", &error), BNN_BAD_INPUT, error, "Is a directory");
}

static void makes_directories(void **state)
{
    bnn_error error;
    struct stat info;
    (void)state;
    assert_int_equal(bnn_make_directory(in_temporary("a/b//c/"), &error), BNN_OK);
    assert_int_equal(bnn_make_directory(in_temporary("a/b/c"), &error), BNN_OK);
    assert_int_equal(stat(in_temporary("a/b/c"), &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    put_file("a/file", "", 0);
    assert_failure(bnn_make_directory(in_temporary("a/file"), &error), BNN_BAD_INPUT, error,
                   "a/file: is a file, expected a directory");
    assert_failure(bnn_make_directory(in_temporary("a/file/d"), &error), BNN_BAD_INPUT, error, "a/file/d");
    assert_failure(bnn_make_directory("", &error), BNN_BAD_INPUT, error, "empty");
    assert_int_equal(bnn_make_directory("/", &error), BNN_OK);
}

static void finds_the_folder_of_a_file(void **state)
{
    bnn_error error;
    char folder[1024], here[1024], expected[1024];
    (void)state;
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(mkdir(in_temporary("place"), 0777), 0);
    put_file("place/file", "x", 1);
    assert_non_null(realpath(in_temporary("place"), expected));
    assert_int_equal(bnn_folder_of(in_temporary("place/file"), folder, sizeof folder, &error), BNN_OK);
    assert_string_equal(folder, expected);
    assert_int_equal(bnn_folder_of(in_temporary("place/../place/file"), folder, sizeof folder, &error),
                     BNN_OK);
    assert_string_equal(folder, expected);
    assert_int_equal(chdir(in_temporary("place")), 0);
    assert_int_equal(bnn_folder_of("file", folder, sizeof folder, &error), BNN_OK);
    assert_int_equal(chdir(here), 0);
    assert_string_equal(folder, expected);
    static const char *const elsewhere[] = {"/dev/null", "no/such/file", "/tmp"}; /* no regular files */
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(bnn_folder_of(elsewhere[i], folder, sizeof folder, &error), BNN_OK);
        assert_string_equal(folder, here);
    }
    assert_failure(bnn_folder_of(in_temporary("place/file"), folder, 4, &error), BNN_BAD_INPUT, error,
                   "too long");
}

/* The table 3-7 of the Unicode standard: well-formed sequences, their ends, and what lies just beyond. */
static void tells_utf8(void **state)
{
    static const char *const valid[] = {"",
                                        "plain\n\x7f",
                                        "\xc2\x80\xdf\xbf",
                                        "\xe0\xa0\x80\xec\xbf\xbf",
                                        "\xed\x80\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",
                                        "\xf0\x90\x80\x80\xf1\x80\x80\x80\xf4\x8f\xbf\xbf"};
    static const struct {
        const char *text;
        size_t fault;
        const char *mended;
    } faults[] = {{"a\x80z", 1, "a\xef\xbf\xbdz"},
                  {"caf\xe9", 3, "caf\xef\xbf\xbd"},
                  {"\xc1\xbf", 0, "\xef\xbf\xbd\xef\xbf\xbd"},
                  {"ok\xe0\x9f\xbf", 2, "ok\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
                  {"\xed\xa0\x80", 0, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
                  {"\xf0\x8f\xbf\xbf", 0, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
                  {"\xf4\x90\x80\x80", 0, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
                  {"\xc3\xa9\xff", 2, "\xc3\xa9\xef\xbf\xbd"},
                  {"\xe2\x82", 0, "\xef\xbf\xbd\xef\xbf\xbd"}};
    (void)state;
    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++) {
        assert_null(bnn_utf8_fault(valid[i]));
        char *same = bnn_utf8_mend(valid[i]);
        assert_string_equal(same, valid[i]);
        free(same);
    }
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        assert_ptr_equal(bnn_utf8_fault(faults[i].text), faults[i].text + faults[i].fault);
        char *mended = bnn_utf8_mend(faults[i].text);
        assert_string_equal(mended, faults[i].mended);
        free(mended);
    }
}

static void compares_paths(void **state)
{
    bool same;
    (void)state;
    const char *path = put_file("same", "", 0), *other = put_file("other", "", 0);
    assert_int_equal(symlink("same", in_temporary("alias")), 0);
    assert_int_equal(bnn_same_file(path, in_temporary("alias"), &same, NULL), BNN_OK);
    assert_true(same);
    assert_int_equal(bnn_same_file(path, other, &same, NULL), BNN_OK);
    assert_false(same);
    assert_int_equal(bnn_same_file(in_temporary("absent"), in_temporary("absent"), &same, NULL), BNN_OK);
    assert_false(same);
    assert_true(bnn_file_exists(path));
    assert_false(bnn_file_exists(in_temporary("absent")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_plain_files),
        cmocka_unit_test(reads_what_has_no_size),
        cmocka_unit_test(reads_compressed_files_of_any_name),
        cmocka_unit_test(identifies_files),
        cmocka_unit_test(reads_what_expands_a_thousandfold),
        cmocka_unit_test(names_every_truncation_of_compressed_data),
        cmocka_unit_test(names_corrupt_compressed_data),
        cmocka_unit_test(padding_ends_compressed_data),
        cmocka_unit_test(refuses_what_is_no_file),
        cmocka_unit_test(writes_and_replaces),
        cmocka_unit_test(links_stay_links),
        cmocka_unit_test(writes_in_the_working_directory),
        cmocka_unit_test(keeps_the_old_file_when_a_write_fails),
        cmocka_unit_test(refuses_bad_targets),
        cmocka_unit_test(appends_lines),
        cmocka_unit_test(makes_directories),
        cmocka_unit_test(finds_the_folder_of_a_file),
        cmocka_unit_test(tells_utf8),
        cmocka_unit_test(compares_paths),
    };
    return cmocka_run_group_tests(tests, make_temporary_directory, remove_temporary_directory);
}
