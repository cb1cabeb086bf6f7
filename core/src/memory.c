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

#if defined(__linux__) && defined(MADV_HUGEPAGE)
/* In a call the processor has forgotten where small pages are, and looks up each of them before each frame. */
static void *take_large(size_t bytes) {
    size_t whole =
        (bytes + LARGE_PAGE_BYTES - 1) / LARGE_PAGE_BYTES * LARGE_PAGE_BYTES; /* or the last has small pages */
    void *memory = take_aligned(whole, LARGE_PAGE_BYTES);
    if (memory) {
        madvise(memory, whole, MADV_HUGEPAGE); /* a wish: without, it is slower */
    }
    return memory;
}
#else
static void *take_large(size_t bytes) { return take_aligned(bytes, ARENA_ALIGNMENT); }
#endif

void *memory_take(size_t bytes) {
    int is_large = bytes >= LARGE_PAGE_BYTES / 2 && bytes <= SIZE_MAX - LARGE_PAGE_BYTES;
    return is_large ? take_large(bytes) : take_aligned(bytes, ARENA_ALIGNMENT);
}

void memory_give_back(void *memory) {
    if (memory) {
        free(((void **)memory)[-1]);
    }
}
