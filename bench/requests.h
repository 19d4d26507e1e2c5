/**
 * @file requests.h
 * @brief What a server of attributions is asked, the good and the bad, on handles that all threads
 *        share: for the test of threads and for the soak test.
 *
 * What a request has to give is computed once, by one thread, when the set is opened. A good
 * request then gives the same bits, whatever runs beside it; a bad one fails with its status, a
 * message, and its output untouched.
 */
#ifndef NEUROTAP_BENCH_REQUESTS_H
#define NEUROTAP_BENCH_REQUESTS_H

#include <neurotap/neurotap.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The shared handles, and what requests have to give. */
typedef struct request_set request_set;

/** Room for what went wrong. */
enum { REQUEST_COMPLAINT_SIZE = 1200 };

/** @param fixtures  the folder tests/fixtures
 *  @return NULL, with what went wrong in @p complaint, if a request does not do what it should */
request_set *request_set_open(const char *fixtures, char complaint[REQUEST_COMPLAINT_SIZE]);

/** Releases everything. NULL is allowed.
 *  @return how many hooks' contexts were not released exactly once */
long request_set_close(request_set *set);

/** How many kinds of requests there are. */
size_t request_kinds(void);

/** What a kind is called. */
const char *request_name(size_t kind);

/** The status that a kind has to end with. */
ntap_status request_expected(size_t kind);

/** Does one request. Any number of threads may do so at once.
 *  @return 0, or 1 with what went wrong in @p complaint */
int request_do(request_set *set, size_t kind, char complaint[REQUEST_COMPLAINT_SIZE]);

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_BENCH_REQUESTS_H */
