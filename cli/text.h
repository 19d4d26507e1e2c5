/** Text in UTF-8: for terminals, JSON and pictures. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <jansson.h>

/** Whether the locale that main() set writes UTF-8. */
bool text_locale_is_utf8(void);

/** The length of the character at @p text in bytes; 0 if it is not valid UTF-8 (or the end). */
size_t text_character_length(const char *text);

/** How many columns the text takes on a terminal. */
size_t text_width(const char *text);

/** The columns of the terminal that a stream writes to; 0 if it is none, or does not know. */
size_t text_terminal_width(FILE *stream);

/** Prints spaces until a text of @p width columns fills @p column_width. */
void text_pad(size_t width, size_t column_width);

/** Whether a byte of a text would break a line, or command a terminal. */
bool text_is_control(char c);

/** Prints a text with a space for every control character. */
void text_print(FILE *stream, const char *text);

/** Copies a text, with '?' for every byte that is not valid UTF-8 (file names may hold any
 *  bytes). NULL if there is no memory; free() it. */
char *text_clean(const char *text);

/** A JSON string of the cleaned text; NULL if there is no memory. */
json_t *text_to_json(const char *text);

#endif
