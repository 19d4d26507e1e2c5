/* NumPy's array files. https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
#include "internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAGIC_SIZE = 6,
    LARGEST_HEADER = 65536, /* NumPy itself refuses more than 10,000 characters */
    MOST_DIMENSIONS = 64,   /* of libtorch's tensors; NumPy's have at most 64 as well */
    CHUNK = 1 << 20
};

static const char MAGIC[] = "\x93NUMPY";

typedef struct npy_type {
    const char *code; /* NumPy's, without the byte order */
    ntap_dtype dtype;
    size_t word; /* bytes that byte order applies to */
} npy_type;

static const npy_type TYPES[] = {{"b1", NTAP_DTYPE_BOOL, 1},       {"u1", NTAP_DTYPE_UINT8, 1},
                                 {"i1", NTAP_DTYPE_INT8, 1},       {"i2", NTAP_DTYPE_INT16, 2},
                                 {"i4", NTAP_DTYPE_INT32, 4},      {"i8", NTAP_DTYPE_INT64, 8},
                                 {"f2", NTAP_DTYPE_FLOAT16, 2},    {"f4", NTAP_DTYPE_FLOAT32, 4},
                                 {"f8", NTAP_DTYPE_FLOAT64, 8},    {"c8", NTAP_DTYPE_COMPLEX64, 4},
                                 {"c16", NTAP_DTYPE_COMPLEX128, 8}};

typedef struct npy_header {
    const npy_type *type;
    int swap_bytes;
    int fortran_order;
    size_t ndim;
    int64_t sizes[MOST_DIMENSIONS];
} npy_header;

/* ---- reading ---- */

typedef struct npy_reader {
    FILE *file;
    const char *path;
    ntap_error *err;
} npy_reader;

static ntap_status malformed(const npy_reader *reader, const char *why) {
    return ntap_error_set(reader->err, NTAP_ERROR_FILE, "'%s' is not a NumPy array file: %s",
                          reader->path, why);
}

static ntap_status read_bytes(const npy_reader *reader, void *bytes, size_t size) {
    if (fread(bytes, 1, size, reader->file) == size)
        return NTAP_OK;
    if (ferror(reader->file))
        return ntap_error_set(reader->err, NTAP_ERROR_FILE, "cannot read '%s': %s", reader->path,
                              strerror(errno));
    return malformed(reader, "it ends too early");
}

/* The length of the header's text: 16 bits in version 1, 32 bits in versions 2 and 3. */
static ntap_status read_header_length(const npy_reader *reader, size_t *length) {
    unsigned char start[MAGIC_SIZE + 2];
    unsigned char bytes[4] = {0, 0, 0, 0};
    NTAPI_TRY(read_bytes(reader, start, sizeof start));
    if (memcmp(start, MAGIC, MAGIC_SIZE) != 0)
        return malformed(reader, "it does not start with \\x93NUMPY");
    if (start[MAGIC_SIZE] < 1 || start[MAGIC_SIZE] > 3)
        return malformed(reader, "its format version is none of 1, 2 and 3");
    NTAPI_TRY(read_bytes(reader, bytes, start[MAGIC_SIZE] == 1 ? 2 : 4));
    *length =
        (size_t)bytes[0] | (size_t)bytes[1] << 8 | (size_t)bytes[2] << 16 | (size_t)bytes[3] << 24;
    if (*length > LARGEST_HEADER)
        return malformed(reader, "its header is too long");
    return NTAP_OK;
}

static const char *skip_spaces(const char *text) {
    while (isspace((unsigned char)*text))
        ++text;
    return text;
}

/* What follows "'key':" in the header, which is a Python dictionary literal. */
static const char *find_value(const char *header, const char *key) {
    const char *found = strstr(header, key);
    if (found == NULL)
        return "";
    found = skip_spaces(found + strlen(key));
    return *found == ':' ? skip_spaces(found + 1) : "";
}

static ntap_status parse_type(const npy_reader *reader, const char *value, npy_header *header) {
    const char quote = *value;
    if (quote == '\0')
        return malformed(reader, "its header has no 'descr'");
    const char *end = quote == '\'' || quote == '"' ? strchr(value + 1, quote) : NULL;
    if (end == NULL)
        return ntap_error_set(reader->err, NTAP_ERROR_DTYPE,
                              "'%s' holds records or a dtype that is no plain number",
                              reader->path);
    const char order = value[1];
    const size_t length = (size_t)(end - value) - 2;
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; ++i) {
        const npy_type *type = &TYPES[i];
        if (strlen(type->code) == length && memcmp(type->code, value + 2, length) == 0 &&
            strchr("<>=|", order) != NULL) {
            header->type = type;
            header->swap_bytes = order == '>' && type->word > 1;
            return NTAP_OK;
        }
    }
    return ntap_error_set(reader->err, NTAP_ERROR_DTYPE,
                          "'%s' has dtype '%.*s', for which there is no tensor type", reader->path,
                          (int)(end - value) - 1, value + 1);
}

