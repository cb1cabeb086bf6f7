/* One block of memory for everything that lives equally long. What needs memory has a function that takes it from an
   arena, and that runs twice: with no memory behind the arena, which adds up the size, and then with it. */

#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>
#include <stdint.h>

#define ARENA_ALIGNMENT 64       /* a cache line, and the widest vector */
#define ARENA_MAX (SIZE_MAX / 4) /* more than any system gives, so that sums of sizes never overflow */

typedef struct arena {
    char *memory; /* NULL while the size is added up */
    size_t used;
} arena;

/* Room for `count` things of `size` bytes; NULL while the size is added up. */
void *arena_take(arena *a, size_t count, size_t size);

/* The arena begins behind the structure that owns it, `size` bytes long: one block of memory for both. */
static inline size_t arena_start(size_t size) {
    return (size + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
}

static inline arena arena_behind(void *owner, size_t size) {
    arena a = {(char *)owner + arena_start(size), 0};
    return a;
}

#define ARENA_TAKE(a, type, count) ((type *)arena_take((a), (size_t)(count), sizeof(type)))

#endif
