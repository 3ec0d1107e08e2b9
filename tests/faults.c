/* A library to be loaded before all others (LD_PRELOAD): it loads a program once, runs it again and again up to the end of its
 * process, each time with one call failing (faults.h), and tells how it ended. Calls count from main on: what the libraries do
 * when they are loaded is theirs, and some end the process (OpenBLAS, libgomp).
 *
 * For output of the same bits, the clock stands still; and nothing is synced, as no power fails here. Programs that the
 * program starts are left alone. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "faults.h"

enum { SECONDS = 20 }; /* after which a program that goes on is ended */

typedef int program(int argc, char **argv, char **environment);

static fault wanted;
static fault_report *report; /* shared by parent and child; NULL: nothing is counted */
static bool counting;
static program *program_main;

/* The function that this library stands before. */
#define NEXT(name) ((__typeof__(&name))next(#name, &(static_##name)))
#define STANDS_BEFORE(name) static void *static_##name

static void *next(const char *name, void **found)
{
    if (!*found) *found = dlsym(RTLD_NEXT, name);
    return *found;
}

/* Counts a call; whether it is the one that the fault is for. */
static bool meets(fault_call call)
{
    if (!counting) return false;
    const long number = ++report->calls[call];
    if (call != wanted.call || wanted.effect == EFFECT_NONE || wanted.effect == EFFECT_SPACE) return false;
    if (number < wanted.at || (number > wanted.at && wanted.effect != EFFECT_FAIL_FROM)) return false;
    report->met = true;
    if (wanted.effect == EFFECT_KILL) kill(getpid(), SIGKILL);
    return true;
}

/* Whether a call that does its work as a whole fails, with this reason. */
static bool fails(fault_call call, int reason)
{
    const bool failing = meets(call);
    if (failing) errno = reason;
    return failing;
}

/* The bytes that a read or write of `size` is allowed; -1: it fails. */
static ssize_t allowed(fault_call call, size_t size, int reason)
{
    if (!meets(call)) return (ssize_t)size;
    if (wanted.effect == EFFECT_SHORT) return (ssize_t)(size + 1) / 2;
    errno = wanted.effect == EFFECT_INTERRUPT ? EINTR : reason;
    return -1;
}

/* ---- memory -------------------------------------------------------------------------------------------- */

STANDS_BEFORE(malloc);
STANDS_BEFORE(calloc);
STANDS_BEFORE(realloc);
STANDS_BEFORE(aligned_alloc);
STANDS_BEFORE(posix_memalign);

void *malloc(size_t size)
{
    return fails(CALL_MEMORY, ENOMEM) ? NULL : NEXT(malloc)(size);
}

void *calloc(size_t count, size_t size)
{
    return fails(CALL_MEMORY, ENOMEM) ? NULL : NEXT(calloc)(count, size);
}

