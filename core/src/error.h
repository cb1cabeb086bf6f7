/* What was wrong, in words. */

#ifndef ERROR_H
#define ERROR_H

#include <stdarg.h>
#include <stdio.h>

#include "percepnet.h"

/* As printf, into an error, which may be NULL. What is too long is cut. */
#ifdef __GNUC__
__attribute__((format(printf, 2, 3)))
#endif
static inline void error_say(percepnet_error *error, const char *format, ...) {
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->message, sizeof error->message, format, arguments);
        va_end(arguments);
    }
}

#endif
