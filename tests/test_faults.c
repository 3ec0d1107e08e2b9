/* Every command with calls that fail, one at a time: memory, files, a full disk, and kills. It does its work as if nothing had
 * been, or ends with 1 and one line that says why; it loses no file, and leaves no piece of one. A training that ended so
 * goes on with --resume to the bits of one that did not.
 *
 * FAULTS=all (make faults): every call of every kind; otherwise every call but those for memory, of which there are thousands:
 * one of STRIDE. FAULTS_OF=NAME: one command alone. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <zlib.h>

#include "archives.h"
#include "bnn/blas.h"
#include "bnn/io.h"
#include "faults.h"
#include "pictures.h"
#include "trainings.h"

#ifdef __SANITIZE_ADDRESS__ /* a run takes ten times as long, and one that is killed shows a sanitizer nothing */
enum { STRIDE = 101, KILLS = 0 };
#else
enum { STRIDE = 23, KILLS = 1 };
#endif
enum { ENTRIES = 64, STATES = 64, WORDS = 24 };

static const char *const call_names[CALLS] = {"memory", "open",   "read",  "write",
                                              "sync",   "rename", "close", "other"};
static const char *const effect_names[] = {"none",        "fails",  "and all after it fail",       "is short",
                                           "interrupted", "killed", "bytes until the disk is full"};

/* ---- the files of the folder that commands work in ------------------------------------------------------ */

typedef struct entry {
    char name[96]; /* within the folder */
    size_t size;
    uint8_t *bytes;
} entry;

typedef struct tree {
    entry entries[ENTRIES];
    size_t count;
} tree;

static const char *work; /* the folder */

static const char *in_work(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", work, name);
    return path;
}

static void read_entry(tree *t, const char *name, size_t size)
{
    assert_true(t->count < ENTRIES);
    entry *e = &t->entries[t->count++];
    snprintf(e->name, sizeof e->name, "%s", name);
    e->bytes = malloc(size + 1);
    assert_non_null(e->bytes);
    e->size = get_file(in_work(name), e->bytes, size + 1);
}

static void read_folder(tree *t, const char *folder)
{
    DIR *stream = opendir(in_work(folder));
    assert_non_null(stream);
    for (const struct dirent *found; (found = readdir(stream));) {
        char name[96];
        struct stat info;
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0) continue;
        assert_true(snprintf(name, sizeof name, "%s%s%s", folder, *folder ? "/" : "", found->d_name) <
                    (int)sizeof name);
        assert_int_equal(stat(in_work(name), &info), 0);
        if (S_ISDIR(info.st_mode))
            read_folder(t, name);
        else
            read_entry(t, name, (size_t)info.st_size);
    }
    closedir(stream);
}

static void free_tree(tree *t)
{
    for (size_t i = 0; i < t->count; i++) free(t->entries[i].bytes);
    t->count = 0;
}

static void read_tree(tree *t)
{
    free_tree(t);
    read_folder(t, "");
}

static const entry *find(const tree *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->entries[i].name, name) == 0) return &t->entries[i];
    return NULL;
}

/* Two files of a name; NULL: there is none. */
static bool same(const entry *a, const entry *b)
{
    return a && b ? a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0 : a == b;
}

/* The first file in which two trees differ, or NULL. */
static const char *difference(const tree *a, const tree *b)
{
    for (size_t i = 0; i < a->count; i++)
        if (!same(&a->entries[i], find(b, a->entries[i].name))) return a->entries[i].name;
    for (size_t i = 0; i < b->count; i++)
        if (!find(a, b->entries[i].name)) return b->entries[i].name;
    return NULL;
}

