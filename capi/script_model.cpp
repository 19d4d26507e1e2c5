#include "script_model.hpp"

#include "replicate.hpp"
#include "script_run.hpp"

#include <algorithm>
#include <sstream>

namespace neurotap {
namespace {

// Programs are kept for ever more hooks and taps; beyond this many, those that nobody uses go.
constexpr size_t kMostPrograms = 512;

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
void list_layers(const ObjectPtr &object, const std::string &path, std::vector<Layer> &layers,
                 std::vector<ObjectPtr> &objects) {
    const auto type = object->type();
    layers.push_back(Layer{path, python_name(*type)});
    objects.push_back(object);
    for (size_t i = 0; i < type->numAttributes(); ++i) {
        const auto member = type->getAttribute(i)->cast<c10::ClassType>();
        const c10::IValue &value = object->getSlot(i);
        if (member && member->is_module() && value.isObject())
            list_layers(value.toObject(),
                        (path.empty() ? "" : path + ".") + type->getAttributeName(i), layers,
                        objects);
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

std::string method_names(const torch::jit::Module &module) {
    std::string names;
    for (const auto &method : module.get_methods())
        names += (names.empty() ? "'" : ", '") + method.name() + "'";
    return names.empty() ? "none" : names;
}

at::Tensor converted(const at::Tensor &tensor, const at::Device *device,
                     const at::ScalarType *dtype) {
    const bool convert = dtype != nullptr && tensor.is_floating_point();
    return tensor.detach().to(device != nullptr ? *device : tensor.device(),
                              convert ? *dtype : tensor.scalar_type());
}

} // namespace

ScriptModel::ScriptModel(const torch::jit::Module &module, const std::string &method, bool shared)
    : entry_{module, method, c10::nullopt}, shared_(shared) {
    if (!module.find_method(method))
        fail(NTAP_ERROR_NOT_FOUND, "the model has no method '", method, "'; it has ",
             method_names(module));
    list_layers(module._ivalue(), "", layers_, objects_);
    signature_ = describe_signature(entry_.function().getSchema());
}

// "layer1.0/relu:1/add:2" is the value "relu:1/add:2" in the code of "layer1.0"; "add:1" is one in
// the model's own. A layer's path may itself hold slashes: the longest that fits counts.
bool ScriptModel::find_target(const std::string &name, Target &target) const {
    const Layer *owner = nullptr;
    for (const Layer &layer : layers_) {
        const bool whole = layer.path == name;
        const bool begins =
            layer.path.empty() || name.compare(0, layer.path.size() + 1, layer.path + "/") == 0;
        if (whole || (begins && (owner == nullptr || owner->path.size() < layer.path.size())))
            owner = &layer;
        if (whole)
            break;
    }
    const size_t path_size = owner->path.size();
    target.layer = objects_[static_cast<size_t>(owner - layers_.data())];
    target.value = name.substr(std::min(name.size(), path_size == 0 ? 0 : path_size + 1));
    return target.value.empty() || target.value.find(':') != std::string::npos;
}

// ---- what there is ----

ScriptModel::Catalog ScriptModel::make_catalog() const {
    std::vector<Target> layers;
    for (const ObjectPtr &object : objects_)
        layers.push_back(Target{object, "", NTAP_LAYER_OUTPUT});
    Plan plan = plan_everything(entry_, std::move(layers));
    const auto targets = plan.targets;
    auto reached = find_reached(std::move(plan));
    const auto layer_of = [&](const Reached &found) {
        return std::find(objects_.begin(), objects_.end(), targets[found.target].layer);
    };
    std::stable_sort(reached.begin(), reached.end(),
                     [&](const Reached &a, const Reached &b) { return layer_of(a) < layer_of(b); });
    Catalog catalog;
    for (const Target &target : targets)
        catalog.reached[{target.layer.get(), target.value}] = false;
    for (const Reached &found : reached) {
        const Target &target = targets[found.target];
        catalog.reached[{target.layer.get(), target.value}] = true;
        const std::string &path =
            layers_[static_cast<size_t>(layer_of(found) - objects_.begin())].path;
        if (found.distinct && !target.value.empty())
            catalog.values.push_back((path.empty() ? "" : path + "/") + target.value);
    }
    return catalog;
}

const ScriptModel::Catalog &ScriptModel::catalog() const {
    const std::lock_guard<std::mutex> lock(planning_mutex_);
    if (!catalog_)
        catalog_ = std::make_unique<const Catalog>(make_catalog());
    return *catalog_;
}

const std::vector<std::string> &ScriptModel::values() const { return catalog().values; }

bool ScriptModel::has(const std::string &name) const {
    Target target;
    if (!find_target(name, target))
        return false;
    return target.value.empty() || catalog().reached.count({target.layer.get(), target.value}) != 0;
}

bool ScriptModel::reaches(const std::string &name) const {
    Target target;
    if (!find_target(name, target))
        return false;
    const auto &reached = catalog().reached;
    const auto found = reached.find({target.layer.get(), target.value});
    return found != reached.end() && found->second;
}

const std::shared_ptr<HookRegistry> &ScriptModel::registry_of(const std::string & /*layer*/) const {
    return hooks_;
}

// ---- programs ----

std::shared_ptr<const Program> ScriptModel::make_program(const ProgramKey &key) const {
    const auto &taps = std::get<0>(key);
    const auto &hooked = std::get<3>(key);
    std::vector<Target> targets;
    Compilation compilation{{}, taps.size(), std::get<2>(key)};
    const auto add = [&](const std::string &layer, ntap_layer_side side, const Purpose &purpose) {
        Target target;
        target.side = side;
        if (!find_target(layer, target))
            fail(NTAP_ERROR_NOT_FOUND, "layer '", layer, "' not found");
        targets.push_back(target);
        compilation.purposes.push_back(purpose);
    };
    // Hooks come first: a tap records what they leave.
    for (size_t i = 0; i < hooked.size(); ++i) {
        const auto &[layer, before, after] = hooked[i];
        add(layer, NTAP_LAYER_INPUT, Purpose{Purpose::Kind::kEnter, i, before});
        if (after)
            add(layer, NTAP_LAYER_OUTPUT, Purpose{Purpose::Kind::kLeave, i, true});
    }
    for (size_t i = 0; i < taps.size(); ++i)
        add(taps[i], std::get<1>(key), Purpose{Purpose::Kind::kTap, i, false});
    return compile(entry_, plan_sites(entry_, std::move(targets)), compilation);
}

std::shared_ptr<const Program> ScriptModel::program(const Taps &taps, bool whole,
                                                    const HookSet *hooks) const {
    HookedLayers hooked;
    for (size_t i = 0; hooks != nullptr && i < hooks->size(); ++i) {
        const LayerHooks &layer = (*hooks)[i];
        hooked.emplace_back(layer.layer, !layer.before.empty(), !layer.after.empty());
    }
    const ProgramKey key(taps.layers, taps.side, whole, hooked);
    const std::lock_guard<std::mutex> lock(planning_mutex_);
    const auto known = programs_.find(key);
    if (known != programs_.end() && still_holds(*known->second))
        return known->second;
    auto made = make_program(key);
    for (auto it = programs_.begin(); programs_.size() >= kMostPrograms && it != programs_.end();)
        it = it->second.use_count() == 1 ? programs_.erase(it) : std::next(it);
    programs_[key] = made;
    return made;
}

std::shared_ptr<const Runnable> ScriptModel::prepare(const Taps &taps, bool whole) const {
    return std::make_shared<ScriptRun>(
        std::static_pointer_cast<const ScriptModel>(shared_from_this()), taps, whole);
}

// ---- moving ----

// First everything is converted, which may fail; then it is exchanged, which cannot.
void ScriptModel::move(const at::Device *device, const at::ScalarType *dtype) {
    std::vector<std::pair<at::Tensor, at::Tensor>> exchanges;
    const auto convert = [&](const at::Tensor &tensor) {
        exchanges.emplace_back(tensor, converted(tensor, device, dtype));
    };
    for (const at::Tensor &parameter : entry_.model.parameters())
        convert(parameter);
    for (const at::Tensor &buffer : entry_.model.buffers())
        convert(buffer);
    for (auto &exchange : exchanges)
        exchange.first.set_data(exchange.second);
    forget_tapes();
}

void ScriptModel::forget_tapes() {
    const std::lock_guard<std::mutex> lock(planning_mutex_);
    for (const auto &program : programs_)
        program.second->tapes.clear();
}

// ---- replicas ----

// Its attributes may change, by update(): programs look whether they still hold. The entry is
// copied: moving a torch::jit::Module ends the program if there is no memory (libtorch 2).
ScriptModel::ScriptModel(std::shared_ptr<const ScriptModel> source, const Entry &entry)
    : entry_(entry), shared_(true), source_(std::move(source)), hooks_(source_->hooks_) {
    list_layers(entry_.model._ivalue(), "", layers_, objects_);
    signature_ = source_->signature_;
}

std::shared_ptr<Model> ScriptModel::replicate(const at::Device &device) const {
    const auto object = Replicator(device).replicate(entry_.model._ivalue());
    const auto self = std::static_pointer_cast<const ScriptModel>(shared_from_this());
    return std::shared_ptr<ScriptModel>(
        new ScriptModel(self, Entry{torch::jit::Module(object), entry_.method, device}));
}

void ScriptModel::update() {
    Replicator(*entry_.device).update(source_->entry_.model._ivalue(), entry_.model._ivalue());
    forget_tapes();
}

} // namespace neurotap
