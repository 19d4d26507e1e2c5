/* Changes one record of a zip archive and packs all of them again, with sizes and checksums that
 * agree: changes of the whole file would stop at those. For libFuzzer. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <zip.h>

enum { LARGEST_RECORD = 1 << 20 };

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

static zip_t *open_archive(zip_source_t *source) {
    zip_error_t error;
    zip_error_init(&error);
    zip_t *archive = source == NULL ? NULL : zip_open_from_source(source, 0, &error);
    zip_error_fini(&error);
    return archive;
}

static uint8_t *read_record(zip_t *archive, zip_uint64_t index, size_t *size) {
    zip_stat_t stat;
    zip_file_t *file = zip_fopen_index(archive, index, 0);
    uint8_t *bytes = (uint8_t *)calloc(1, LARGEST_RECORD);
    *size = 0;
    if (file != NULL && bytes != NULL && zip_stat_index(archive, index, 0, &stat) == 0 &&
        stat.size < LARGEST_RECORD / 2 &&
        zip_fread(file, bytes, stat.size) == (zip_int64_t)stat.size)
        *size = stat.size;
    if (file != NULL)
        (void)zip_fclose(file);
    return bytes;
}

/* Replaces the record; the archive takes the bytes over. */
static int mutate_record(zip_t *archive, zip_uint64_t index) {
    size_t size = 0;
    uint8_t *bytes = read_record(archive, index, &size);
    if (bytes == NULL)
        return 0;
    size = LLVMFuzzerMutate(bytes, size, size + 256);
    zip_source_t *changed = zip_source_buffer(archive, bytes, size, 1);
    if (changed == NULL) {
        free(bytes);
        return 0;
    }
    if (zip_file_replace(archive, index, changed, 0) != 0) {
        zip_source_free(changed);
        return 0;
    }
    return zip_set_file_compression(archive, index, ZIP_CM_STORE, 0) == 0;
}

static size_t read_source(zip_source_t *source, uint8_t *data, size_t max_size) {
    zip_stat_t stat;
    zip_stat_init(&stat);
    if (zip_source_stat(source, &stat) != 0 || stat.size > max_size || zip_source_open(source) != 0)
        return 0;
    const zip_int64_t count = zip_source_read(source, data, stat.size);
    (void)zip_source_close(source);
    return count > 0 ? (size_t)count : 0;
}

/* Of a copy: libzip frees what it wrote over, even if it was told not to. */
static zip_source_t *new_source(const uint8_t *data, size_t size, zip_error_t *error) {
    uint8_t *copy = (uint8_t *)malloc(size + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, data, size);
    zip_source_t *source = zip_source_buffer_create(copy, size, 1, error);
    if (source == NULL)
        free(copy);
    return source;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
    zip_error_t error;
    size_t result = 0;
    zip_error_init(&error);
    zip_source_t *source = new_source(data, size, &error);
    zip_t *archive = seed % 8 == 0 ? NULL : open_archive(source);
    if (archive != NULL) {
        const zip_int64_t count = zip_get_num_entries(archive, 0);
        zip_source_keep(source);
        uint8_t *packed = (uint8_t *)malloc(max_size);
        if (packed != NULL && count > 0 &&
            mutate_record(archive, (seed / 8) % (zip_uint64_t)count) && zip_close(archive) == 0) {
            result = read_source(source, packed, max_size);
            if (result > 0)
                memcpy(data, packed, result);
        } else {
            zip_discard(archive);
        }
        free(packed);
    }
    zip_source_free(source);
    zip_error_fini(&error);
    return result > 0 ? result : LLVMFuzzerMutate(data, size, max_size);
}
