// Modules: layers, forward, moving.
#include "capi.h"
#include "handles.hpp"
#include "module_state.hpp"
#include "run.hpp"

#include <sstream>

using namespace neurotap;

namespace neurotap {
namespace {

// "__torch__.torch.nn.modules.conv.___torch_mangle_3.Conv2d" is Python's
// "torch.nn.modules.conv.Conv2d".
std::string python_name(const c10::ClassType &type) {
    if (!type.name())
        return "";
    std::string name;
    for (const std::string &atom : type.name()->atoms())
        if (atom != "__torch__" && atom.compare(0, 15, "___torch_mangle") != 0)
            name += (name.empty() ? "" : ".") + atom;
    return name;
}

// Depth first. A module may be reached by several paths, but a file cannot make one contain itself:
// the types nest, and types are finite.
void list_layers(const ObjectPtr &object, const std::string &path, std::vector<Layer> &layers) {
    const auto type = object->type();
    layers.push_back(Layer{path, python_name(*type), object});
    for (size_t i = 0; i < type->numAttributes(); ++i) {
        const auto member = type->getAttribute(i)->cast<c10::ClassType>();
        const c10::IValue &value = object->getSlot(i);
        if (member && member->is_module() && value.isObject())
            list_layers(value.toObject(),
                        (path.empty() ? "" : path + ".") + type->getAttributeName(i), layers);
    }
}

std::string describe_signature(const c10::FunctionSchema &schema) {
    std::ostringstream out;
    out << schema.name() << '(';
    const auto &parameters = schema.arguments();
    for (size_t i = 1; i < parameters.size(); ++i) {
        out << (i == 1 ? "" : ", ") << parameters[i].type()->annotation_str() << ' '
            << parameters[i].name();
        if (parameters[i].default_value())
            out << '=' << describe(from_ivalue(*parameters[i].default_value()));
    }
    out << ") -> ";
    for (size_t i = 0; i < schema.returns().size(); ++i)
        out << (i == 0 ? "" : ", ") << schema.returns()[i].type()->annotation_str();
    return out.str();
}

} // namespace

ModuleState::ModuleState(const torch::jit::Module &module) : module_(module) {
    if (!module_.find_method("forward"))
        fail(NTAP_ERROR_UNSUPPORTED, "the model has no method 'forward'");
    list_layers(module_._ivalue(), "", layers_);
    signature_ = describe_signature(module_.get_method("forward").function().getSchema());
}

const Layer &ModuleState::layer(const std::string &path) const {
    for (const Layer &layer : layers_)
        if (layer.path == path)
            return layer;
    fail(NTAP_ERROR_NOT_FOUND, "layer '", path, "' not found");
}

std::shared_ptr<const Program> ModuleState::program(const std::vector<std::string> &layers,
                                                    ntap_layer_side side) const {
    std::vector<ObjectPtr> objects;
    for (const std::string &path : layers)
        objects.push_back(layer(path).object);
    const std::lock_guard<std::mutex> lock(programs_mutex_);
    auto &program = programs_[ProgramKey(layers, side)];
    if (!program) {
        Plan plan = plan_sites(module_, objects, side);
        program = layers.empty() ? compile_forward(std::move(plan))
                                 : compile_taps(std::move(plan), layers.size());
    }
    return program;
}

namespace {

at::Tensor converted(const at::Tensor &tensor, const at::Device *device,
                     const at::ScalarType *dtype) {
    const bool convert = dtype != nullptr && tensor.is_floating_point();
    return tensor.detach().to(device != nullptr ? *device : tensor.device(),
                              convert ? *dtype : tensor.scalar_type());
}

// First everything is converted, which may fail; then it is exchanged, which cannot.
void move_module(const torch::jit::Module &module, const at::Device *device,
                 const at::ScalarType *dtype) {
    std::vector<std::pair<at::Tensor, at::Tensor>> exchanges;
    const auto convert = [&](const at::Tensor &tensor) {
        exchanges.emplace_back(tensor, converted(tensor, device, dtype));
    };
    for (const at::Tensor &parameter : module.parameters())
        convert(parameter);
    for (const at::Tensor &buffer : module.buffers())
        convert(buffer);
    for (auto &exchange : exchanges)
        exchange.first.set_data(exchange.second);
}

} // namespace
} // namespace neurotap

void ntap_module_free(ntap_module *module) { delete module; }

size_t ntap_module_layer_count(const ntap_module *module) {
    return module == nullptr ? 0 : module->state->layers().size();
}

const char *ntap_module_layer_name(const ntap_module *module, size_t index) {
    return index < ntap_module_layer_count(module) ? module->state->layers()[index].path.c_str()
                                                   : nullptr;
}

const char *ntap_module_layer_type(const ntap_module *module, size_t index) {
    return index < ntap_module_layer_count(module) ? module->state->layers()[index].type.c_str()
                                                   : nullptr;
}

const char *ntap_module_signature(const ntap_module *module) {
    return module == nullptr ? "" : module->state->signature().c_str();
}

ntap_status ntap_module_forward(const ntap_module *module, const ntap_value *const *args,
                                size_t n_args, ntap_value **result, ntap_error *err) {
    return guarded(err, NTAP_ERROR_MODEL, [&] {
        require_not_null(module, "module");
        require_not_null(result, "result");
        const auto program = module->state->program({}, NTAP_LAYER_OUTPUT);
        *result = new ntap_value(from_ivalue(run_forward(*program, args, n_args)));
    });
}

ntap_status ntap_module_to(ntap_module *module, const ntap_device *device, ntap_dtype dtype,
                           ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        require_not_null(module, "module");
        const at::Device target = device == nullptr ? at::Device(at::kCPU) : to_torch(*device);
        const at::ScalarType type = dtype == NTAP_DTYPE_NONE ? at::kFloat : to_torch(dtype);
        if (!at::isFloatingType(type))
            fail(NTAP_ERROR_DTYPE, "dtype is ", ntap_dtype_name(dtype),
                 "; expected a floating-point type");
        const c10::InferenceMode no_inference(false);
        const at::NoGradGuard no_grad;
        move_module(module->state->module(), device == nullptr ? nullptr : &target,
                    dtype == NTAP_DTYPE_NONE ? nullptr : &type);
    });
}

ntap_status capi_program_new(const ntap_module *module, const char *const *layers, size_t n_layers,
                             ntap_layer_side side, capi_program **program, ntap_error *err) {
    return guarded(err, NTAP_ERROR_UNSUPPORTED, [&] {
        const std::vector<std::string> paths(layers, layers + n_layers);
        *program = new capi_program{module->state->program(paths, side), side};
    });
}

void capi_program_free(capi_program *program) { delete program; }

size_t capi_program_site_count(const capi_program *program, size_t layer) {
    return program->program->site_counts[layer];
}

const char *capi_program_operator_without_gradient(const capi_program *program) {
    const std::string &name = program->program->no_gradient;
    return name.empty() ? nullptr : name.c_str();
}
