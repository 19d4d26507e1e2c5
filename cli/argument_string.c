#include "argument_string.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static char *append_utf8(char *end, uint32_t code) {
    if (code < 0x80) {
        *end++ = (char)code;
        return end;
    }
    int continuations = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char marks[] = {0, 0xc0, 0xe0, 0xf0};
    *end++ = (char)(marks[continuations] | (code >> (6 * continuations)));
    while (continuations-- > 0) {
        *end++ = (char)(0x80 | ((code >> (6 * continuations)) & 0x3f));
    }
    return end;
}

static int hexadecimal_digit(char c) {
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *found = c != '\0' ? strchr(digits, c) : NULL;
    if (found == NULL) {
        return -1;
    }
    int index = (int)(found - digits);
    return index < 16 ? index : index - 6;
}

/** Reads the digits of \xHH, \uHHHH and \UHHHHHHHH; 0, which no text can hold, if they are wrong.
 */
static uint32_t parse_code(const char *digits, int count) {
    uint32_t code = 0;
    for (int i = 0; i < count; ++i) {
        int digit = hexadecimal_digit(digits[i]);
        if (digit < 0) {
            return 0;
        }
        code = code << 4 | (uint32_t)digit;
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return surrogate || code > 0x10ffff ? 0 : code;
}

/** Reads one escape, *at pointing at its backslash. */
static bool parse_escape(const char **at, char **end, const char **wrong) {
    static const char names[] = "\\'\"abfnrtv";
    static const char meanings[] = "\\'\"\a\b\f\n\r\t\v";
    char name = (*at)[1];
    const char *simple = name != '\0' ? strchr(names, name) : NULL;
    if (simple != NULL) {
        *(*end)++ = meanings[simple - names];
        *at += 2;
        return true;
    }
    int digits = name == 'x' ? 2 : name == 'u' ? 4 : name == 'U' ? 8 : 0;
    if (digits == 0) {
        *wrong = "there is no such escape";
        return false;
    }
    uint32_t code = parse_code(*at + 2, digits);
    if (code == 0) {
        *wrong = "the escape's hexadecimal digits are wrong";
        return false;
    }
    *end = append_utf8(*end, code);
    *at += 2 + digits;
    return true;
}

static bool parse_characters(const char **at, char *end, const char **wrong) {
    char quote = *(*at)++;
    while (**at != quote) {
        if (**at == '\0') {
            *wrong = "the closing quote is missing";
            return false;
        }
        if (**at != '\\') {
            *end++ = *(*at)++;
        } else if (!parse_escape(at, &end, wrong)) {
            return false;
        }
    }
    ++*at;
    *end = '\0';
    return true;
}

int argument_string_parse(const char **at, char **text, const char **wrong) {
    char *buffer = malloc(strlen(*at) + 1); /* no escape is shorter than what it stands for */
    *wrong = NULL;
    if (buffer == NULL || !parse_characters(at, buffer, wrong)) {
        free(buffer);
        return 0;
    }
    *text = buffer;
    return 1;
}
