/* NumPy's array files; what is read is written and read again. */
#include "fuzz.h"

#include <neurotap/neurotap.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_file(data, size);
    ntap_tensor *tensor = NULL;
    ntap_tensor *again = NULL;
    if (ntap_tensor_read_npy(path, &tensor, NULL) == NTAP_OK &&
        ntap_tensor_write_npy(tensor, path, NULL) == NTAP_OK &&
        ntap_tensor_read_npy(path, &again, NULL) != NTAP_OK)
        __builtin_trap();
    ntap_tensor_free(tensor);
    ntap_tensor_free(again);
    return 0;
}
