/* Suggestions for misspelt names. */
#include "internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_NAME = 256, MOST_SUGGESTIONS = 3 };

static size_t smallest(size_t a, size_t b, size_t c) {
    const size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

static size_t differ(char a, char b) {
    return tolower((unsigned char)a) != tolower((unsigned char)b);
}

/* Levenshtein's distance: insertions, deletions and replacements of characters, whose case does not
 * count. */
static size_t edit_distance(const char *a, const char *b) {
    size_t row[LONGEST_NAME + 1];
    const size_t length_a = strlen(a);
    const size_t length_b = strlen(b);
    if (length_a > LONGEST_NAME || length_b > LONGEST_NAME)
        return SIZE_MAX;
    for (size_t j = 0; j <= length_b; ++j)
        row[j] = j;
    for (size_t i = 1; i <= length_a; ++i) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= length_b; ++j) {
            const size_t above = row[j];
            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + differ(a[i - 1], b[j - 1]));
            diagonal = above;
        }
    }
    return row[length_b];
}

typedef struct suggestion {
    const char *name;
    size_t distance;
} suggestion;

/* Keeps the best few, nearest first; of equally near ones the first. */
static void insert(suggestion *best, suggestion candidate) {
    for (size_t i = 0; i < MOST_SUGGESTIONS; ++i) {
        if (best[i].name == NULL || candidate.distance < best[i].distance) {
            const suggestion moved = best[i];
            best[i] = candidate;
            candidate = moved;
            if (candidate.name == NULL)
                return;
        }
    }
}

/* "conv1" is near "layer1.0.conv1", "add:1" near "layer1.0/add:1", and "model.fc" near "fc". */
static int is_tail(const char *name, const char *candidate) {
    const size_t length = strlen(name);
    const size_t whole = strlen(candidate);
    return length > 0 && whole > length && strcmp(candidate + whole - length, name) == 0 &&
           strchr("./", candidate[whole - length - 1]) != NULL;
}

static size_t distance_between(const char *name, const char *candidate) {
    return is_tail(name, candidate) || is_tail(candidate, name) ? 1
                                                                : edit_distance(name, candidate);
}

void ntapi_suggest(const char *name, size_t count,
                   const char *(*name_at)(const void *context, size_t index), const void *context,
                   char *buffer, size_t size) {
    suggestion best[MOST_SUGGESTIONS] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    const size_t limit = 1 + strlen(name) / 3;
    for (size_t i = 0; i < count; ++i) {
        const char *candidate = name_at(context, i);
        const size_t distance = distance_between(name, candidate);
        if (*candidate != '\0' && distance <= limit)
            insert(best, (suggestion){candidate, distance});
    }
    size_t used = 0;
    buffer[0] = '\0';
    for (size_t i = 0; i < MOST_SUGGESTIONS && best[i].name != NULL && used < size; ++i)
        used += (size_t)snprintf(buffer + used, size - used, "%s'%s'",
                                 i == 0 ? "; did you mean " : " or ", best[i].name);
    if (used > 0 && used < size)
        (void)snprintf(buffer + used, size - used, "?");
}
