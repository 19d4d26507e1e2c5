/* Malformed model files: each is refused with a reason, and none crashes. The archives are made by
 * changing single records of a good file with libzip, checksums and all. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

static const char MODEL[] = "mlp.scripted.pt";

/* ---- changing files ---- */

static void copy_file(const char *from, const char *to) {
    size_t size = 0;
    unsigned char *bytes = read_file(from, &size);
    write_file(to, bytes, size);
    free(bytes);
}

/* The record that ends so, such as "/data.pkl". */
static zip_int64_t find_record(zip_t *archive, const char *ending) {
    const zip_int64_t count = zip_get_num_entries(archive, 0);
    for (zip_int64_t i = 0; i < count; ++i) {
        const char *name = zip_get_name(archive, (zip_uint64_t)i, 0);
        const size_t length = strlen(name);
        if (length >= strlen(ending) && strcmp(name + length - strlen(ending), ending) == 0)
            return i;
    }
    fail_msg("no record '%s'", ending);
    return -1;
}

static unsigned char *read_record(zip_t *archive, zip_int64_t index, size_t *size) {
    zip_stat_t stat;
    assert_int_equal(zip_stat_index(archive, (zip_uint64_t)index, 0, &stat), 0);
    unsigned char *bytes = (unsigned char *)calloc(1, stat.size + 1);
    zip_file_t *file = zip_fopen_index(archive, (zip_uint64_t)index, 0);
    assert_non_null(bytes);
    assert_non_null(file);
    assert_int_equal(zip_fread(file, bytes, stat.size), stat.size);
    (void)zip_fclose(file);
    *size = stat.size;
    return bytes;
}

/* A copy of the model with one record replaced; libzip takes the bytes over. */
static const char *with_record(const char *ending, unsigned char *bytes, size_t size,
                               zip_int32_t compression) {
    const char *path = temp_path("changed.pt");
    copy_file(fixture_path(MODEL), path);
    zip_t *archive = zip_open(path, 0, NULL);
    assert_non_null(archive);
    const zip_uint64_t index = (zip_uint64_t)find_record(archive, ending);
    if (size == 0) { /* libzip takes over nothing then */
        free(bytes);
        bytes = NULL;
    }
    assert_int_equal(
        zip_file_replace(archive, index, zip_source_buffer(archive, bytes, size, 1), 0), 0);
    assert_int_equal(zip_set_file_compression(archive, index, compression, 9), 0);
    assert_int_equal(zip_close(archive), 0);
    return path;
}

static unsigned char *original(const char *ending, size_t *size) {
    zip_t *archive = zip_open(fixture_path(MODEL), ZIP_RDONLY, NULL);
    assert_non_null(archive);
    unsigned char *bytes = read_record(archive, find_record(archive, ending), size);
    zip_discard(archive);
    return bytes;
}

static unsigned char *copy_bytes(const void *bytes, size_t size) {
    unsigned char *copy = (unsigned char *)malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    return copy;
}

static void assert_refused(const char *path, const char *message) {
    ntap_module *module = (ntap_module *)POISON;
    assert_fails(NTAP_ERROR_FILE, ntap_module_load(path, NULL, &module, &test_err));
    assert_message(message);
    assert_untouched(module);
}

/* ---- the zip archive ---- */

static void a_file_that_ends_early_is_refused_wherever_it_ends(void **state) {
    (void)state;
    size_t size = 0;
    unsigned char *bytes = read_file(fixture_path(MODEL), &size);
    for (size_t kept = 0; kept < size; kept += 61) {
        ntap_module *module = (ntap_module *)POISON;
        assert_fails(NTAP_ERROR_FILE,
                     ntap_module_load_memory(bytes, kept, NULL, &module, &test_err));
        assert_untouched(module);
    }
    free(bytes);
}

static void bytes_behind_the_end_are_refused(void **state) {
    (void)state;
    size_t size = 0;
    unsigned char *bytes = read_file(fixture_path(MODEL), &size);
    unsigned char *longer = (unsigned char *)calloc(1, size + 1);
    memcpy(longer, bytes, size);
    write_file(temp_path("longer.pt"), longer, size + 1);
    assert_refused(temp_path("longer.pt"), "truncated or damaged");
    free(longer);
    free(bytes);
}

/* 12 KB on disk, 256 MB in memory. */
static void a_record_that_expands_without_bound_is_refused(void **state) {
    (void)state;
    const size_t size = (size_t)256 << 20;
    unsigned char *zeros = (unsigned char *)calloc(1, size);
    assert_refused(with_record("/data/0", zeros, size, ZIP_CM_DEFLATE), "expands without bound");
}