/* Makes the folder, which is as `now`, as `wanted` again. */
static void restore(const tree *wanted, const tree *now)
{
    for (size_t i = 0; i < now->count; i++)
        if (!find(wanted, now->entries[i].name)) unlink(in_work(now->entries[i].name));
    for (size_t i = 0; i < wanted->count; i++) {
        const entry *e = &wanted->entries[i];
        if (same(e, find(now, e->name))) continue;
        FILE *file = fopen(in_work(e->name), "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(e->bytes, 1, e->size, file), e->size);
        assert_int_equal(fclose(file), 0);
    }
    rmdir(in_work("new"));
}

/* ---- the program, loaded once -------------------------------------------------------------------------- */

typedef struct server {
    pid_t pid;
    int socket;
} server;

static char library[PATH_MAX];                    /* faults.so */
static char printed[1 << 18], complaint[1 << 14]; /* by the last run */

static server start(const char *const *words)
{
    const char *argv[WORDS + 2] = {program_path};
    int ends[2];
    for (size_t i = 0; i < WORDS && words[i]; i++) argv[i + 1] = words[i];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    const server s = {fork(), ends[0]};
    if (s.pid == 0) {
        const int nothing = open("/dev/null", O_RDONLY);
        const int out = open(program_out, O_WRONLY | O_CREAT | O_APPEND, 0666);
        const int err = open(program_err, O_WRONLY | O_CREAT | O_APPEND, 0666);
        if (dup2(ends[1], FAULTS_SOCKET) < 0 || dup2(nothing, 0) < 0 || dup2(out, 1) < 0 ||
            dup2(err, 2) < 0 || chdir(work) || setenv("LD_PRELOAD", library, 1))
            _exit(126);
        close(nothing), close(out), close(err);
        execv(program_path, (char *const *)argv);
        _exit(127);
    }
    close(ends[1]);
    return s;
}

static void end(const server *s)
{
    int status;
    close(s->socket);
    waitpid(s->pid, &status, 0);
}

static fault_report run(const server *s, fault f)
{
    fault_report report = {0};
    truncate(program_out, 0);
    truncate(program_err, 0);
    assert_int_equal(send(s->socket, &f, sizeof f, 0), sizeof f);
    if (recv(s->socket, &report, sizeof report, 0) != sizeof report) fail_msg("the program did not start");
    printed[get_file(program_out, printed, sizeof printed - 1)] = '\0';
    complaint[get_file(program_err, complaint, sizeof complaint - 1)] = '\0';
    return report;
}

/* ---- one command --------------------------------------------------------------------------------------- */

typedef struct command {
    const char *name;
    const char *words[WORDS];
    const char *resume[WORDS]; /* what goes on with it, where it is a training */
} command;

typedef struct trial {
    const command *command;
    server server, resume;
    tree before, after, now;
    tree states[STATES]; /* at every rename and removal of an undisturbed run */
    size_t state_count;
    char out[sizeof printed], err[sizeof complaint]; /* of an undisturbed run */
    long done[CALLS], failures;
} trial;

/* Some lines of what the file ends up as. */
static bool is_beginning(const entry *part, const entry *whole)
{
    return whole && part->size <= whole->size && memcmp(part->bytes, whole->bytes, part->size) == 0 &&
           (part->size == 0 || part->bytes[part->size - 1] == '\n');
}

/* Whether the file `name` is as some whole state of it. */
static bool is_whole(const trial *t, const char *name)
{
    const entry *now = find(&t->now, name), *after = find(&t->after, name);
    if (strstr(name, ".tmp")) return false;
    if (same(now, find(&t->before, name)) || same(now, after)) return true;
    for (size_t i = 0; i < t->state_count; i++)
        if (same(now, find(&t->states[i], name))) return true;
    return now && strstr(name, "metrics.jsonl") && is_beginning(now, after);
}

/* A file that is lost or broken, or NULL. After a kill, temporary files stay. */
static const char *broken_file(const trial *t, bool killed)
{
    for (size_t i = 0; i < t->now.count; i++) {
        const char *name = t->now.entries[i].name;
        if (!(killed && strstr(name, ".tmp")) && !is_whole(t, name)) return name;
    }
    for (size_t i = 0; i < t->before.count; i++)
        if (!is_whole(t, t->before.entries[i].name)) return t->before.entries[i].name;
    return NULL;
}

/* Whether the line says what was done to the program. */
static bool says(fault f)
{
    char line[sizeof complaint];
    for (size_t i = 0; i < sizeof line; i++) line[i] = (char)tolower((unsigned char)complaint[i]);
    if (f.call == CALL_MEMORY) return strstr(line, "memory");
    if (f.effect == EFFECT_INTERRUPT && strstr(line, "interrupted system call")) return true;
    return strstr(line, "input/output error") || strstr(line, "no space left on device") ||
           strstr(line, "cannot allocate memory") || strstr(line, "standard output: cannot be written");
}

/* What is wrong about a run that met the fault, or NULL. */
static const char *judge(const trial *t, fault f, const fault_report *report)
{
    static const char gomp[] = "\nlibgomp: Out of memory";
    static char problem[256];
    const char *newline = strchr(complaint, '\n'), *file = broken_file(t, f.effect == EFFECT_KILL);
    if (file) {
        snprintf(problem, sizeof problem, "%s is lost or broken", file);
        return problem;
    }
    if (f.effect == EFFECT_KILL) return NULL;
    if (WIFSIGNALED(report->status)) {
        snprintf(problem, sizeof problem, "ended by signal %d", WTERMSIG(report->status));
        return problem;
    }
    if (WEXITSTATUS(report->status) == 0) {
        if (strcmp(printed, t->out) != 0) return "exit code 0, and other output";
        if (strcmp(complaint, t->err) != 0) return "exit code 0, and a complaint";
        file = difference(&t->now, &t->after);
        snprintf(problem, sizeof problem, "exit code 0, and another %s", file ? file : "");
        return file ? problem : NULL;
    }
    if (WEXITSTATUS(report->status) != 1) return "exit code neither 0 nor 1";
    if (strncmp(complaint, gomp, strlen(gomp)) == 0)
        return NULL; /* OpenMP's library ends the program itself */
    if (!newline || newline == complaint || newline[1]) return "not one line";
    return says(f) ? NULL : "the line does not say why";
}

/* Whether a training that did not end well goes on to what an undisturbed one makes. */
static const char *judge_resume(trial *t)
{
    static char problem[1024];
    const fault_report report = run(&t->resume, (fault){.effect = EFFECT_NONE});
    read_tree(&t->now);
    const char *file = difference(&t->now, &t->after);
    if (report.status == 0 && !file) return NULL;
    snprintf(problem, sizeof problem, "resumed, status %d, %s differs", report.status,
             file ? file : "no file");
    return problem;
}

static void try(trial *t, fault f)
{
    const fault_report report = run(&t->server, f);
    read_tree(&t->now);
    const char *problem = report.met ? judge(t, f, &report) : "the call was not made";
    if (problem && t->failures++ < 20)
        print_error("%s: %s call %ld %s: %s: exit %d: %s\n", t->command->name, call_names[f.call], f.at,
                    effect_names[f.effect], problem, WEXITSTATUS(report.status), complaint);
    if (!problem && report.status && *t->command->resume && (problem = judge_resume(t)) && t->failures++ < 20)
        print_error("%s: %s call %ld %s: %s: %s\n", t->command->name, call_names[f.call], f.at,
                    effect_names[f.effect], problem, complaint);
    t->done[f.call]++;
    restore(&t->before, &t->now);
}

/* The states that files have on the way. */
static void collect_states(trial *t, const long *calls)
{
    static const fault_call changes[] = {CALL_RENAME, CALL_OTHER};
    for (size_t c = 0; c < 2; c++)
        for (long at = 1; at <= calls[changes[c]]; at++) {
            if (!*t->command->resume && c == 1) return; /* nothing else removes */
            assert_true(t->state_count < STATES);
            run(&t->server, (fault){changes[c], EFFECT_KILL, at});
            tree *state = &t->states[t->state_count++];
            read_tree(state);
            restore(&t->before, state);
        }
}

/* Every stride-th fault of a kind, from a call that depends on the kind alone. */
static void try_all(trial *t, fault_call call, fault_effect effect, long last, long stride)
{
    for (long at = 1 + (long)effect % stride; at <= last; at += stride) try(t, (fault){call, effect, at});
}

static void try_everything(trial *t, const fault_report *whole)
{
    const char *wanted = getenv("FAULTS");
    const bool all = wanted && strcmp(wanted, "all") == 0;
    const long *calls = whole->calls;
    try_all(t, CALL_MEMORY, EFFECT_FAIL, calls[CALL_MEMORY], all ? 1 : STRIDE);
    try_all(t, CALL_MEMORY, EFFECT_FAIL_FROM, calls[CALL_MEMORY], all ? 5 : 5 * STRIDE);
    for (fault_call call = CALL_OPEN; call < CALLS; call++) try_all(t, call, EFFECT_FAIL, calls[call], 1);
    for (fault_call call = CALL_READ; call <= CALL_WRITE; call++) {
        try_all(t, call, EFFECT_SHORT, calls[call], 1);
        try_all(t, call, EFFECT_INTERRUPT, calls[call], 1);
    }
    if (!*t->command->resume) return;
    for (fault_call call = CALL_OPEN; KILLS && call < CALLS; call++)
        try_all(t, call, EFFECT_KILL, calls[call], 1);
    for (long at = 0; at < whole->bytes; at += all ? 17 : 17 * STRIDE)
        try(t, (fault){CALL_WRITE, EFFECT_SPACE, at});
}

/* How many went wrong. */
static long provoke(const command *c)
{
    static trial t;
    long sum = 0;
    const double begun = bnn_seconds();
    t = (trial){.command = c, .server = start(c->words)};
    if (*c->resume) t.resume = start(c->resume);
    read_tree(&t.before);
    const fault_report whole = run(&t.server, (fault){.effect = EFFECT_NONE});
    if (whole.status) fail_msg("%s: status %d: %s", c->name, whole.status, complaint);
    strcpy(t.out, printed);
    strcpy(t.err, complaint);
    read_tree(&t.after);
    restore(&t.before, &t.after);
    collect_states(&t, whole.calls);
    try_everything(&t, &whole);
    print_message("%-20s", c->name);
    for (size_t k = 0; k < CALLS; k++) print_message(" %s %ld", call_names[k], t.done[k]), sum += t.done[k];
    print_message(": %ld faults, %ld wrong, %.1f s\n", sum, t.failures, bnn_seconds() - begun);
    end(&t.server);
    if (*c->resume) end(&t.resume);
    free_tree(&t.before), free_tree(&t.after), free_tree(&t.now);
    for (size_t i = 0; i < t.state_count; i++) free_tree(&t.states[i]);
    return t.failures;
}

/* ---- what it works on ---------------------------------------------------------------------------------- */

#define MODE(mode) "--set", "symmetrization.mode=" mode

static const command commands[] = {
    {"help", {"help"}, {NULL}},
    {"train --keys", {"train", "--keys"}, {NULL}},
    {"train --dry-run", {"train", "config.json", "--dry-run"}, {NULL}},
    {"train on npz", {"train", "npz.json", "--dry-run"}, {NULL}},
    {"train on png", {"train", "png.json", "--dry-run"}, {NULL}},
    {"train",
     {"train", "config.json", "--out", "new", "--quiet", "--threads", "1"},
     {"train", "config.json", "--out", "new", "--quiet", "--threads", "1", "--resume"}},
    {"train --resume",
     {"train", "part", "--resume", "--quiet", "--threads", "1"},
     {"train", "part", "--resume", "--quiet", "--threads", "1"}},
    {"train --overwrite",
     {"train", "config.json", "--out", "run", "--overwrite", "--quiet", "--threads", "1"},
     {"train", "config.json", "--out", "run", "--resume", "--quiet", "--threads", "1"}},
    {"train, expanded",
     {"train", "config.json", "--out", "new", "--quiet", "--threads", "1", MODE("orbit-expansion"), "--set",
      "symmetrization.stage1_epochs=1"},
     {"train", "config.json", "--out", "new", "--quiet", "--threads", "1", MODE("orbit-expansion"), "--set",
      "symmetrization.stage1_epochs=1", "--resume"}},
    {"eval", {"eval", "run", "--equivariance", "--uncertainty", "--classes", "--threads", "1"}, {NULL}},
    {"eval --json", {"eval", "run", "--equivariance", "--json", "--threads", "1"}, {NULL}},
    {"eval of two", {"eval", "run", "part", "--threads", "1"}, {NULL}},
    {"predict", {"predict", "run", "--out", "old.bin", "--threads", "1"}, {NULL}},
    {"predict --csv", {"predict", "run", "--each-draw", "--csv", "--out", "-", "--threads", "1"}, {NULL}},
    {"predict --sets",
     {"predict", "calibrated.bin", "--images", "x.npy", "--sets", "--out", "new.npy", "--threads", "1"},
     {NULL}},
    {"score", {"score", "--probs", "p.npy", "--labels", "y.npy", "--classes"}, {NULL}},
    {"score --json", {"score", "--probs", "p.npy", "--labels", "y.npy", "--json"}, {NULL}},
    {"calibrate", {"calibrate", "run", "--coverage", "0.6", "--out", "old.bin", "--threads", "1"}, {NULL}},
    {"calibrate --json",
     {"calibrate", "run", "--coverage", "0.6", "--out", "new.bin", "--json", "--threads", "1"},
     {NULL}},
    {"symmetrize", {"symmetrize", "run", "--project", "--out", "old.bin"}, {NULL}},
    {"symmetrize, average", {"symmetrize", "run", "--average", "geometric", "--out", "new.bin"}, {NULL}},
    {"expand", {"expand", "run", "--out", "old.bin"}, {NULL}},
    {"show", {"show", "run", "--count", "2", "--out", "old.bin", "--threads", "1"}, {NULL}},
    {"show of images", {"show", "config.json", "--out", "new.png", "--threads", "1"}, {NULL}},
    {"report", {"report", "run", "--repeats", "2", "--out", "old.bin", "--threads", "1"}, {NULL}},
    {"check", {"check", "config.json", "--set", "symmetrization.mode=tie"}, {NULL}},
    {"check --json", {"check", "projected.bin", "--json"}, {NULL}},
    {"info", {"info", "calibrated.bin"}, {NULL}},
    {"info --json", {"info", "run", "--json"}, {NULL}},
    {"export", {"export", "run", "--onnx", "--samples", "2", "--group-average", "--out", "old.bin"}, {NULL}},
};

static void every_fault_is_survived(void **state)
{
    const char *only = getenv("FAULTS_OF");
    long wrong = 0;
    (void)state;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!only || strcmp(only, commands[i].name) == 0) wrong += provoke(&commands[i]);
    assert_int_equal(wrong, 0);
}

