/* Filling errors. Nothing here allocates: it also reports that memory has run out. */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A message that was cut must not end in the middle of a UTF-8 character. */
static void trim_broken_character(char *message) {
    size_t length = strlen(message);
    size_t tail = 0;
    while (tail < length && tail < 3 && ((unsigned char)message[length - 1 - tail] & 0xC0) == 0x80)
        ++tail;
    if (tail < length && (unsigned char)message[length - 1 - tail] >= 0x80)
        message[length - 1 - tail] = '\0';
}

/* How many bytes the UTF-8 character has that begins here; 0 if none does. */
static size_t character_length(const unsigned char *bytes) {
    const unsigned char first = bytes[0];
    const size_t length = first < 0x80                    ? 1
                          : first >= 0xC2 && first < 0xE0 ? 2
                          : first >= 0xE0 && first < 0xF0 ? 3
                          : first >= 0xF0 && first < 0xF5 ? 4
                                                          : 0;
    for (size_t i = 1; i < length; ++i)
        if ((bytes[i] & 0xC0) != 0x80)
            return 0;
    const int overlong = (first == 0xE0 && bytes[1] < 0xA0) || (first == 0xF0 && bytes[1] < 0x90);
    const int surrogate = first == 0xED && bytes[1] >= 0xA0;
    const int beyond = first == 0xF4 && bytes[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : length;
}

/* Messages travel through logs and one-line error output, and quote what callers pass. */
static void keep_to_one_line(char *message) {
    while (*message != '\0') {
        const size_t length = character_length((const unsigned char *)message);
        if (length == 0)
            *message = '?';
        else if ((unsigned char)*message < ' ' || *message == '\x7F')
            *message = ' ';
        message += length == 0 ? 1 : length;
    }
}

ntap_status ntap_error_set(ntap_error *err, ntap_status code, const char *format, ...) {
    if (err == NULL)
        return code;
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    err->code = code;
    err->truncated = length < 0 || (size_t)length >= sizeof err->message;
    if (length < 0)
        err->message[0] = '\0';
    if (err->truncated)
        trim_broken_character(err->message);
    keep_to_one_line(err->message);
    return code;
}