void *realloc(void *memory, size_t size)
{
    return fails(CALL_MEMORY, ENOMEM) ? NULL : NEXT(realloc)(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails(CALL_MEMORY, ENOMEM) ? NULL : NEXT(aligned_alloc)(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    return fails(CALL_MEMORY, ENOMEM) ? ENOMEM : NEXT(posix_memalign)(memory, alignment, size);
}

/* ---- descriptors --------------------------------------------------------------------------------------- */

STANDS_BEFORE(open);
STANDS_BEFORE(open64);
STANDS_BEFORE(openat);
STANDS_BEFORE(read);
STANDS_BEFORE(write);
STANDS_BEFORE(close);

/* The mode of a file to be created stands after the flags. */
#define MODE_AFTER(flags)                                                                                    \
    mode_t mode = 0;                                                                                         \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                                                                 \
        va_list more;                                                                                        \
        va_start(more, flags);                                                                               \
        mode = va_arg(more, mode_t);                                                                         \
        va_end(more);                                                                                        \
    }

int open(const char *path, int flags, ...)
{
    MODE_AFTER(flags)
    return fails(CALL_OPEN, EIO) ? -1 : NEXT(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE_AFTER(flags)
    return fails(CALL_OPEN, EIO) ? -1 : NEXT(open64)(path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...)
{
    MODE_AFTER(flags)
    return fails(CALL_OPEN, EIO) ? -1 : NEXT(openat)(directory, path, flags, mode);
}

ssize_t read(int descriptor, void *bytes, size_t size)
{
    const ssize_t most = allowed(CALL_READ, size, EIO);
    return most < 0 ? -1 : NEXT(read)(descriptor, bytes, (size_t)most);
}

ssize_t write(int descriptor, const void *bytes, size_t size)
{
    ssize_t most = allowed(CALL_WRITE, size, ENOSPC);
    if (counting && descriptor > STDERR_FILENO && most > 0) {
        const long left = wanted.at - report->bytes;
        if (wanted.effect == EFFECT_SPACE && left < most) {
            report->met = true;
            most = left > 0 ? left : -1;
            errno = ENOSPC;
        }
        if (most > 0) report->bytes += most;
    }
    return most < 0 ? -1 : NEXT(write)(descriptor, bytes, (size_t)most);
}

int close(int descriptor)
{
    const int result = NEXT(close)(descriptor); /* a descriptor is closed even where that fails */
    return fails(CALL_CLOSE, EIO) ? -1 : result;
}

/* ---- streams: those of the C library do not pass here on their way to a descriptor ---------------------- */

STANDS_BEFORE(fopen);
STANDS_BEFORE(fopen64);
STANDS_BEFORE(tmpfile);
STANDS_BEFORE(opendir);
STANDS_BEFORE(fread);
STANDS_BEFORE(fwrite);
STANDS_BEFORE(fflush);
STANDS_BEFORE(fclose);

static bool is_file(FILE *stream)
{
    return stream && fileno(stream) > STDERR_FILENO;
}

static bool stream_fails(fault_call call, FILE *stream, int reason)
{
    if (!counting || !is_file(stream) || !fails(call, reason)) return false;
    if (wanted.effect == EFFECT_SHORT) return false; /* the C library goes on by itself */
    stream->_flags |= _IO_ERR_SEEN;
    return true;
}

FILE *fopen(const char *path, const char *mode)
{
    return fails(CALL_OPEN, EIO) ? NULL : NEXT(fopen)(path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
    return fails(CALL_OPEN, EIO) ? NULL : NEXT(fopen64)(path, mode);
}

FILE *tmpfile(void)
{
    return fails(CALL_OPEN, ENOSPC) ? NULL : NEXT(tmpfile)();
}

DIR *opendir(const char *path)
{
    return fails(CALL_OPEN, EIO) ? NULL : NEXT(opendir)(path);
}

size_t fread(void *bytes, size_t size, size_t count, FILE *stream)
{
    return stream_fails(CALL_READ, stream, EIO) ? 0 : NEXT(fread)(bytes, size, count, stream);
}

size_t fwrite(const void *bytes, size_t size, size_t count, FILE *stream)
{
    return stream_fails(CALL_WRITE, stream, ENOSPC) ? 0 : NEXT(fwrite)(bytes, size, count, stream);
}

int fflush(FILE *stream)
{
    return stream_fails(CALL_WRITE, stream, ENOSPC) ? EOF : NEXT(fflush)(stream);
}

int fclose(FILE *stream)
{
    const bool file = is_file(stream);
    const int result = NEXT(fclose)(stream);
    return file && fails(CALL_CLOSE, EIO) ? EOF : result;
}

/* ---- names, and other processes ------------------------------------------------------------------------- */

STANDS_BEFORE(rename);
STANDS_BEFORE(stat);
STANDS_BEFORE(fstat);
STANDS_BEFORE(readlink);
STANDS_BEFORE(realpath);
STANDS_BEFORE(mkdir);
STANDS_BEFORE(unlink);
STANDS_BEFORE(unlinkat);
STANDS_BEFORE(truncate);
STANDS_BEFORE(ftruncate);
STANDS_BEFORE(fchmod);
STANDS_BEFORE(flock);
STANDS_BEFORE(posix_spawnp);

int fsync(int descriptor)
{
    (void)descriptor;
    return fails(CALL_SYNC, EIO) ? -1 : 0;
}

int fdatasync(int descriptor)
{
    return fsync(descriptor);
}

int rename(const char *from, const char *to)
{
    return fails(CALL_RENAME, EIO) ? -1 : NEXT(rename)(from, to);
}

int stat(const char *path, struct stat *info)
{
    return fails(CALL_OTHER, EIO) ? -1 : NEXT(stat)(path, info);
}

int fstat(int descriptor, struct stat *info)
{
    return fails(CALL_OTHER, EIO) ? -1 : NEXT(fstat)(descriptor, info);
}

ssize_t readlink(const char *path, char *target, size_t size)
{
    return fails(CALL_OTHER, EIO) ? -1 : NEXT(readlink)(path, target, size);
}

char *realpath(const char *path, char *absolute)
{
    return fails(CALL_OTHER, EIO) ? NULL : NEXT(realpath)(path, absolute);
}

int mkdir(const char *path, mode_t mode)
{
    return fails(CALL_OTHER, ENOSPC) ? -1 : NEXT(mkdir)(path, mode);
}

int unlink(const char *path)
{
    return fails(CALL_OTHER, EIO) ? -1 : NEXT(unlink)(path);
}

int unlinkat(int directory, const char *path, int flags)
{
    return fails(CALL_OTHER, EIO) ? -1 : NEXT(unlinkat)(directory, path, flags);
}

int truncate(const char *path, off_t size)
{
    return fails(CALL_OTHER, EIO) ? -1 : NEXT(truncate)(path, size);
}

int ftruncate(int descriptor, off_t size)
{
    return fails(CALL_OTHER, EIO) ? -1 : NEXT(ftruncate)(descriptor, size);
}

int fchmod(int descriptor, mode_t mode)
{
    return fails(CALL_OTHER, EIO) ? -1 : NEXT(fchmod)(descriptor, mode);
}

int flock(int descriptor, int operation)
{
    return fails(CALL_OTHER, ENOLCK) ? -1 : NEXT(flock)(descriptor, operation);
}

int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *attributes, char *const argv[], char *const environment[])
{
    if (fails(CALL_OTHER, ENOMEM)) return ENOMEM;
    return NEXT(posix_spawnp)(pid, file, actions, attributes, argv, environment);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    (void)clock;
    *now = (struct timespec){.tv_sec = 1000000};
    return 0;
}

/* ---- the program ---------------------------------------------------------------------------------------- */

STANDS_BEFORE(__libc_start_main);

/* What leaves the buffer of stdout; the rest of a short write is written too, as the C library does. */
static ssize_t put_out(void *context, const char *bytes, size_t size)
{
    size_t done = 0;
    (void)context;
    while (done < size) {
        const ssize_t put = write(STDOUT_FILENO, bytes + done, size - done);
        if (put < 0) return 0;
        done += (size_t)put;
    }
    return (ssize_t)done;
}

static int run(const fault *request, int argc, char **argv, char **environment)
{
    NEXT(close)(FAULTS_SOCKET);
    alarm(SECONDS);
    stdout = fopencookie(NULL, "w", (cookie_io_functions_t){.write = put_out});
    wanted = *request;
    counting = true;
    return program_main(argc, argv, environment);
}

static int serve(int argc, char **argv, char **environment)
{
    fault request;
    unsetenv("LD_PRELOAD");
    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED) _exit(127);
    while (recv(FAULTS_SOCKET, &request, sizeof request, 0) == (ssize_t)sizeof request) {
        *report = (fault_report){.status = -1};
        const pid_t pid = fork();
        if (pid == 0) return run(&request, argc, argv, environment);
        waitpid(pid, &report->status, 0);
        send(FAULTS_SOCKET, report, sizeof *report, 0);
    }
    _exit(0);
}

int __libc_start_main(program *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*loader_fini)(void), void *stack);

int __libc_start_main(program *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*loader_fini)(void), void *stack)
{
    program_main = main;
    return NEXT(__libc_start_main)(serve, argc, argv, init, fini, loader_fini, stack);
}
