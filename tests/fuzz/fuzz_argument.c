/* Quoted text in the arguments of the command line program. */
#include "argument_string.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *input = fuzz_text(data, size);
    char *text = NULL;
    const char *at = input;
    const char *wrong = NULL;
    if (input == NULL || (input[0] != '"' && input[0] != '\'')) {
        free(input);
        return 0;
    }
    const int parsed = argument_string_parse(&at, &text, &wrong);
    if (at < input || at > input + strlen(input) || (parsed && strlen(text) > strlen(input)) ||
        (!parsed && wrong == NULL))
        __builtin_trap();
    if (parsed)
        free(text);
    free(input);
    return 0;
}
