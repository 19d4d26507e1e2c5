/**
 * @file fuzz.h
 * @brief A fuzz target: anything may come in, and nothing may crash, leak or hang.
 *
 * Every fuzz_*.c here is one target. clang's libFuzzer feeds it:
 *
 *     cmake --preset fuzz && cmake --build --preset fuzz --target fuzz
 *     mkdir -p found && LSAN_OPTIONS=suppressions=tests/libtorch_leaks.supp \
 *         build/fuzz/tests/fuzz/fuzz_npy -dict=tests/fuzz/npy.dict \
 *         -rss_limit_mb=4096 -timeout=60 found tests/fuzz/corpus/npy
 *
 * New inputs go to the first folder; a crash leaves its input in a file crash-…, which belongs into
 * the corpus once it is fixed. In the ordinary build replay.c feeds the corpora to the same
 * targets, and ctest runs that (fuzz_replay_*).
 */
#ifndef NEUROTAP_TESTS_FUZZ_H
#define NEUROTAP_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Takes one input. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Writes the input to a file of this process, for readers that take paths; its path. */
const char *fuzz_file(const uint8_t *data, size_t size);

/** The input as text, to be freed; NULL without memory. */
char *fuzz_text(const uint8_t *data, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_TESTS_FUZZ_H */
