#define _DEFAULT_SOURCE /* the terminal's size */

#include "text.h"

#include <langinfo.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool text_locale_is_utf8(void) { return strcmp(nl_langinfo(CODESET), "UTF-8") == 0; }

/** Overlong forms, surrogates and numbers beyond U+10FFFF are no characters. */
static bool is_character(uint32_t code, size_t length) {
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    return code >= smallest[length] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
}

size_t text_character_length(const char *text) {
    unsigned char first = (unsigned char)*text;
    if (first < 0x80) {
        return first != '\0' ? 1 : 0;
    }
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
    if (length == 0 || first > 0xf7) {
        return 0;
    }
    uint32_t code = first & (0xffU >> (length + 1));
    for (size_t i = 1; i < length; ++i) {
        unsigned char next = (unsigned char)text[i];
        if ((next & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (next & 0x3fU);
    }
    return is_character(code, length) ? length : 0;
}

size_t text_width(const char *text) {
    size_t width = 0;
    while (*text != '\0') {
        size_t length = text_character_length(text);
        text += length != 0 ? length : 1;
        ++width;
    }
    return width;
}

size_t text_terminal_width(FILE *stream) {
    struct winsize size;
    int handle = fileno(stream);
    bool known = isatty(handle) && ioctl(handle, TIOCGWINSZ, &size) == 0;
    return known ? size.ws_col : 0;
}

void text_pad(size_t width, size_t column_width) {
    for (; width < column_width; ++width) {
        putchar(' ');
    }
}

bool text_is_control(char c) { return (unsigned char)c < ' ' || c == 0x7f; }

void text_print(FILE *stream, const char *text) {
    for (; *text != '\0'; ++text) {
        putc(text_is_control(*text) ? ' ' : *text, stream);
    }
}

char *text_clean(const char *text) {
    char *clean = malloc(strlen(text) + 1);
    if (clean == NULL) {
        return NULL;
    }
    char *end = clean;
    while (*text != '\0') {
        size_t length = text_character_length(text);
        if (length == 0) {
            *end++ = '?';
            ++text;
            continue;
        }
        memcpy(end, text, length);
        end += length;
        text += length;
    }
    *end = '\0';
    return clean;
}

json_t *text_to_json(const char *text) {
    char *clean = text_clean(text);
    json_t *string = clean != NULL ? json_string(clean) : NULL;
    free(clean);
    return string;
}
