/* Memory runs out: the n-th allocation that neurotap itself makes fails, for every n, in every kind
 * of call. Each call ends in NTAP_ERROR_OUT_OF_MEMORY or does without, leaves its outputs alone,
 * and works the next time. libtorch's own allocations do not fail here: some of them are in places
 * where C++ ends the program. */
#include "support.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <link.h>
#include <new>

/* ---- allocators ---- */

extern "C" {
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
}

namespace {

uintptr_t library_begin, library_end; // where libneurotap's code is
std::atomic<long> until_failure{-1};  // how many of its allocations still succeed; < 0: all
std::atomic<bool> has_failed;

bool fails(const void *caller) {
    const auto address = reinterpret_cast<uintptr_t>(caller);
    if (until_failure < 0 || address < library_begin || address >= library_end)
        return false;
    const bool this_one = until_failure-- == 0;
    if (this_one)
        has_failed = true;
    return this_one;
}

int find_code(dl_phdr_info *info, size_t /*size*/, void *inside) {
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const auto &segment = info->dlpi_phdr[i];
        const uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
        const uintptr_t end = begin + segment.p_memsz;
        const auto address = reinterpret_cast<uintptr_t>(inside);
        if (segment.p_type != PT_LOAD || address < begin || address >= end)
            continue;
        library_begin = begin;
        library_end = end;
        return 1;
    }
    return 0;
}

} // namespace

extern "C" {
void *malloc(size_t size) {
    return fails(__builtin_return_address(0)) ? nullptr : __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
    return fails(__builtin_return_address(0)) ? nullptr : __libc_calloc(count, size);
}
void *realloc(void *old, size_t size) {
    return fails(__builtin_return_address(0)) ? nullptr : __libc_realloc(old, size);
}
}

static void *allocate(size_t size, const void *caller) {
    void *memory = fails(caller) ? nullptr : __libc_malloc(size == 0 ? 1 : size);
    if (memory == nullptr)
        throw std::bad_alloc();
    return memory;
}

void *operator new(size_t size) { return allocate(size, __builtin_return_address(0)); }
void *operator new[](size_t size) { return allocate(size, __builtin_return_address(0)); }
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete[](void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t /*size*/) noexcept { std::free(memory); }
void operator delete[](void *memory, size_t /*size*/) noexcept { std::free(memory); }

/* ---- what is called ---- */

