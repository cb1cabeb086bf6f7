#include "arena.h"

void *arena_take(arena *a, size_t count, size_t size) {
    void *taken = a->memory ? a->memory + a->used : NULL;
    if (count > (ARENA_MAX - a->used) / size) {
        a->used = ARENA_MAX;
        return taken;
    }
    size_t bytes = count * size;
    a->used += (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    a->used = a->used < ARENA_MAX ? a->used : ARENA_MAX;
    return taken;
}
