#ifdef __linux__
#define _DEFAULT_SOURCE /* madvise */
#endif

#include "memory.h"

#include <stdint.h>
#include <stdlib.h>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "arena.h"

#define LARGE_PAGE_BYTES ((size_t)2 << 20)

static void *take_aligned(size_t bytes, size_t alignment) {
    /* Behind as much as makes it aligned, with the address that free wants just before it. */
    if (bytes > SIZE_MAX - alignment - sizeof(void *)) {
        return NULL;
    }
    char *all = malloc(bytes + alignment + sizeof(void *));
    if (!all) {
        return NULL;
    }
    uintptr_t first = (uintptr_t)all + sizeof(void *);
    char *memory = all + sizeof(void *) + (alignment - first % alignment) % alignment;
    ((void **)memory)[-1] = all;
    return memory;
}

void *memory_take(size_t bytes) {
    int large = bytes >= LARGE_PAGE_BYTES / 2;
    void *memory = take_aligned(bytes, large ? LARGE_PAGE_BYTES : ARENA_ALIGNMENT);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (memory && large) {
        madvise(memory, bytes, MADV_HUGEPAGE); /* a wish: without, it is slower */
    }
#endif
    return memory;
}

void memory_give_back(void *memory) {
    if (memory) {
        free(((void **)memory)[-1]);
    }
}
