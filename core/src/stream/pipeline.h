/* Pieces of a recording that go through stages one after the other, by two threads at once: whoever is free takes the
   furthest stage that has something to do. A stage has one piece at a time, in their order, so that what a stage remembers
   needs no lock. The second thread lives for one call. */

#ifndef PIPELINE_H
#define PIPELINE_H

#include <stdint.h>

#ifdef PERCEPNET_THREADS

#include <pthread.h>

#define PIPELINE_STAGES 3
#define PIPELINE_PIECES 3 /* under way at most: one for each thread, and one that is ready */

typedef struct pipeline {
    void (*run)(void *of, int stage, int64_t number);
    void *of;
    int64_t count;                 /* of pieces */
    int64_t left[PIPELINE_STAGES]; /* pieces that have left a stage */
    int busy[PIPELINE_STAGES];
    pthread_mutex_t lock;
    pthread_cond_t changed;
} pipeline;

/* All pieces, through all stages. 0, and nothing is done, where no lock can be had; without a second thread one is enough. */
int pipeline_run(pipeline *p, void (*run)(void *of, int stage, int64_t number), void *of, int64_t count);

#endif

#endif
