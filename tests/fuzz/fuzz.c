#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];

static void remove_file(void) { (void)unlink(path); }

const char *fuzz_file(const uint8_t *data, size_t size) {
    if (path[0] == '\0') {
        (void)snprintf(path, sizeof path, "/tmp/neurotap-fuzz-%ld", (long)getpid());
        (void)atexit(remove_file);
    }
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        abort(); /* the target cannot work */
    return path;
}

char *fuzz_text(const uint8_t *data, size_t size) {
    char *text = (char *)malloc(size + 1);
    if (text == NULL)
        return NULL;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}
