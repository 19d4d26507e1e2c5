#include "planner.hpp"

#include "boundary.hpp"
#include "inline_forks.hpp"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

namespace neurotap {
namespace {

using torch::jit::Block;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;
namespace attr = torch::jit::attr;
namespace prim = torch::jit::prim;

// A graph that calls itself would be inlined for ever; real models stay below 100,000 nodes.
constexpr size_t kMostNodes = 2000000;

bool is_module_type(const c10::TypePtr &type) {
    const auto cls = type->cast<c10::ClassType>();
    return cls && cls->is_module();
}

// A module's forward, and its kin: a trace names repeated calls forward1, forward2, …; overloads
// become forward__0, forward__1, ….
bool is_forward(const std::string &method) {
    const std::string stem = "forward";
    if (method.compare(0, stem.size(), stem) != 0)
        return false;
    const size_t digits = method.compare(stem.size(), 2, "__") == 0 ? stem.size() + 2 : stem.size();
    const bool bare = method.size() == stem.size();
    return bare || (method.size() > digits &&
                    method.find_first_not_of("0123456789", digits) == std::string::npos);
}

// Attribute values that cannot change but by SetAttr, so that they may become constants.
bool is_immutable(const c10::IValue &value) {
    return value.isBool() || value.isInt() || value.isDouble() || value.isString() ||
           value.isNone() || value.isDevice();
}

// Hooks that were compiled into the model run in the caller, on the result of forward: the layer's
// value is what the last of them returns.
Node *last_hook(Node *call) {
    const auto cls = call->input(0)->type()->cast<c10::ClassType>();
    Node *last = call;
    for (bool found = cls != nullptr; found;) {
        found = false;
        for (const torch::jit::Use &use : last->output()->uses()) {
            Node *user = use.user;
            if (user->kind() != prim::CallFunction || user->inputs().size() != 4 ||
                user->input(1) != call->input(0) || user->input(3) != last->output())
                continue;
            const auto &hooks = cls->getForwardHooks();
            const auto *function =
                user->input(0)->type()->expectRef<c10::FunctionType>().function();
            found = std::find(hooks.begin(), hooks.end(), function) != hooks.end();
            if (found) {
                last = user;
                break;
            }
        }
    }
    return last;
}

size_t count_nodes(const Block *block) {
    size_t count = 0;
    for (const Node *node : block->nodes()) {
        ++count;
        for (const Block *inner : node->blocks())
            count += count_nodes(inner);
    }
    return count;
}

// Inlines every call whose target is known. Module values are tracked as concrete objects, so that
// two instances of one class stay two layers.
class Planner {
  public:
    Planner(const torch::jit::Module &model, const std::vector<ObjectPtr> &layers,
            ntap_layer_side side)
        : model_(model), side_(side), graph_(model.get_method("forward").graph()->copy()) {
        for (size_t i = 0; i < layers.size(); ++i)
            wanted_.emplace(layers[i].get(), i);
        for (size_t i = 0; i < layers.size(); ++i)
            layer_of_.push_back(wanted_.at(layers[i].get()));
        objects_[graph_->inputs().at(0)] = model._ivalue();
        inline_forks(*graph_);
        list_carriers(model._ivalue(), {});
    }

    Plan plan() {
        nodes_ = count_nodes(graph_->block());
        mark_model();
        inline_block(graph_->block());
        collect_assignments(graph_->block());
        fold_attributes(graph_->block());
        return Plan{graph_, model_, repeated_sites()};
    }

  private:
    // A layer that is asked for twice is marked once; its sites are listed for each request.
    std::vector<Site> repeated_sites() const {
        std::vector<Site> sites;
        for (const Site &site : sites_)
            for (size_t i = 0; i < layer_of_.size(); ++i)
                if (layer_of_[i] == site.layer)
                    sites.push_back(Site{i, site.marker});
        return sites;
    }

    Node *mark(const c10::ivalue::Object *layer, at::ArrayRef<Value *> values) {
        static const auto kind = c10::Symbol::fromQualString("neurotap::site");
        Node *marker = graph_->create(kind, values, 0);
        sites_.push_back(Site{wanted_.at(layer), marker});
        return marker;
    }

    void mark_result(const c10::ivalue::Object *layer, Node *result) {
        mark(layer, result->outputs())->insertAfter(result);
    }

    // The model itself as a layer: its arguments and its result.
    void mark_model() {
        const auto *model = model_._ivalue().get();
        if (wanted_.count(model) == 0)
            return;
        if (side_ == NTAP_LAYER_INPUT)
            graph_->prependNode(mark(model, graph_->inputs().slice(1)));
        else
            graph_->appendNode(mark(model, graph_->outputs()));
    }

