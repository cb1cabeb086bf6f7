/* Two threads that hand pieces over: the second makes them, and is at most AHEAD_PIECES ahead of the first. It lives for
   one call. Where the library is built without PERCEPNET_THREADS nobody is ahead. */

#ifndef AHEAD_H
#define AHEAD_H

#ifdef PERCEPNET_THREADS
#include <pthread.h>
#endif

#define AHEAD_PIECES 2

typedef struct ahead {
    void (*make)(void *of); /* what the second thread does */
    void *of;
    int waiting; /* pieces that are made, and not yet used */
#ifdef PERCEPNET_THREADS
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
#endif
} ahead;

#ifdef PERCEPNET_THREADS

/* 0 if there is no second thread. */
int ahead_start(ahead *a, void (*make)(void *of), void *of);

/* Before `make` begins a piece, and when it has made it. */
void ahead_wait_for_room(ahead *a);
void ahead_made(ahead *a);

/* Before the first thread uses the next piece, and when it has used it. */
void ahead_wait_for_piece(ahead *a);
void ahead_used(ahead *a);

/* When `make` has returned. */
void ahead_end(ahead *a);

#else

static inline int ahead_start(ahead *a, void (*make)(void *of), void *of) {
    (void)a, (void)make, (void)of;
    return 0;
}

static inline void ahead_wait_for_room(ahead *a) { (void)a; }
static inline void ahead_made(ahead *a) { (void)a; }
static inline void ahead_wait_for_piece(ahead *a) { (void)a; }
static inline void ahead_used(ahead *a) { (void)a; }
static inline void ahead_end(ahead *a) { (void)a; }

#endif

#endif
