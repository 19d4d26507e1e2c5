/* What only a program that holds libtorch itself can do: autograd's modes and the generators. */
#ifndef NEUROTAP_TESTS_TORCH_SUPPORT_H
#define NEUROTAP_TESTS_TORCH_SUPPORT_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum torch_mode { MODE_GRAD, MODE_NO_GRAD, MODE_INFERENCE } torch_mode;

/** Calls body(context) in this mode, on this thread. */
void support_in_mode(torch_mode mode, void (*body)(void *context), void *context);

/** The mode that this thread is in. */
torch_mode support_current_mode(void);

/** Seeds the CPU's random number generator. */
void support_seed(unsigned long long seed);

#ifdef __cplusplus
}
#endif

#endif /* NEUROTAP_TESTS_TORCH_SUPPORT_H */