static const program_run *work_run(const char *const *words)
{
    return succeeded(finish_program(start_program(work, words)));
}

static void put_configurations(void)
{
    static const char *const data[][2] = {
        {"work/config.json", "\"name\": \"idx\", \"train_images\": \"train-images\", \"train_labels\": "
                             "\"train-labels\", \"test_images\": \"test-images.gz\", \"test_labels\": "
                             "\"test-labels\", \"validation_size\": 4"},
        {"work/npz.json", "\"name\": \"npz\", \"path\": \"small.npz\""},
        {"work/png.json", "\"name\": \"png\", \"path\": \"pictures\""},
    };
    for (size_t i = 0; i < sizeof data / sizeof *data; i++) {
        char text[1024];
        const int size = snprintf(
            text, sizeof text,
            "{\"data\": {%s}, \"group\": \"C4\", \"model\": {\"type\": \"fcnn\", \"channels\": [4]},\n"
            " \"symmetrization\": {\"mode\": \"augment\"}, \"train\": {\"epochs\": 2, \"batch_size\": 4, "
            "\"samples\": 1, \"optimizer\": {\"name\": \"adamw\"}}, \"eval\": {\"samples\": 2}}\n",
            data[i][1]);
        put_file(data[i][0], text, (size_t)size);
    }
}

