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

/* Messages travel through logs and one-line error output, and quote what callers pass. */
static void keep_to_one_line(char *message) {
    for (; *message != '\0'; ++message)
        if ((unsigned char)*message < ' ')
            *message = ' ';
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
