/** Suggestions for misspelt options and commands. */
#ifndef CLI_SUGGESTION_H
#define CLI_SUGGESTION_H

#include <stddef.h>

/** The nearest of the names that were offered so far. */
struct suggestion {
    const char *misspelt;
    size_t length;       /**< of what is misspelt */
    const char *nearest; /**< NULL: none is near enough */
    size_t distance;
};

void suggestion_start(struct suggestion *suggestion, const char *misspelt, size_t length);

/** Offers a name, which is lent. */
void suggestion_offer(struct suggestion *suggestion, const char *name);

#endif