static void put_inputs(void)
{
    static uint8_t bytes[1 << 14];
    const uint8_t labels[] = {0, 1, 2, 0, 1, 2, 0, 1};
    put_images("work/train-images", 12, SIDE, SIDE);
    put_labels("work/train-labels", 12, 2);
    put_images("test-images", 8, SIDE, SIDE);
    put_labels("work/test-labels", 8, 1);
    const size_t size = get_file(in_temporary("test-images"), bytes, sizeof bytes);
    gzFile packed = gzopen(in_work("test-images.gz"), "wb");
    assert_int_equal(gzwrite(packed, bytes, (unsigned)size), size);
    assert_int_equal(gzclose(packed), Z_OK);
    put_array("work/x.npy", "|u1", "(8, 8, 8)", bytes + 16, 8 * SIDE * SIDE);
    put_array("work/y.npy", "|u1", "(8,)", labels, sizeof labels);
    zip_t *zip = new_archive(in_work("small.npz"));
    add_array(zip, "train_images", "|u1", "(8, 8, 8)", bytes + 16, 8 * SIDE * SIDE, ZIP_CM_DEFLATE);
    add_array(zip, "train_labels", "|u1", "(8,)", labels, sizeof labels, ZIP_CM_DEFLATE);
    close_archive(zip);
    for (size_t c = 0; c < 2; c++)
        for (size_t i = 0; i < 2; i++) {
            char name[64];
            snprintf(name, sizeof name, "work/pictures/train/kind%zu", c);
            put_folder(name);
            snprintf(name, sizeof name, "work/pictures/train/kind%zu/%zu.png", c, i);
            put_grey(name, SIDE, SIDE, (uint8_t)(100 * c + i));
        }
    put_configurations();
    put_file("work/old.bin", "what was there\n", 15);
}

