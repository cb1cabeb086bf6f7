/* snprintf for the library's messages, at a tenth of the C library's size, which is an eighth of the binary.
 *
 * It knows what the messages use: %s and %.Ns, %d, %ld, %lld, %llu, %zu, %g, %.0f, %%. tests/test_web_words.py compares
 * them with the C library's, and fails when a message of core/src uses another.
 */

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#define DIGITS_MAX 24
#define SHOWN_DIGITS 6 /* of %g */

typedef struct {
    char *to;
    size_t size, length;
} words;

static void put(words *w, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++, w->length++) {
        if (w->length + 1 < w->size) {
            w->to[w->length] = text[i];
        }
    }
}

static void put_number(words *w, uint64_t value, int is_negative) {
    char digits[DIGITS_MAX];
    int at = DIGITS_MAX;
    do {
        digits[--at] = (char)('0' + value % 10);
    } while (value /= 10);
    if (is_negative) {
        digits[--at] = '-';
    }
    put(w, digits + at, (size_t)(DIGITS_MAX - at));
}

static void put_signed(words *w, int64_t value) {
    put_number(w, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

/* Six digits without the zeros at their end; with an exponent where that is below -4 or above 5. */
static void put_general(words *w, double value) {
    if (signbit(value)) {
        put(w, "-", 1);
    }
    value = fabs(value);
    if (value > DBL_MAX || value != value) {
        put(w, value > DBL_MAX ? "inf" : "nan", 3);
        return;
    }
    int exponent = 0;
    double least = 1e5, scaled = value; /* one division or multiplication at a time keeps what has few digits exact */
    for (; scaled >= 10 * least; exponent++) {
        scaled /= 10.0;
    }
    for (; scaled > 0.0 && scaled < least; exponent--) {
        scaled *= 10.0;
    }
    uint64_t digits = (uint64_t)rint(scaled);
    if (digits >= 1000000) {
        digits /= 10;
        exponent++;
    }
    int point = digits ? exponent + SHOWN_DIGITS - 1 : 0, has_exponent = point < -4 || point >= SHOWN_DIGITS;
    int left = SHOWN_DIGITS;
    for (; left > 1 && digits % 10 == 0; left--) {
        digits /= 10;
    }
    char shown[SHOWN_DIGITS];
    for (int i = left - 1; i >= 0; i--, digits /= 10) {
        shown[i] = (char)('0' + digits % 10);
    }
    int before = has_exponent ? 1 : point + 1; /* digits before the point; there are none where it is not above 0 */
    put(w, "0.000", before > 0 ? 0 : (size_t)(2 - before));
    for (int i = 0; i < left || i < before; i++) {
        if (i == before && i > 0) {
            put(w, ".", 1);
        }
        put(w, i < left ? shown + i : "0", 1);
    }
    if (has_exponent) {
        put(w, point < 0 ? "e-" : "e+", 2);
        uint64_t size = (uint64_t)(point < 0 ? -point : point);
        put(w, "0", size < 10);
        put_number(w, size, 0);
    }
}

int vsnprintf(char *restrict to, size_t size, const char *restrict format, va_list arguments) {
    words w = {to, size, 0};
    for (const char *f = format; *f; f++) {
        if (*f != '%') {
            put(&w, f, 1);
            continue;
        }
        size_t most = SIZE_MAX;
        if (*++f == '.') {
            for (most = 0; f[1] >= '0' && f[1] <= '9'; f++) {
                most = 10 * most + (size_t)(f[1] - '0');
            }
            f++;
        }
        int longs = 0;
        for (; *f == 'l'; f++) {
            longs++;
        }
        if (*f == 's') {
            const char *text = va_arg(arguments, const char *);
            size_t length = 0;
            for (; length < most && text[length]; length++) {
            }
            put(&w, text, length);
        } else if (*f == 'd') {
            put_signed(&w, longs == 2   ? va_arg(arguments, long long)
                           : longs == 1 ? va_arg(arguments, long)
                                        : va_arg(arguments, int));
        } else if (*f == 'u') { /* %llu */
            put_number(&w, va_arg(arguments, unsigned long long), 0);
        } else if (*f == 'z') { /* %zu */
            f++;
            put_number(&w, va_arg(arguments, size_t), 0);
        } else if (*f == 'f') { /* %.0f */
            put_signed(&w, (int64_t)rint(va_arg(arguments, double)));
        } else if (*f == 'g') {
            put_general(&w, va_arg(arguments, double));
        } else {
            put(&w, f, 1);
        }
    }
    if (size) {
        to[w.length < size ? w.length : size - 1] = '\0';
    }
    return (int)w.length;
}

int snprintf(char *restrict to, size_t size, const char *restrict format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(to, size, format, arguments);
    va_end(arguments);
    return length;
}