    const ObjectPtr *object_of(const Value *value) const {
        const auto found = objects_.find(value);
        return found == objects_.end() ? nullptr : &found->second;
    }

    void track(Value *value, const ObjectPtr &object) {
        objects_[value] = object;
        // A method may be declared on an interface; the object knows the class.
        value->setType(object->type());
    }

    void inline_block(Block *block) {
        for (auto it = block->nodes().begin(); it != block->nodes().end();) {
            Node *node = *it;
            if (node->kind() == prim::CallMethod || node->kind() == prim::CallFunction) {
                Node *before = node->prev();
                if (inline_call(node)) {
                    it = torch::jit::graph_node_list_iterator(before->next(),
                                                              torch::jit::kNextDirection);
                    continue;
                }
            } else if (node->kind() == prim::GetAttr) {
                track_attribute(node);
            } else if (node->kind() == prim::SetAttr && is_module_type(node->input(1)->type())) {
                fail(NTAP_ERROR_UNSUPPORTED, "the model's forward replaces its submodule '",
                     node->s(attr::name), "' while it runs; such models cannot be instrumented");
            }
            for (Block *inner : node->blocks())
                inline_block(inner);
            if (node->kind() == prim::If)
                track_branches(node);
            ++it;
        }
    }

    void track_attribute(Node *node) {
        const ObjectPtr *owner = object_of(node->input(0));
        if (owner == nullptr || !is_module_type(node->output()->type()))
            return;
        const auto value = (*owner)->getAttr(node->s(attr::name));
        if (value.isObject())
            track(node->output(), value.toObject());
    }

    // A module that both branches give is known behind the `if`.
    void track_branches(Node *node) {
        for (size_t i = 0; i < node->outputs().size(); ++i) {
            const ObjectPtr *yes = object_of(node->blocks()[0]->outputs()[i]);
            const ObjectPtr *no = object_of(node->blocks()[1]->outputs()[i]);
            if (yes != nullptr && no != nullptr && *yes == *no)
                track(node->outputs()[i], *yes);
        }
    }

    bool inline_call(Node *node) {
        if (node->kind() == prim::CallMethod && branch_on_receiver(node))
            return true;
        torch::jit::GraphFunction *callee =
            node->kind() == prim::CallFunction ? called_function(node) : called_method(node);
        if (callee == nullptr)
            return false;
        callee->ensure_defined();
        const auto body = callee->graph()->copy();
        inline_forks(*body);
        nodes_ += count_nodes(body->block());
        if (nodes_ > kMostNodes)
            fail(NTAP_ERROR_UNSUPPORTED, "the model has more than ", kMostNodes,
                 " operations, or calls itself");
        if (node->kind() == prim::CallFunction)
            node->removeInput(0);
        else
            mark_call(node);
        excluded_.erase(node);
        torch::jit::inlineCallTo(node, callee, body.get());
        return true;
    }

    static torch::jit::GraphFunction *called_function(const Node *node) {
        const auto type = node->input(0)->type()->cast<c10::FunctionType>();
        return type ? torch::jit::tryToGraphFunction(*type->function()) : nullptr;
    }

    static torch::jit::GraphFunction *called_method(const Node *node) {
        // An interface's method could be any; it is left to the interpreter.
        const auto cls = node->input(0)->type()->cast<c10::ClassType>();
        auto *method = cls ? cls->findMethod(node->s(attr::name)) : nullptr;
        return method == nullptr ? nullptr : torch::jit::tryToGraphFunction(*method);
    }

    void mark_call(Node *node) {
        const ObjectPtr *layer = object_of(node->input(0));
        if (layer == nullptr || wanted_.count(layer->get()) == 0 ||
            !is_forward(node->s(attr::name)))
            return;
        if (side_ == NTAP_LAYER_INPUT)
            mark(layer->get(), node->inputs().slice(1))->insertBefore(node);
        else
            mark_result(layer->get(), last_hook(node));
    }

    // ---- receivers that are only known at run time, such as an element of a list of modules ----

    // A module that is wanted, or contains a wanted one, below the model itself.
    struct Carrier {
        ObjectPtr object;
        std::vector<std::string> path;
    };

    bool list_carriers(const ObjectPtr &object, const std::vector<std::string> &path) {
        bool carries = wanted_.count(object.get()) != 0;
        const size_t position = carriers_.size();
        const auto type = object->type();
        for (size_t i = 0; i < type->numAttributes(); ++i) {
            const c10::IValue &member = object->getSlot(i);
            if (!is_module_type(type->getAttribute(i)) || !member.isObject())
                continue;
            auto inner = path;
            inner.push_back(type->getAttributeName(i));
            carries = list_carriers(member.toObject(), inner) || carries;
        }
        if (carries && !path.empty())
            carriers_.insert(carriers_.begin() + static_cast<std::ptrdiff_t>(position),
                             Carrier{object, path});
        return carries;
    }