/* Trains under the fault: a run, or one that was killed after the checkpoint of its first epoch. */
static void put_run(const char *name, fault f)
{
    const server s = start(ARGUMENTS("train", "config.json", "--out", name, "--quiet", "--threads", "1"));
    char checkpoint[64];
    run(&s, f);
    end(&s);
    bnn_remove_leftovers(in_work(name));
    snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint.bin", name);
    assert_true(bnn_file_exists(in_work(checkpoint)));
}

/* What the program is started with, so that it does not start itself anew with more; and a gnuplot that repeats what it is to
 * draw. */
static void set_environment(void)
{
    static char path[256];
    const char *core = bnn_blas_better_core();
    put_file("gnuplot", "#!/bin/sh\nexec cat\n", 19);
    assert_int_equal(chmod(in_temporary("gnuplot"), 0755), 0);
    snprintf(path, sizeof path, "%s:/usr/bin:/bin", temporary_directory);
    setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 0); /* faults.so stands before it */
    if (core) setenv("OPENBLAS_CORETYPE", core, 0);
    setenv("OMP_WAIT_POLICY", "passive", 1);
    setenv("OMP_NUM_THREADS", "1", 1);
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    setenv("PATH", path, 1);
}

static int set_up(void **state)
{
    static char folder[128];
    if (find_program() || make_temporary_directory(state)) return -1;
    snprintf(folder, sizeof folder, "%s/work", temporary_directory);
    snprintf(library, sizeof library, "%.*s/faults.so", (int)(strrchr(program_path, '/') - program_path),
             program_path);
    snprintf(program_out, sizeof program_out, "%s/stdout", temporary_directory);
    snprintf(program_err, sizeof program_err, "%s/stderr", temporary_directory);
    work = folder;
    put_folder("work");
    put_inputs();
    set_environment();
    put_run("run", (fault){.effect = EFFECT_NONE});
    put_run("part", (fault){CALL_RENAME, EFFECT_KILL, 5});
    work_run(ARGUMENTS("calibrate", "run", "--coverage", "0.6", "--out", "calibrated.bin"));
    work_run(ARGUMENTS("symmetrize", "run", "--project", "--out", "projected.bin"));
    work_run(ARGUMENTS("predict", "run", "--orbit", "--out", "p.npy"));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_fault_is_survived)};
    return cmocka_run_group_tests(tests, set_up, remove_temporary_directory);
}
