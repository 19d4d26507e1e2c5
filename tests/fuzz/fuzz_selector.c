/* The notation of selectors, and devices' names. */
#include "fuzz.h"

#include <neurotap/neurotap.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size);
    ntap_selector *selector = NULL;
    ntap_device device;
    ntap_error err;
    if (text == NULL)
        return 0;
    if (ntap_selector_parse(text, &selector, &err) == NTAP_OK)
        ntap_selector_free(selector);
    if (ntap_device_parse(text, &device, &err) == NTAP_OK && device.index < 0)
        __builtin_trap();
    free(text);
    return 0;
}
