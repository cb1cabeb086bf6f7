/* JSON in memory, read in place: a text is checked once as a whole, and after that values are found in it. Nothing is
   allocated. */

#ifndef JSON_H
#define JSON_H

#include <stddef.h>
#include <stdint.h>

/* A value of a text that json_check has passed; `start` is NULL for none. */
typedef struct json {
    const char *start, *end;
} json;

/* The value of a whole text; none if it is not well-formed JSON in UTF-8, has a number of more than 64 characters or half
   a character, or is nested deeper than 64. */
json json_check(const char *text, size_t size);

int json_is_object(json value);
int json_is_array(json value);
int json_is_string(json value);
int json_is_null(json value);

/* The members of an object or the items of an array, one after the other: 0 after the last. `key` may be NULL. A walk
   begins with {value, NULL}. */
typedef struct json_walk {
    json whole;
    const char *at;
} json_walk;
int json_next(json_walk *walk, json *key, json *item);

/* The member of a name, the last one if there are several; none if there is none, or if the value is no object. */
json json_member(json object, const char *name);

/* Whether a string says this. */
int json_equals(json string, const char *text);

/* The text of a string, ended by a zero; its length, or -1 if it is no string, does not fit or has a zero in it. */
int64_t json_text(json string, char *to, size_t capacity);

/* 0 for what is no whole number (1.0 is none) or beyond 2^53. */
int json_integer(json value, int64_t *number);
int json_number(json value, double *number);

/* 1 for true, 0 for false, -1 for anything else. */
int json_boolean(json value);

/* A value as it stands there, for messages: at most 40 characters, all of them printable. */
#define JSON_SHOWN 44
const char *json_shown(json value, char to[JSON_SHOWN]);

/* The same of a key, without its quotation marks. */
const char *json_shown_name(json key, char to[JSON_SHOWN]);

#endif
