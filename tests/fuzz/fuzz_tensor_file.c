/* PyTorch's tensor files; what is read is copied, which reads all elements. */
#include "fuzz.h"

#include <neurotap/neurotap.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ntap_tensor *tensor = NULL;
    ntap_tensor *clone = NULL;
    if (ntap_tensor_read_pt(fuzz_file(data, size), &tensor, NULL) == NTAP_OK &&
        ntap_tensor_numel(tensor) < 1 << 24 && ntap_tensor_clone(tensor, &clone, NULL) == NTAP_OK)
        ntap_tensor_free(clone);
    ntap_tensor_free(tensor);
    return 0;
}