namespace {

struct Objects {
    ntap_module *module, *parallel;
    ntap_neuron_gradient *gradient, *replicated;
    ntap_selector *selectors[2];
    ntap_tensor *input;
    ntap_value *arg;
    unsigned char *file;
    size_t file_size;
};

Objects all;

// Each frees what it made, and returns how its call ended.
using Scenario = ntap_status (*)(ntap_error *err);

template <class Handle, class Call, class Free>
ntap_status make(const Call &call, const Free &release, ntap_error *err) {
    auto *made = static_cast<Handle *>(POISON);
    const ntap_status status = call(&made, err);
    if (status != NTAP_OK)
        assert_untouched(made);
    else
        release(made);
    return status;
}

ntap_status load(ntap_error *err) {
    return make<ntap_module>(
        [](ntap_module **made, ntap_error *e) {
            return ntap_module_load_memory(all.file, all.file_size, nullptr, made, e);
        },
        ntap_module_free, err);
}

template <ntap_module *Objects::*module> ntap_status forward(ntap_error *err) {
    return make<ntap_value>(
        [](ntap_value **made, ntap_error *e) {
            return ntap_module_forward(all.*module, &all.arg, 1, made, e);
        },
        ntap_value_free, err);
}

ntap_status capture(ntap_error *err) {
    return make<ntap_value>(
        [](ntap_value **made, ntap_error *e) {
            const char *layer = "fc2";
            return ntap_module_capture(all.module, &layer, 1, NTAP_LAYER_INPUT, &all.arg, 1, made,
                                       e);
        },
        ntap_value_free, err);
}

ntap_status new_gradient(ntap_error *err) {
    return make<ntap_neuron_gradient>(
        [](ntap_neuron_gradient **made, ntap_error *e) {
            return ntap_neuron_gradient_new(all.module, "fc1", nullptr, made, e);
        },
        ntap_neuron_gradient_free, err);
}

template <ntap_neuron_gradient *Objects::*gradient, ntap_fast_paths paths>
ntap_status attribute(ntap_error *err) {
    return make<ntap_tensor>(
        [](ntap_tensor **made, ntap_error *e) {
            ntap_attribute_options options = NTAP_ATTRIBUTE_OPTIONS_INIT;
            options.fast_paths = paths;
            return ntap_neuron_gradient_attribute_many(all.*gradient, &all.input, 1, all.selectors,
                                                       2, &options, made, e);
        },
        ntap_tensor_free, err);
}

ntap_status replicate(ntap_error *err) {
    return make<ntap_module>(
        [](ntap_module **made, ntap_error *e) {
            const ntap_device devices[] = {{NTAP_DEVICE_CPU, 0}, {NTAP_DEVICE_CPU, 0}};
            return ntap_module_new_data_parallel(all.module, devices, 2, nullptr, made, e);
        },
        ntap_module_free, err);
}

ntap_status parse_selector(ntap_error *err) {
    return make<ntap_selector>(
        [](ntap_selector **made, ntap_error *e) {
            return ntap_selector_parse("1, 2:3, :", made, e);
        },
        ntap_selector_free, err);
}

ntap_status read_npy(ntap_error *err) {
    return make<ntap_tensor>(
        [](ntap_tensor **made, ntap_error *e) {
            return ntap_tensor_read_npy(fixture_path("mlp_f64.x.npy"), made, e);
        },
        ntap_tensor_free, err);
}

ntap_status observe(const ntap_hook_call *call, void * /*context*/, ntap_value **replacement,
                    ntap_error *err) {
    return ntap_value_clone(call->output, replacement, err);
}

ntap_status hook(ntap_error *err) {
    ntap_hook *handle = nullptr;
    ntap_status status =
        ntap_module_add_forward_hook(all.module, "fc1", observe, nullptr, nullptr, &handle, err);
    if (status == NTAP_OK)
        status = forward<&Objects::module>(err);
    ntap_hook_remove(handle);
    return status;
}

ntap_status values(ntap_error *err) {
    return make<ntap_value>(
        [](ntap_value **made, ntap_error *e) {
            const ntap_value *items[] = {all.arg, all.arg};
            return ntap_value_new_tuple(items, 2, made, e);
        },
        ntap_value_free, err);
}

/* ---- the test ---- */

// Returns whether an allocation failed.
bool fail_at(Scenario scenario, long n) {
    ntap_error err;
    err.message[0] = '\0';
    has_failed = false;
    until_failure = n;
    const ntap_status status = scenario(&err);
    until_failure = -1;
    if (status != NTAP_OK) {
        assert_true(has_failed);
        assert_string_equal(ntap_status_name(status), "NTAP_ERROR_OUT_OF_MEMORY");
        assert_string_not_equal(err.message, "");
    }
    return has_failed;
}

void run_out(void **state) {
    const auto scenario = reinterpret_cast<Scenario>(*state);
    if (scenario == replicate && ntap_torch_version()[0] != '1') {
        print_message("skipped: without memory, making a torch::jit::Module ends the program since "
                      "libtorch 2\n");
        skip();
    }
    ntap_error err;
    long n = 0;
    while (fail_at(scenario, n)) {
        ++n;
        assert_true(n < 100000);
    }
    print_message("%ld allocations\n", n);
    assert_true(n > 0);
    assert_int_equal(scenario(&err), NTAP_OK);
}

int set_up(void ** /*state*/) {
    const ntap_device devices[] = {{NTAP_DEVICE_CPU, 0}, {NTAP_DEVICE_CPU, 0}};
    dl_iterate_phdr(find_code, reinterpret_cast<void *>(&ntap_version));
    assert_true(library_begin != 0);
    all.file = read_file(fixture_path("mlp_f64.scripted.pt"), &all.file_size);
    all.module = load_fixture("mlp_f64.scripted.pt");
    assert_ok(
        ntap_module_new_data_parallel(all.module, devices, 2, nullptr, &all.parallel, &test_err));
    assert_ok(ntap_neuron_gradient_new(all.module, "fc2", nullptr, &all.gradient, &test_err));
    assert_ok(ntap_neuron_gradient_new(all.parallel, "fc2", nullptr, &all.replicated, &test_err));
    assert_ok(ntap_selector_parse("1", &all.selectors[0], &test_err));
    assert_ok(ntap_selector_parse("1:3", &all.selectors[1], &test_err));
    all.input = read_fixture("mlp_f64.x.npy");
    all.arg = make_tensor_value(all.input);
    return 0;
}

int tear_down(void ** /*state*/) {
    ntap_value_free(all.arg);
    ntap_tensor_free(all.input);
    ntap_selector_free(all.selectors[0]);
    ntap_selector_free(all.selectors[1]);
    ntap_neuron_gradient_free(all.replicated);
    ntap_neuron_gradient_free(all.gradient);
    ntap_module_free(all.parallel);
    ntap_module_free(all.module);
    std::free(all.file);
    return 0;
}

CMUnitTest test(const char *name, Scenario scenario) {
    return {name, run_out, nullptr, nullptr, reinterpret_cast<void *>(scenario)};
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        test("ntap_module_load_memory", load),
        test("ntap_module_forward", forward<&Objects::module>),
        test("ntap_module_forward, data-parallel", forward<&Objects::parallel>),
        test("ntap_module_capture", capture),
        test("ntap_neuron_gradient_new", new_gradient),
        test("ntap_neuron_gradient_attribute_many, fast paths",
             attribute<&Objects::gradient, NTAP_FAST_PATHS_AUTO>),
        test("ntap_neuron_gradient_attribute_many, autograd",
             attribute<&Objects::gradient, NTAP_FAST_PATHS_OFF>),
        test("ntap_neuron_gradient_attribute_many, data-parallel",
             attribute<&Objects::replicated, NTAP_FAST_PATHS_AUTO>),
        test("ntap_module_new_data_parallel", replicate),
        test("ntap_selector_parse", parse_selector),
        test("ntap_tensor_read_npy", read_npy),
        test("ntap_module_add_forward_hook", hook),
        test("ntap_value_new_tuple", values),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
