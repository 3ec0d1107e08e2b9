/* Loaded before the C library (LD_PRELOAD), lets allocation number OUT_OF_MEMORY_AT of a program fail. */
#include <stdlib.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static long wanted, seen;

__attribute__((constructor)) static void start(void)
{
    const char *text = getenv("OUT_OF_MEMORY_AT");
    wanted = text ? atol(text) : 0;
}

static int fails(void)
{
    return wanted > 0 && __atomic_add_fetch(&seen, 1, __ATOMIC_RELAXED) == wanted;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    return fails() ? NULL : __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __libc_memalign(alignment, size);
}