    const Carrier *next_candidate(Node *node) {
        const Value *receiver = node->input(0);
        const auto excluded = excluded_.find(node);
        for (const Carrier &carrier : carriers_)
            if ((excluded == excluded_.end() ||
                 excluded->second.count(carrier.object.get()) == 0) &&
                carrier.object->type()->isSubtypeOf(*receiver->type()) &&
                carrier.object->type()->findMethod(node->s(attr::name)) != nullptr)
                return &carrier;
        return nullptr;
    }

    // receiver.f(x) becomes: if receiver is candidate: candidate.f(x), else: receiver.f(x). The
    // first call has a known receiver; the second is asked again, without this candidate.
    bool branch_on_receiver(Node *node) {
        if (object_of(node->input(0)) != nullptr)
            return false;
        const Carrier *candidate = next_candidate(node);
        if (candidate == nullptr)
            return false;
        Value *module = module_value(*candidate);
        const torch::jit::WithInsertPoint here(node);
        Value *same = graph_->insert(c10::aten::__is__, {node->input(0), module});
        Node *branch = graph_->insertNode(graph_->create(prim::If, {same}, 1));
        branch->output()->setType(node->output()->type());
        copy_call(node, module, branch->addBlock());
        Node *other = copy_call(node, node->input(0), branch->addBlock());
        excluded_[other] = excluded_[node];
        excluded_[other].insert(candidate->object.get());
        node->output()->replaceAllUsesWith(branch->output());
        excluded_.erase(node);
        node->destroy();
        return true;
    }

    Node *copy_call(Node *node, Value *receiver, Block *block) {
        Node *call = graph_->createClone(node, [](Value *value) { return value; });
        call->replaceInput(0, receiver);
        block->appendNode(call);
        block->registerOutput(call->output());
        return call;
    }

    // The module by its path from the model, at the start of the graph.
    Value *module_value(const Carrier &carrier) {
        const torch::jit::WithInsertPoint start(*graph_->nodes().begin());
        Value *value = graph_->inputs().at(0);
        ObjectPtr object = model_._ivalue();
        for (const std::string &name : carrier.path) {
            object = object->getAttr(name).toObject();
            value = graph_->insertGetAttr(value, name);
            track(value, object);
        }
        return value;
    }

    // ---- attributes that are constants in all but name, such as `training` ----
    void collect_assignments(Block *block) {
        for (Node *node : block->nodes()) {
            if (node->kind() == prim::SetAttr)
                assigned_.insert(node->s(attr::name));
            for (Block *inner : node->blocks())
                collect_assignments(inner);
        }
    }

    void fold_attributes(Block *block) {
        for (auto it = block->nodes().begin(); it != block->nodes().end();) {
            Node *node = *it++;
            for (Block *inner : node->blocks())
                fold_attributes(inner);
            const ObjectPtr *owner =
                node->kind() == prim::GetAttr ? object_of(node->input(0)) : nullptr;
            if (owner == nullptr || assigned_.count(node->s(attr::name)) != 0)
                continue;
            const auto value = (*owner)->getAttr(node->s(attr::name));
            if (is_immutable(value))
                fold(node, value);
        }
    }

    void fold(Node *node, const c10::IValue &value) {
        const torch::jit::WithInsertPoint here(node);
        Value *constant = graph_->insertConstant(value);
        node->output()->replaceAllUsesWith(constant);
        objects_.erase(node->output());
        node->destroy();
    }

    torch::jit::Module model_;
    ntap_layer_side side_;
    std::shared_ptr<Graph> graph_;
    std::unordered_map<const c10::ivalue::Object *, size_t> wanted_;
    std::vector<size_t> layer_of_; // for each request, under which number the layer is marked
    std::unordered_map<const Value *, ObjectPtr> objects_;
    std::vector<Carrier> carriers_;
    // Candidates that a call's receiver is known not to be; an entry goes when its node does.
    std::unordered_map<Node *, std::unordered_set<const c10::ivalue::Object *>> excluded_;
    std::set<std::string> assigned_;
    std::vector<Site> sites_;
    size_t nodes_ = 0;
};

} // namespace

Plan plan_sites(const torch::jit::Module &model, const std::vector<ObjectPtr> &layers,
                ntap_layer_side side) {
    return Planner(model, layers, side).plan();
}

} // namespace neurotap
