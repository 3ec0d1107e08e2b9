/* What tests ask of tests/faults.c, which lets system calls and allocations of the program fail. */
#ifndef BNN_TESTS_FAULTS_H
#define BNN_TESTS_FAULTS_H

#include <stdbool.h>

/* The descriptor on which a program that was started with faults.so takes a `fault` and gives back a `fault_report`, until the
 * other side closes it. For each fault it forks and goes on into main. */
enum { FAULTS_SOCKET = 198 };

typedef enum fault_call {
    CALL_MEMORY, /* malloc, calloc, realloc, aligned_alloc, posix_memalign */
    CALL_OPEN,   /* open, openat, fopen, tmpfile, opendir */
    CALL_READ,   /* read, fread */
    CALL_WRITE,  /* write; fwrite and fflush of files; what leaves the buffer of stdout */
    CALL_SYNC,   /* fsync, fdatasync */
    CALL_RENAME, /* rename */
    CALL_CLOSE,  /* close, fclose of files */
    CALL_OTHER, /* stat, fstat, readlink, realpath, mkdir, unlink, unlinkat, truncate, ftruncate, fchmod, flock, posix_spawnp */
    CALLS
} fault_call;

typedef enum fault_effect {
    EFFECT_NONE,
    EFFECT_FAIL,      /* call `at` fails */
    EFFECT_FAIL_FROM, /* and all of its kind after it */
    EFFECT_SHORT,     /* call `at` (read, write) does half of what it was asked */
    EFFECT_INTERRUPT, /* call `at` (read, write) fails with EINTR */
    EFFECT_KILL,      /* the process is killed before call `at` */
    EFFECT_SPACE      /* write: the disk is full after `at` bytes; stdout is not on it */
} fault_effect;

typedef struct fault {
    fault_call call;
    fault_effect effect;
    long at; /* calls count from 1 */
} fault;

typedef struct fault_report {
    int status; /* of waitpid */
    bool met;   /* the fault was */
    long calls[CALLS];
    long bytes; /* written, but to stdout */
} fault_report;

#endif