static void a_compressed_file_loads(void **state) {
    (void)state;
    size_t size = 0;
    ntap_module *module = NULL;
    unsigned char *bytes = original("/data/0", &size);
    assert_ok(ntap_module_load(with_record("/data/0", bytes, size, ZIP_CM_DEFLATE), NULL, &module,
                               &test_err));
    ntap_module_free(module);
}

/* A flipped bit in a pickle or in code shows in its checksum. */
static void a_damaged_pickle_is_refused(void **state) {
    (void)state;
    size_t size = 0;
    unsigned char *bytes = read_file(fixture_path(MODEL), &size);
    for (size_t i = 0; i + 20 < size; ++i)
        if (memcmp(bytes + i, "ctorch._utils", 13) == 0 ||
            memcmp(bytes + i, "FloatStorage", 12) == 0)
            bytes[i + 3] ^= 0x20;
    write_file(temp_path("flipped.pt"), bytes, size);
    assert_refused(temp_path("flipped.pt"), "does not match its checksum");
    free(bytes);
}

/* Whatever byte is wrong: an error or a module, and nothing worse. */
static void a_wrong_byte_anywhere_does_no_harm(void **state) {
    (void)state;
    size_t size = 0;
    unsigned char *bytes = read_file(fixture_path(MODEL), &size);
    uint32_t random = 1;
    for (int round = 0; round < 400; ++round) {
        ntap_module *module = NULL;
        random = random * 1664525u + 1013904223u;
        const size_t position = (random >> 8) % size;
        const unsigned char kept = bytes[position];
        bytes[position] = (unsigned char)(kept ^ (1u << (random & 7u)));
        if (ntap_module_load_memory(bytes, size, NULL, &module, &test_err) == NTAP_OK)
            ntap_module_free(module);
        bytes[position] = kept;
    }
    free(bytes);
}

/* ---- records against what is declared ---- */

static void a_record_shorter_than_its_tensor_is_refused(void **state) {
    (void)state;
    size_t size = 0;
    unsigned char *bytes = original("/data/0", &size);
    assert_refused(with_record("/data/0", bytes, size - 4, ZIP_CM_STORE), "but its record has");
}

static void a_missing_record_is_refused(void **state) {
    (void)state;
    const char *path = temp_path("missing.pt");
    copy_file(fixture_path(MODEL), path);
    zip_t *archive = zip_open(path, 0, NULL);
    assert_int_equal(zip_delete(archive, (zip_uint64_t)find_record(archive, "/data/0")), 0);
    assert_int_equal(zip_close(archive), 0);
    assert_refused(path, "data/0' is missing");
}

/* ---- pickles ---- */

typedef struct bad_pickle {
    const char *what;
    const char *bytes;
    size_t size;
    const char *message;
} bad_pickle;

#define PICKLE(what, bytes, message)                                                               \
    { what, bytes, sizeof bytes - 1, message }

/* ('storage', FloatStorage, '0', 'cpu', numel): 4 bytes of number. */
#define STORAGE(numel)                                                                             \
    "(X\x07\0\0\0storage"                                                                          \
    "ctorch\nFloatStorage\n"                                                                       \
    "X\x01\0\0\0"                                                                                  \
    "0"                                                                                            \
    "X\x03\0\0\0"                                                                                  \
    "cpu"                                                                                          \
    "J" numel "tQ"

