#include "suggestion.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { LONGEST_NAME = 32 };

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/** Levenshtein's distance; SIZE_MAX if a name is too long for it. */
static size_t edit_distance(const char *a, size_t length_a, const char *b) {
    size_t row[LONGEST_NAME + 1];
    size_t length_b = strlen(b);
    if (length_a > LONGEST_NAME || length_b > LONGEST_NAME) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= length_b; ++j) {
        row[j] = j;
    }
    for (size_t i = 1; i <= length_a; ++i) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= length_b; ++j) {
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = smaller(replaced, 1 + smaller(diagonal, row[j - 1]));
        }
    }
    return row[length_b];
}

void suggestion_start(struct suggestion *suggestion, const char *misspelt, size_t length) {
    *suggestion = (struct suggestion){misspelt, length, NULL, SIZE_MAX};
}

void suggestion_offer(struct suggestion *suggestion, const char *name) {
    const char *misspelt = suggestion->misspelt;
    size_t length = suggestion->length, limit = 1 + length / 3;
    if (length == 0) {
        return;
    }
    bool abbreviates = strncmp(misspelt, name, length) == 0;
    size_t distance = abbreviates ? 1 : edit_distance(misspelt, length, name);
    if (distance <= limit && distance < suggestion->distance) {
        suggestion->nearest = name;
        suggestion->distance = distance;
    }
}