/* Sizes with one comma between them; one more may follow, as in "(3,)". */
static ntap_status parse_shape(const npy_reader *reader, const char *value, npy_header *header) {
    if (*value++ != '(')
        return malformed(reader, "its shape is no tuple");
    value = skip_spaces(value);
    for (header->ndim = 0; *value != ')'; ++header->ndim) {
        char *end = NULL;
        errno = 0;
        const long long size = strtoll(value, &end, 10);
        const char *next = skip_spaces(end);
        if (end == value || errno == ERANGE || size < 0 || header->ndim == MOST_DIMENSIONS ||
            (*next != ',' && *next != ')'))
            return malformed(reader, "its shape is no tuple of sizes");
        header->sizes[header->ndim] = size;
        value = *next == ',' ? skip_spaces(next + 1) : next;
    }
    return NTAP_OK;
}

static ntap_status parse_header(const npy_reader *reader, const char *text, npy_header *header) {
    const char *order = find_value(text, "'fortran_order'");
    NTAPI_TRY(parse_type(reader, find_value(text, "'descr'"), header));
    if (strncmp(order, "True", 4) != 0 && strncmp(order, "False", 5) != 0)
        return malformed(reader, "its fortran_order is neither True nor False");
    header->fortran_order = *order == 'T';
    return parse_shape(reader, find_value(text, "'shape'"), header);
}

