/* The blocks of memory that arenas are laid into. */

#ifndef MEMORY_H
#define MEMORY_H

#include <stddef.h>

/* At an address that is a multiple of ARENA_ALIGNMENT; NULL without memory. What is large is read from end to end once
   a frame, and gets large pages where the system has them. */
void *memory_take(size_t bytes);

void memory_give_back(void *memory);

#endif
