#define _POSIX_C_SOURCE 200809L /* threads, in ISO C */

#include "stream/ahead.h"

#ifdef PERCEPNET_THREADS

#include <stddef.h>

#include "subnormals.h"

static void *run(void *of) {
    ahead *a = of;
    uint64_t before = subnormals_off();
    a->make(a->of);
    subnormals_restore(before);
    return NULL;
}

int ahead_start(ahead *a, void (*make)(void *of), void *of) {
    a->make = make;
    a->of = of;
    a->waiting = 0;
    if (pthread_mutex_init(&a->lock, NULL)) {
        return 0;
    }
    if (!pthread_cond_init(&a->changed, NULL)) {
        if (!pthread_create(&a->thread, NULL, run, a)) {
            return 1;
        }
        pthread_cond_destroy(&a->changed);
    }
    pthread_mutex_destroy(&a->lock);
    return 0;
}

static void wait_while(ahead *a, int waiting) {
    pthread_mutex_lock(&a->lock);
    while (a->waiting == waiting) {
        pthread_cond_wait(&a->changed, &a->lock);
    }
    pthread_mutex_unlock(&a->lock);
}

static void change(ahead *a, int by) {
    pthread_mutex_lock(&a->lock);
    a->waiting += by;
    pthread_cond_signal(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

void ahead_wait_for_room(ahead *a) { wait_while(a, AHEAD_PIECES); }

void ahead_made(ahead *a) { change(a, 1); }

void ahead_wait_for_piece(ahead *a) { wait_while(a, 0); }

void ahead_used(ahead *a) { change(a, -1); }

void ahead_end(ahead *a) {
    pthread_join(a->thread, NULL);
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
}

#endif