static ntap_status read_header(const npy_reader *reader, npy_header *header) {
    size_t length = 0;
    NTAPI_TRY(read_header_length(reader, &length));
    char *text = (char *)calloc(1, length + 1);
    if (text == NULL)
        return ntap_error_set(reader->err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory");
    ntap_status status = read_bytes(reader, text, length);
    if (status == NTAP_OK)
        status = parse_header(reader, text, header);
    free(text);
    return status;
}

/* The number of bytes of all elements. Not even an empty array may have sizes whose strides no
 * int64 can hold. */
static ntap_status data_size(const npy_reader *reader, const npy_header *header, size_t *size) {
    uint64_t bytes = ntap_dtype_size(header->type->dtype);
    int empty = 0;
    for (size_t i = 0; i < header->ndim; ++i) {
        const uint64_t count = header->sizes[i] > 0 ? (uint64_t)header->sizes[i] : 1;
        empty = empty || header->sizes[i] == 0;
        if (count > (uint64_t)(INT64_MAX / 2) / bytes)
            return malformed(reader, "its shape counts more elements than memory can hold");
        bytes *= count;
    }
    *size = empty ? 0 : (size_t)bytes;
    return NTAP_OK;
}

static void swap_words(unsigned char *bytes, size_t size, size_t word) {
    for (size_t start = 0; start + word <= size; start += word) {
        for (size_t i = 0; i < word / 2; ++i) {
            const unsigned char kept = bytes[start + i];
            bytes[start + i] = bytes[start + word - 1 - i];
            bytes[start + word - 1 - i] = kept;
        }
    }
}

/* A C++ bool that is neither 0 nor 1 is undefined behaviour in whoever reads it. */
static void normalize_bools(unsigned char *bytes, size_t size) {
    for (size_t i = 0; i < size; ++i)
        bytes[i] = bytes[i] != 0;
}

/* Memory grows with what the file really holds, not with what its header claims. */
static ntap_status read_data(const npy_reader *reader, size_t size, unsigned char **data) {
    unsigned char *bytes = NULL;
    size_t have = 0;
    ntap_status status = NTAP_OK;
    while (status == NTAP_OK && have < size) {
        const size_t room = have < CHUNK ? CHUNK : have;
        const size_t count = size - have < room ? size - have : room;
        unsigned char *larger = (unsigned char *)realloc(bytes, have + count);
        if (larger == NULL) {
            status = ntap_error_set(reader->err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory");
            break;
        }
        bytes = larger;
        status = read_bytes(reader, bytes + have, count);
        have += count;
    }
    if (status != NTAP_OK) {
        free(bytes);
        return status;
    }
    *data = bytes;
    return NTAP_OK;
}

static void free_data(void *data, void *context) {
    (void)context;
    free(data);
}

static ntap_status wrap_data(const npy_header *header, unsigned char *data, ntap_tensor **tensor,
                             ntap_error *err) {
    const ntap_device cpu = {NTAP_DEVICE_CPU, 0};
    int64_t strides[MOST_DIMENSIONS] = {0};
    int64_t stride = 1;
    for (size_t i = 0; i < header->ndim; ++i) {
        const size_t dim = header->fortran_order ? i : header->ndim - 1 - i;
        strides[dim] = stride;
        stride *= header->sizes[dim] > 0 ? header->sizes[dim] : 1;
    }
    return ntap_tensor_from_blob(data, header->ndim, header->sizes, strides, header->type->dtype,
                                 cpu, free_data, NULL, tensor, err);
}

static ntap_status make_c_order(ntap_tensor **tensor, ntap_error *err) {
    ntap_tensor *ordered = NULL;
    if (ntap_tensor_is_contiguous(*tensor))
        return NTAP_OK;
    NTAPI_TRY(ntap_tensor_clone(*tensor, &ordered, err));
    ntap_tensor_free(*tensor);
    *tensor = ordered;
    return NTAP_OK;
}

static ntap_status read_tensor(const npy_reader *reader, ntap_tensor **tensor) {
    npy_header header;
    unsigned char *data = NULL;
    size_t size = 0;
    memset(&header, 0, sizeof header);
    NTAPI_TRY(read_header(reader, &header));
    NTAPI_TRY(data_size(reader, &header, &size));
    NTAPI_TRY(read_data(reader, size, &data));
    if (header.swap_bytes)
        swap_words(data, size, header.type->word);
    if (header.type->dtype == NTAP_DTYPE_BOOL)
        normalize_bools(data, size);
    ntap_tensor *made = NULL;
    ntap_status status = wrap_data(&header, data, &made, reader->err);
    if (status != NTAP_OK) {
        free(data);
        return status;
    }
    status = make_c_order(&made, reader->err);
    if (status != NTAP_OK) {
        ntap_tensor_free(made);
        return status;
    }
    *tensor = made;
    return NTAP_OK;
}

ntap_status ntap_tensor_read_npy(const char *path, ntap_tensor **tensor, ntap_error *err) {
    NTAPI_REQUIRE(path, err);
    NTAPI_REQUIRE(tensor, err);
    const npy_reader reader = {fopen(path, "rb"), path, err};
    if (reader.file == NULL)
        return ntap_error_set(err, NTAP_ERROR_FILE, "cannot open '%s': %s", path, strerror(errno));
    const ntap_status status = read_tensor(&reader, tensor);
    (void)fclose(reader.file);
    return status;
}

/* ---- writing ---- */

/* Version 1.0: the text is padded so that the data starts at a multiple of 64 bytes. */
static size_t format_header(const ntap_tensor *tensor, const npy_type *type, char *text,
                            size_t size) {
    const size_t ndim = ntap_tensor_ndim(tensor);
    const char order = ntap_dtype_size(type->dtype) == 1 ? '|' : '<';
    size_t used = (size_t)snprintf(
        text, size, "{'descr': '%c%s', 'fortran_order': False, 'shape': (", order, type->code);
    for (size_t i = 0; i < ndim; ++i)
        used += (size_t)snprintf(text + used, size - used, "%lld%s",
                                 (long long)ntap_tensor_size(tensor, i),
                                 ndim == 1      ? ","
                                 : i + 1 < ndim ? ", "
                                                : "");
    used += (size_t)snprintf(text + used, size - used, "), }");
    while ((MAGIC_SIZE + 4 + used + 1) % 64 != 0)
        text[used++] = ' ';
    text[used++] = '\n';
    return used;
}

static const npy_type *type_for(ntap_dtype dtype) {
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; ++i)
        if (TYPES[i].dtype == dtype)
            return &TYPES[i];
    return NULL;
}

static int write_file(const char *path, const char *header, size_t header_size, const void *data,
                      size_t size) {
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        return 0;
    const unsigned char version_and_length[] = {1, 0, (unsigned char)(header_size & 0xFF),
                                                (unsigned char)(header_size >> 8)};
    const int written = fwrite(MAGIC, 1, MAGIC_SIZE, file) == MAGIC_SIZE &&
                        fwrite(version_and_length, 1, 4, file) == 4 &&
                        fwrite(header, 1, header_size, file) == header_size &&
                        fwrite(data, 1, size, file) == size;
    return fclose(file) == 0 && written;
}

static ntap_status write_tensor(const ntap_tensor *tensor, const npy_type *type, const char *path,
                                void *buffer, size_t size, ntap_error *err) {
    char header[128 + 24 * MOST_DIMENSIONS + 64];
    NTAPI_TRY(ntap_tensor_copy_to_host(tensor, buffer, size, err));
    const uint16_t probe = 1;
    if (*(const unsigned char *)&probe == 0) /* a big-endian host */
        swap_words((unsigned char *)buffer, size, type->word);
    const size_t header_size = format_header(tensor, type, header, sizeof header);
    if (!write_file(path, header, header_size, buffer, size))
        return ntap_error_set(err, NTAP_ERROR_FILE, "cannot write '%s': %s", path, strerror(errno));
    return NTAP_OK;
}

ntap_status ntap_tensor_write_npy(const ntap_tensor *tensor, const char *path, ntap_error *err) {
    NTAPI_REQUIRE(tensor, err);
    NTAPI_REQUIRE(path, err);
    const npy_type *type = type_for(ntap_tensor_dtype(tensor));
    if (type == NULL)
        return ntap_error_set(err, NTAP_ERROR_DTYPE,
                              "tensor has dtype %s, for which NumPy has no type",
                              ntap_dtype_name(ntap_tensor_dtype(tensor)));
    const size_t size = (size_t)ntap_tensor_numel(tensor) * ntap_dtype_size(type->dtype);
    void *buffer = malloc(size > 0 ? size : 1);
    if (buffer == NULL)
        return ntap_error_set(err, NTAP_ERROR_OUT_OF_MEMORY, "out of memory");
    const ntap_status status = write_tensor(tensor, type, path, buffer, size, err);
    free(buffer);
    return status;
}
