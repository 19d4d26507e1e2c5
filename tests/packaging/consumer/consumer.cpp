// A C++ program that has no libtorch: the layers of a model.
#include <neurotap/neurotap.h>

#include <cstdio>

int main(int argc, char **argv) {
    ntap_error err;
    ntap_module *module = nullptr;
    if (argc != 2 || ntap_module_load(argv[1], nullptr, &module, &err) != NTAP_OK) {
        std::fprintf(stderr, "%s\n", argc == 2 ? err.message : "usage: consumer MODEL");
        return 1;
    }
    std::printf("neurotap %s: %zu layers\n", ntap_version(), ntap_module_layer_count(module));
    ntap_module_free(module);
    return 0;
}
