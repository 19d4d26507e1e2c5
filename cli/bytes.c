#include "bytes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

static ntap_status cannot_read(const char *path, ntap_error *err) {
    if (strcmp(path, "-") == 0) {
        return ntap_error_set(err, NTAP_ERROR_FILE, "cannot read standard input: %s",
                              strerror(errno));
    }
    return ntap_error_set(err, NTAP_ERROR_FILE, "cannot read '%s': %s", path, strerror(errno));
}

static ntap_status read_all(FILE *file, const char *path, struct bytes *bytes, ntap_error *err) {
    size_t room = 0;
    for (;;) {
        if (bytes->size == room) {
            room = room == 0 ? (size_t)1 << 16 : room * 2;
            unsigned char *data = realloc(bytes->data, room);
            if (data == NULL) {
                return report_no_memory(err);
            }
            bytes->data = data;
        }
        errno = 0;
        size_t size = fread(bytes->data + bytes->size, 1, room - bytes->size, file);
        bytes->size += size;
        if (size == 0) {
            return ferror(file) ? cannot_read(path, err) : NTAP_OK;
        }
    }
}

ntap_status bytes_read(const char *path, struct bytes *bytes, ntap_error *err) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (file == NULL) {
        return cannot_read(path, err);
    }
    struct bytes all = {NULL, 0};
    ntap_status status = read_all(file, path, &all, err);
    if (file != stdin) {
        fclose(file);
    }
    if (status != NTAP_OK) {
        free(all.data);
        return status;
    }
    *bytes = all;
    return NTAP_OK;
}
