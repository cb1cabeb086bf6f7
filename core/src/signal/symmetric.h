#ifndef SYMMETRIC_H
#define SYMMETRIC_H

#include "arena.h"

/* A window of an even length from its first half: only that is stored, as a browser has to fetch it. */
float *symmetric(const float *half, int length, arena *a);

#endif
