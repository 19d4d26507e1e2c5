/* TorchScript files, and what is done with a model afterwards. */
#include "exercise_model.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    (void)exercise_model(data, size, NULL);
    return 0;
}
