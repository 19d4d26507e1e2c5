// The TorchScript loader: from a checked archive to a module. Other file formats would be loaders
// beside this one: what they give is a module, and nothing after that knows the format.
#include "archive.hpp"
#include "capi.h"
#include "handles.hpp"
#include "script_model.hpp"
#include "source_adapter.hpp"
#include "type_check.hpp"

using namespace neurotap;

namespace {

torch::jit::Module parse(const std::shared_ptr<ByteSource> &source, const at::Device &device) {
    try {
        return torch::jit::load(std::make_shared<SourceAdapter>(source), device);
    } catch (const torch::jit::ErrorReport &error) {
        fail(NTAP_ERROR_UNSUPPORTED,
             "the model's code does not compile with libtorch " TORCH_VERSION_TEXT ": ",
             error.what());
    }
}

void load(const std::shared_ptr<ByteSource> &source, const std::string &name,
          const ntap_load_options &options, ntap_module **module) {
    if (check_archive(*source, name) != ArchiveKind::kProgram)
        fail(NTAP_ERROR_FILE, "'", name, "' holds no program but an object that torch.save wrote; ",
             "expected what torch.jit.script(model).save() or torch.jit.trace(...).save() writes");
    // Parameters made in the caller's inference mode could never be differentiated.
    const c10::InferenceMode no_inference(false);
    torch::jit::Module loaded = parse(source, to_torch(options.device));
    check_types(loaded._ivalue(), name);
    loaded.train(options.training != 0);
    const char *method = options.method == nullptr ? "forward" : options.method;
    *module = new ntap_module(std::make_shared<ScriptModel>(loaded, method, /*shared=*/false));
}

} // namespace

ntap_status capi_module_load(const char *path, const ntap_load_options *options,
                             ntap_module **module, ntap_error *err) {
    return guarded(err, NTAP_ERROR_FILE, [&] { load(open_file(path), path, *options, module); });
}

ntap_status capi_module_load_memory(const void *data, size_t size, const ntap_load_options *options,
                                    ntap_module **module, ntap_error *err) {
    return guarded(err, NTAP_ERROR_FILE,
                   [&] { load(open_memory(data, size), "<memory>", *options, module); });
}