static void a_hostile_pickle_is_refused(void **state) {
    (void)state;
    static const bad_pickle pickles[] = {
        PICKLE("empty", "", "ends too early"),
        PICKLE("no end", "\x80\x02N", "ends too early"),
        PICKLE("pops an empty stack", "\x80\x02R.", "too few objects"),
        PICKLE("sets an item of nothing", "\x80\x02NNs.", "too few objects"),
        PICKLE("adds to a number",
               "\x80\x02K\x01K\x02"
               "a.",
               "only a list or a dictionary"),
        PICKLE("no mark", "\x80\x02t.", "a mark is missing"),
        PICKLE("pops below a mark", "\x80\x02](a.", "too few objects"),
        PICKLE("key without value", "\x80\x02}(K\x01u.", "a key has no value"),
        PICKLE("unknown memo", "\x80\x02h\x05.", "has not stored"),
        PICKLE("unknown operation", "\x80\x02\xff.", "is not used by PyTorch"),
        PICKLE("contains itself",
               "\x80\x02]q\0h\0"
               "a.",
               "contains itself"),
        PICKLE("two objects", "\x80\x02NN.", "more than one object"),
        PICKLE("a storage that is no tuple", "\x80\x02NQ.", "a storage is not described"),
        PICKLE("a huge storage", "\x80\x02" STORAGE("\xff\xff\xff\x7f") ".", "claims 2147483647"),
        PICKLE("a negative storage", "\x80\x02" STORAGE("\xff\xff\xff\xff") ".", "claims -1"),
        PICKLE(
            "a tensor beyond its storage",
            "\x80\x02"
            "ctorch._utils\n_rebuild_tensor_v2\n(" STORAGE("\x02\0\0\0") "K\0K\x03\x85K\x01\x85\x89"
                                                                         "}tR.",
            "reaches beyond its storage of 2 elements"),
        PICKLE("an offset beyond its storage",
               "\x80\x02"
               "ctorch._utils\n_rebuild_tensor_v2\n(" STORAGE(
                   "\x02\0\0\0") "K\x02K\x01\x85K\x01\x85\x89"
                                 "}tR.",
               "reaches beyond its storage of 2 elements"),
        PICKLE("a negative stride",
               "\x80\x02"
               "ctorch._utils\n_rebuild_tensor_v2\n(" STORAGE(
                   "\x02\0\0\0") "K\0K\x02\x85J\xff\xff\xff\xff\x85\x89"
                                 "}tR.",
               "or negative"),
    };
    for (size_t i = 0; i < sizeof pickles / sizeof *pickles; ++i) {
        print_message("%s\n", pickles[i].what);
        assert_refused(with_record("/data.pkl", copy_bytes(pickles[i].bytes, pickles[i].size),
                                   pickles[i].size, ZIP_CM_STORE),
                       pickles[i].message);
    }
}

/* libtorch's unpickler, and its destructors, recurse as deep as the data. */
static void a_pickle_that_nests_too_deep_is_refused(void **state) {
    (void)state;
    const size_t depth = 200000;
    unsigned char *bytes = (unsigned char *)malloc(depth + 4);
    memcpy(bytes, "\x80\x02N", 3);
    memset(bytes + 3, 0x85, depth); /* tuples of one */
    bytes[depth + 3] = '.';
    assert_refused(with_record("/data.pkl", bytes, depth + 4, ZIP_CM_STORE), "nests deeper than");
}

/* ---- code ---- */

static void code_that_nests_too_deep_is_refused(void **state) {
    (void)state;
    const size_t depth = 100000;
    unsigned char *code = (unsigned char *)malloc(2 * depth);
    memset(code, '(', depth);
    memset(code + depth, ')', depth);
    assert_refused(with_record("models.py", code, 2 * depth, ZIP_CM_STORE),
                   "nests brackets deeper");
}

static void code_that_does_not_compile_is_unsupported(void **state) {
    (void)state;
    ntap_module *module = (ntap_module *)POISON;
    static const char code[] = "class Mlp(Module):\n"
                               "  __parameters__ = []\n"
                               "  __buffers__ = []\n"
                               "  training : bool\n"
                               "  def forward(self: __torch__.models.Mlp, x: Tensor) -> Tensor:\n"
                               "    return ops.nowhere.nothing(x)\n";
    const char *path =
        with_record("models.py", copy_bytes(code, sizeof code - 1), sizeof code - 1, ZIP_CM_STORE);
    assert_fails(NTAP_ERROR_UNSUPPORTED, ntap_module_load(path, NULL, &module, &test_err));
    assert_message("does not compile with libtorch");
    assert_untouched(module);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_ends_early_is_refused_wherever_it_ends),
        cmocka_unit_test(bytes_behind_the_end_are_refused),
        cmocka_unit_test(a_record_that_expands_without_bound_is_refused),
        cmocka_unit_test(a_compressed_file_loads),
        cmocka_unit_test(a_damaged_pickle_is_refused),
        cmocka_unit_test(a_wrong_byte_anywhere_does_no_harm),
        cmocka_unit_test(a_record_shorter_than_its_tensor_is_refused),
        cmocka_unit_test(a_missing_record_is_refused),
        cmocka_unit_test(a_hostile_pickle_is_refused),
        cmocka_unit_test(a_pickle_that_nests_too_deep_is_refused),
        cmocka_unit_test(code_that_nests_too_deep_is_refused),
        cmocka_unit_test(code_that_does_not_compile_is_unsupported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
