#include "file/json.h"

#include <math.h>
#include <string.h>

#define DEPTH_MAX 64
#define NUMBER_MAX 64 /* characters */
#define POWER_MAX 300
#define INTEGER_MAX 9007199254740992.0 /* 2^53 */

/* ---- Checking ---- */

typedef struct reader {
    const char *at, *end;
} reader;

static int is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static int is_digit(char c) { return c >= '0' && c <= '9'; }

static void skip_space(reader *r) {
    while (r->at < r->end && is_space(*r->at)) {
        r->at++;
    }
}

static int take(reader *r, char c) {
    if (r->at < r->end && *r->at == c) {
        r->at++;
        return 1;
    }
    return 0;
}

static int digit_of(char c) {
    if (is_digit(c)) {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The four digits behind \u; -1 if they are none. */
static int32_t check_hex(reader *r) {
    int32_t code = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        int digit = r->at == r->end ? -1 : digit_of(*r->at);
        if (digit < 0) {
            return -1;
        }
        code = code << 4 | digit;
    }
    return code;
}

/* What is behind a backslash. Half a character is none. */
static int check_escape(reader *r) {
    if (r->at == r->end) {
        return 0;
    }
    char c = *r->at++;
    if (c != 'u') {
        return strchr("\"\\/bfnrt", c) != NULL && c != '\0';
    }
    int32_t code = check_hex(r);
    if (code >= 0xd800 && code < 0xdc00) {
        int32_t low = take(r, '\\') && take(r, 'u') ? check_hex(r) : -1;
        return low >= 0xdc00 && low < 0xe000;
    }
    return code >= 0 && !(code >= 0xdc00 && code < 0xe000);
}

/* The bytes of a character beyond ASCII: no overlong form, no surrogate, nothing beyond the last plane. */
static int check_character(reader *r) {
    unsigned char first = (unsigned char)*r->at;
    int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    uint32_t code = first & (0x3fu >> more);
    if (first < 0xc2 || first > 0xf4 || r->end - r->at <= more) {
        return 0;
    }
    for (int i = 1; i <= more; i++) {
        unsigned char byte = (unsigned char)r->at[i];
        if ((byte & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (byte & 0x3f);
    }
    r->at += more + 1;
    return code >= (more == 3   ? 0x10000u
                    : more == 2 ? 0x800u
                                : 0x80u) &&
           code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
}

static int check_string(reader *r) {
    if (!take(r, '"')) {
        return 0;
    }
    while (r->at < r->end) {
        unsigned char c = (unsigned char)*r->at;
        if (c == '"') {
            r->at++;
            return 1;
        }
        if (c < 0x20) {
            return 0;
        }
        if (c == '\\') {
            r->at++;
            if (!check_escape(r)) {
                return 0;
            }
        } else if (c < 0x80) {
            r->at++;
        } else if (!check_character(r)) {
            return 0;
        }
    }
    return 0;
}

static int check_digits(reader *r) {
    const char *start = r->at;
    while (r->at < r->end && is_digit(*r->at)) {
        r->at++;
    }
    return r->at > start;
}

static int check_number(reader *r) {
    const char *start = r->at;
    take(r, '-');
    if (!take(r, '0') && !check_digits(r)) {
        return 0;
    }
    if (take(r, '.') && !check_digits(r)) {
        return 0;
    }
    if (take(r, 'e') || take(r, 'E')) {
        if (!take(r, '+')) {
            take(r, '-');
        }
        if (!check_digits(r)) {
            return 0;
        }
    }
    return r->at - start <= NUMBER_MAX;
}

static int check_word(reader *r, const char *word) {
    size_t size = strlen(word);
    if ((size_t)(r->end - r->at) < size || memcmp(r->at, word, size) != 0) {
        return 0;
    }
    r->at += size;
    return 1;
}

static int check_value(reader *r, int depth);

static int check_items(reader *r, int depth, char close, int has_keys) {
    skip_space(r);
    if (take(r, close)) {
        return 1;
    }
    do {
        skip_space(r);
        if (has_keys) {
            if (!check_string(r)) {
                return 0;
            }
            skip_space(r);
            if (!take(r, ':')) {
                return 0;
            }
        }
        if (!check_value(r, depth + 1)) {
            return 0;
        }
        skip_space(r);
    } while (take(r, ','));
    return take(r, close);
}

static int check_value(reader *r, int depth) {
    skip_space(r);
    if (depth > DEPTH_MAX || r->at == r->end) {
        return 0;
    }
    switch (*r->at) {
    case '{': r->at++; return check_items(r, depth, '}', 1);
    case '[': r->at++; return check_items(r, depth, ']', 0);
    case '"': return check_string(r);
    case 't': return check_word(r, "true");
    case 'f': return check_word(r, "false");
    case 'n': return check_word(r, "null");
    default: return check_number(r);
    }
}

json json_check(const char *text, size_t size) {
    reader r = {text, text + size};
    json value = {NULL, NULL};
    skip_space(&r);
    const char *start = r.at;
    if (!check_value(&r, 0)) {
        return value;
    }
    value = (json){start, r.at};
    skip_space(&r);
    return r.at == r.end ? value : (json){NULL, NULL};
}

/* ---- Finding, in what is well-formed ---- */

static const char *after_string(const char *at) {
    for (at++; *at != '"'; at++) {
        at += *at == '\\';
    }
    return at + 1;
}

static const char *after_value(const char *at, const char *end) {
    int depth = 0;
    while (at < end) {
        if (*at == '"') {
            at = after_string(at);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            if (--depth < 0) {
                return at;
            }
            at++;
        } else if (depth == 0 && (*at == ',' || is_space(*at))) {
            return at;
        } else {
            at++;
        }
        if (depth == 0 && (at[-1] == '"' || at[-1] == '}' || at[-1] == ']')) {
            return at;
        }
    }
    return at;
}

static const char *after_space(const char *at) {
    while (is_space(*at)) {
        at++;
    }
    return at;
}

static int begins_with(json value, char c) { return value.start && *value.start == c; }

int json_is_object(json value) { return begins_with(value, '{'); }
int json_is_array(json value) { return begins_with(value, '['); }
int json_is_string(json value) { return begins_with(value, '"'); }
int json_is_null(json value) { return begins_with(value, 'n'); }

int json_next(json_walk *walk, json *key, json *item) {
    int is_object = json_is_object(walk->whole);
    if (!is_object && !json_is_array(walk->whole)) {
        return 0;
    }
    const char *last = walk->whole.end - 1; /* the bracket */
    const char *at = after_space(walk->at ? walk->at : walk->whole.start + 1);
    if (at == last) {
        return 0;
    }
    at = *at == ',' ? after_space(at + 1) : at;
    if (is_object) {
        const char *end = after_string(at);
        if (key) {
            *key = (json){at, end};
        }
        at = after_space(after_space(end) + 1); /* behind the colon */
    }
    walk->at = after_value(at, last);
    *item = (json){at, walk->at};
    return 1;
}

json json_member(json object, const char *name) {
    json_walk walk = {object, NULL};
    json key, item, found = {NULL, NULL};
    while (json_is_object(object) && json_next(&walk, &key, &item)) {
        if (json_equals(key, name)) {
            found = item;
        }
    }
    return found;
}

static int hex4(const char *at) {
    int code = 0;
    for (int i = 0; i < 4; i++) {
        code = code << 4 | digit_of(at[i]);
    }
    return code;
}

/* The character behind a backslash, as UTF-8; how many bytes. */
static int unescape(const char **at, char to[4]) {
    static const char NAMES[] = "\"\\/bfnrt", MEANT[] = "\"\\/\b\f\n\r\t";
    char c = *(*at)++;
    if (c != 'u') {
        to[0] = MEANT[strchr(NAMES, c) - NAMES];
        return 1;
    }
    uint32_t code = (uint32_t)hex4(*at);
    *at += 4;
    if (code >= 0xd800 && code < 0xdc00) { /* the other half is behind it */
        code = 0x10000 + ((code - 0xd800) << 10) + ((uint32_t)hex4(*at + 2) - 0xdc00);
        *at += 6;
    }
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    for (int i = more; i > 0; i--, code >>= 6) {
        to[i] = (char)(0x80 | (code & 0x3f));
    }
    to[0] = (char)((0xf00 >> (more + 1) & 0xff) | code);
    return more + 1;
}

int64_t json_text(json string, char *to, size_t capacity) {
    size_t length = 0;
    if (!json_is_string(string)) {
        return -1;
    }
    for (const char *at = string.start + 1; at < string.end - 1;) {
        char bytes[4] = {*at};
        int count = 1;
        at++;
        if (bytes[0] == '\\') {
            count = unescape(&at, bytes);
        }
        if (length + (size_t)count >= capacity || bytes[0] == '\0') {
            return -1;
        }
        memcpy(to + length, bytes, (size_t)count);
        length += (size_t)count;
    }
    if (capacity == 0) {
        return -1;
    }
    to[length] = '\0';
    return (int64_t)length;
}

int json_equals(json string, const char *text) {
    char found[128];
    return json_text(string, found, sizeof found) >= 0 && !strcmp(found, text);
}

/* By squares, which are exact as far as 10^22: the C library's pow brings 6 kB of tables. */
static double power_of_ten(int64_t exponent) {
    double power = 1.0;
    for (double square = 10.0; exponent > 0; exponent /= 2, square *= square) {
        power *= exponent % 2 ? square : 1.0;
    }
    return power;
}

/* Small powers of ten are exact, their inverses are not; and powers end before numbers do. */
static double scaled(double digits, int64_t exponent) {
    if (digits == 0.0) {
        return 0.0;
    }
    if (exponent >= 0) {
        return digits * power_of_ten(exponent);
    }
    int64_t first = exponent < -POWER_MAX ? POWER_MAX : -exponent;
    return digits / power_of_ten(first) / power_of_ten(-exponent - first);
}

int json_number(json value, double *number) {
    const char *at = value.start;
    if (!at || !(*at == '-' || is_digit(*at))) {
        return 0;
    }
    double sign = *at == '-' ? -1.0 : 1.0, digits = 0.0;
    int64_t exponent = 0, shift = 0;
    at += *at == '-';
    for (; at < value.end && is_digit(*at); at++) {
        digits = 10.0 * digits + (*at - '0');
    }
    if (at < value.end && *at == '.') {
        for (at++; at < value.end && is_digit(*at); at++, shift--) {
            digits = 10.0 * digits + (*at - '0');
        }
    }
    if (at < value.end) { /* an exponent */
        int negative = *++at == '-';
        for (at += *at == '-' || *at == '+'; at < value.end; at++) {
            exponent = exponent < 100000 ? 10 * exponent + (*at - '0') : exponent;
        }
        exponent = negative ? -exponent : exponent;
    }
    *number = sign * scaled(digits, exponent + shift);
    return 1;
}

int json_integer(json value, int64_t *number) {
    double found;
    if (!json_number(value, &found) || !(fabs(found) <= INTEGER_MAX)) {
        return 0;
    }
    for (const char *at = value.start; at < value.end; at++) {
        if (*at != '-' && !is_digit(*at)) {
            return 0;
        }
    }
    *number = (int64_t)found;
    return 1;
}

int json_boolean(json value) { return begins_with(value, 't') ? 1 : begins_with(value, 'f') ? 0 : -1; }

const char *json_shown(json value, char to[JSON_SHOWN]) {
    int length = 0;
    if (!value.start) {
        return strcpy(to, "no such field");
    }
    for (const char *at = value.start; at < value.end && length < 40; at++) {
        to[length++] = *at >= ' ' && *at < 0x7f ? *at : '?';
    }
    to[length] = '\0';
    return to;
}

const char *json_shown_name(json key, char to[JSON_SHOWN]) {
    return json_shown((json){key.start + 1, key.end - 1}, to);
}
