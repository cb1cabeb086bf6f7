#define _POSIX_C_SOURCE 200809L /* threads, in ISO C */

#include "stream/pipeline.h"

#ifdef PERCEPNET_THREADS

#include "subnormals.h"

static int is_ready(const pipeline *p, int stage) {
    if (p->busy[stage]) {
        return 0;
    }
    int64_t under_way = p->left[0] - p->left[PIPELINE_STAGES - 1];
    return stage ? p->left[stage] < p->left[stage - 1] : p->left[0] < p->count && under_way < PIPELINE_PIECES;
}

static int furthest_ready(const pipeline *p) {
    int stage = PIPELINE_STAGES - 1;
    while (stage >= 0 && !is_ready(p, stage)) {
        stage--;
    }
    return stage;
}

/* With the lock. */
static void run_stages(pipeline *p) {
    while (p->left[PIPELINE_STAGES - 1] < p->count) {
        int stage = furthest_ready(p);
        if (stage < 0) {
            pthread_cond_wait(&p->changed, &p->lock);
            continue;
        }
        int64_t number = p->left[stage];
        p->busy[stage] = 1;
        pthread_mutex_unlock(&p->lock);
        p->run(p->of, stage, number);
        pthread_mutex_lock(&p->lock);
        p->busy[stage] = 0;
        p->left[stage]++;
        pthread_cond_signal(&p->changed);
    }
}

static void *help(void *of) {
    pipeline *p = of;
    uint64_t before = subnormals_off();
    pthread_mutex_lock(&p->lock);
    run_stages(p);
    pthread_mutex_unlock(&p->lock);
    subnormals_restore(before);
    return NULL;
}

int pipeline_run(pipeline *p, void (*run)(void *of, int stage, int64_t number), void *of, int64_t count) {
    pthread_t helper;
    *p = (pipeline){.run = run, .of = of, .count = count};
    if (pthread_mutex_init(&p->lock, NULL)) {
        return 0;
    }
    int done = !pthread_cond_init(&p->changed, NULL);
    if (done) {
        int is_helped = !pthread_create(&helper, NULL, help, p);
        pthread_mutex_lock(&p->lock);
        run_stages(p);
        pthread_mutex_unlock(&p->lock);
        if (is_helped) {
            pthread_join(helper, NULL);
        }
        pthread_cond_destroy(&p->changed);
    }
    pthread_mutex_destroy(&p->lock);
    return done;
}

#endif
