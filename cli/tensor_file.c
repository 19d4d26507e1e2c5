#include "tensor_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static enum file_kind kind_of(const unsigned char *start, size_t size) {
    static const struct {
        enum file_kind kind;
        size_t size;
        const char *start;
    } kinds[] = {
        {FILE_KIND_NPY, 6, "\x93NUMPY"},
        {FILE_KIND_ZIP, 4, "PK\x03\x04"},
        {FILE_KIND_PNG, 8, "\x89PNG\r\n\x1a\n"},
        {FILE_KIND_JPEG, 3, "\xff\xd8\xff"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i) {
        if (size >= kinds[i].size && memcmp(start, kinds[i].start, kinds[i].size) == 0) {
            return kinds[i].kind;
        }
    }
    return FILE_KIND_UNKNOWN;
}

static ntap_status cannot_read(const char *path, ntap_error *err) {
    return ntap_error_set(err, NTAP_ERROR_FILE, "cannot read '%s': %s", path, strerror(errno));
}

ntap_status file_kind_detect(const char *path, enum file_kind *kind, ntap_error *err) {
    struct stat info;
    if (strcmp(path, "-") == 0) {
        *kind = FILE_KIND_NPY;
        return NTAP_OK;
    }
    if (stat(path, &info) != 0) {
        return cannot_read(path, err);
    }
    if (S_ISFIFO(info.st_mode)) {
        *kind = FILE_KIND_NPY;
        return NTAP_OK;
    }
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return cannot_read(path, err);
    }
    unsigned char start[8];
    errno = 0;
    size_t size = fread(start, 1, sizeof start, file);
    ntap_status status = ferror(file) ? cannot_read(path, err) : NTAP_OK;
    fclose(file);
    *kind = kind_of(start, size);
    return status;
}

static ntap_status read_kind(const char *path, enum file_kind kind, ntap_tensor **tensor,
                             ntap_error *err) {
    switch (kind) {
    case FILE_KIND_NPY:
        return ntap_tensor_read_npy(strcmp(path, "-") == 0 ? "/dev/stdin" : path, tensor, err);
    case FILE_KIND_ZIP:
        return ntap_tensor_read_pt(path, tensor, err);
    default:
        return ntap_error_set(err, NTAP_ERROR_FILE, "'%s' is neither a .npy nor a .pt file", path);
    }
}

ntap_status tensor_file_read(const char *path, ntap_device device, ntap_tensor **tensor,
                             ntap_error *err) {
    enum file_kind kind = FILE_KIND_NPY;
    ntap_tensor *stored = NULL;
    ntap_status status = file_kind_detect(path, &kind, err);
    if (status == NTAP_OK) {
        status = read_kind(path, kind, &stored, err);
    }
    if (status == NTAP_OK) {
        status = ntap_tensor_to(stored, &device, NTAP_DTYPE_NONE, tensor, err);
    }
    ntap_tensor_free(stored);
    return status;
}

bool tensor_file_name_is_pt(const char *path) {
    size_t length = strlen(path);
    return length >= 3 && strcasecmp(path + length - 3, ".pt") == 0;
}
