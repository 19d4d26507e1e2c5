/* Selectors in Python's notation: "4", "4,1:3,:", "(0, ::2)". */
#include "internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_INDICES = 64 }; /* as many dimensions as libtorch's tensors may have */

typedef struct parser {
    const char *text;
    const char *at;
    ntap_error *err;
} parser;

static void skip_spaces(parser *p) {
    while (isspace((unsigned char)*p->at))
        ++p->at;
}

static int accept(parser *p, char c) {
    skip_spaces(p);
    if (*p->at != c)
        return 0;
    ++p->at;
    return 1;
}

static ntap_status expected(const parser *p, const char *what) {
    const size_t position = (size_t)(p->at - p->text);
    return ntap_error_set(p->err, NTAP_ERROR_INVALID_ARGUMENT,
                          "selector '%s' is malformed at character %zu: expected %s", p->text,
                          position + 1, what);
}

static int at_number(parser *p) {
    skip_spaces(p);
    const char *digits = p->at + (*p->at == '-' || *p->at == '+');
    return isdigit((unsigned char)*digits);
}

static ntap_status parse_number(parser *p, int64_t *number) {
    char *end = NULL;
    if (!at_number(p))
        return expected(p, "a number, a slice or ')'");
    errno = 0;
    const long long parsed = strtoll(p->at, &end, 10);
    if (errno == ERANGE || parsed == NTAP_OMITTED)
        return expected(p, "a number of at most 63 bits");
    *number = parsed;
    p->at = end;
    return NTAP_OK;
}

/* A bound that may be left out. */
static ntap_status parse_bound(parser *p, int64_t omitted, int64_t *bound) {
    *bound = omitted;
    return at_number(p) ? parse_number(p, bound) : NTAP_OK;
}

static ntap_status parse_index(parser *p, ntap_index *index) {
    int64_t start = 0;
    int64_t stop = NTAP_OMITTED;
    int64_t step = 1;
    NTAPI_TRY(parse_bound(p, NTAP_OMITTED, &start));
    if (!accept(p, ':')) {
        if (start == NTAP_OMITTED)
            return expected(p, "a number or a slice");
        *index = ntap_at(start);
        return NTAP_OK;
    }
    NTAPI_TRY(parse_bound(p, NTAP_OMITTED, &stop));
    if (accept(p, ':')) {
        NTAPI_TRY(parse_bound(p, 1, &step));
        if (step < 1)
            return ntap_error_set(p->err, NTAP_ERROR_INVALID_ARGUMENT,
                                  "selector '%s' has a slice with step %lld; expected at least 1",
                                  p->text, (long long)step);
    }
    *index = ntap_slice(start, stop, step);
    return NTAP_OK;
}

/* Indices with commas between them; one more comma may follow, as in Python's "(4,)". */
static ntap_status parse_indices(parser *p, int parenthesized, ntap_index *indices, size_t *count) {
    *count = 0;
    skip_spaces(p);
    if (parenthesized && *p->at == ')')
        return NTAP_OK;
    do {
        skip_spaces(p);
        if (*count > 0 && (*p->at == '\0' || *p->at == ')'))
            return NTAP_OK;
        if (*count == MOST_INDICES)
            return expected(p, "no more than 64 indices");
        NTAPI_TRY(parse_index(p, &indices[*count]));
        ++*count;
    } while (accept(p, ','));
    return NTAP_OK;
}

ntap_status ntap_selector_parse(const char *text, ntap_selector **selector, ntap_error *err) {
    ntap_index indices[MOST_INDICES];
    size_t count = 0;
    NTAPI_REQUIRE(text, err);
    NTAPI_REQUIRE(selector, err);
    parser p = {text, text, err};
    const int parenthesized = accept(&p, '(');
    NTAPI_TRY(parse_indices(&p, parenthesized, indices, &count));
    if (parenthesized && !accept(&p, ')'))
        return expected(&p, "',' or ')'");
    skip_spaces(&p);
    if (*p.at != '\0')
        return expected(&p, "',' or the end");
    return ntap_selector_new_indices(indices, count, selector, err);
}
