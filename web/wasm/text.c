/* The functions of string.h that the library uses, in a few bytes each: zig's are made for long texts. */

#include <string.h>

int memcmp(const void *x, const void *y, size_t size) {
    const unsigned char *a = x, *b = y;
    for (; size; size--, a++, b++) {
        if (*a != *b) {
            return *a < *b ? -1 : 1;
        }
    }
    return 0;
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length]) {
        length++;
    }
    return length;
}

int strcmp(const char *a, const char *b) {
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (unsigned char)*a - (unsigned char)*b;
}

char *strchr(const char *text, int wanted) {
    for (;; text++) {
        if (*text == (char)wanted) {
            return (char *)text;
        }
        if (!*text) {
            return NULL;
        }
    }
}

char *strstr(const char *text, const char *wanted) {
    size_t size = strlen(wanted);
    for (; strlen(text) >= size; text++) {
        if (!memcmp(text, wanted, size)) {
            return (char *)text;
        }
    }
    return NULL;
}
