/** Whole files in memory. */
#ifndef CLI_BYTES_H
#define CLI_BYTES_H

#include <stddef.h>

#include <neurotap/base.h>

struct bytes {
    unsigned char *data;
    size_t size;
};

/** Reads a file, or all of standard input if @p path is "-". free() the data. */
ntap_status bytes_read(const char *path, struct bytes *bytes, ntap_error *err);

#endif
