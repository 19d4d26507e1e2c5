/* What can be looked at in a model?
 *
 *   list_layers MODEL
 */
#include <neurotap/neurotap.h>

#include <stdio.h>

static void print_layers(const ntap_module *module) {
    for (size_t i = 0; i < ntap_module_layer_count(module); ++i)
        printf("layer '%s': %s\n", ntap_module_layer_name(module, i),
               ntap_module_layer_type(module, i));
}

/* Results of operations that are no layer: additions, F.relu, everything in a frozen file. */
static ntap_status print_values(const ntap_module *module, ntap_error *err) {
    size_t count = 0;
    ntap_status status = ntap_module_value_count(module, &count, err);
    for (size_t i = 0; i < count && status == NTAP_OK; ++i) {
        const char *name = NULL;
        status = ntap_module_value_name(module, i, &name, err);
        if (status == NTAP_OK)
            printf("value '%s'\n", name);
    }
    return status;
}

int main(int argc, char **argv) {
    ntap_error err;
    ntap_module *module = NULL;
    if (argc != 2)
        return 2;
    ntap_status status = ntap_module_load(argv[1], NULL, &module, &err);
    if (status == NTAP_OK) {
        printf("%s\n", ntap_module_signature(module));
        print_layers(module);
        status = print_values(module, &err);
    }
    if (status != NTAP_OK)
        fprintf(stderr, "%s\n", err.message);
    ntap_module_free(module);
    return status != NTAP_OK;
}
