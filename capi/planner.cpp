#include "planner.hpp"

#include "boundary.hpp"
#include "checked_operators.hpp"
#include "inline_forks.hpp"
#include "module_values.hpp"
#include "site_markers.hpp"
#include "value_names.hpp"

#include <algorithm>

namespace neurotap {
namespace {

using torch::jit::Block;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;
namespace attr = torch::jit::attr;
namespace prim = torch::jit::prim;

// A graph that calls itself would be inlined for ever; real models stay below 100,000 nodes.
constexpr size_t kMostNodes = 200000;

size_t count_nodes(const Block *block) {
    size_t count = 0;
    for (const Node *node : block->nodes()) {
        ++count;
        for (const Block *inner : node->blocks())
            count += count_nodes(inner);
    }
    return count;
}

// Inlines every call whose target is known, and marks the sites on the way.
class Planner {
  public:
    Planner(const Entry &entry, std::vector<Target> targets, bool everything)
        : model_(entry.model._ivalue()), seeks_(everything || !targets.empty()),
          markers_(std::move(targets), everything),
          graph_(entry.model.get_method(entry.method).graph()->copy()) {
        original_ = graph_->copy();
        modules_.track(graph_->inputs().at(0), model_);
        inline_forks(*graph_);
        list_carriers(model_, {});
    }

    Plan plan() {
        nodes_ = count_nodes(graph_->block());
        markers_.mark_code(Scope{model_, ""}, *graph_);
        markers_.mark_model(model_.get(), *graph_);
        inline_block(graph_->block());
        check_operators(replaces_layers_ ? *original_ : *graph_);
        if (replaces_layers_)
            return Plan{original_, {}, {}, {}};
        modules_.fold_attributes(*graph_);
        const auto sites = markers_.collect_sites(*graph_);
        return Plan{graph_, markers_.take_targets(), sites, modules_.take_assumptions()};
    }

  private:
    void inline_block(Block *block) {
        for (auto it = block->nodes().begin(); it != block->nodes().end();) {
            Node *node = *it;
            Node *before = node->prev();
            if (is_call(node) && inline_call(node)) {
                it = torch::jit::graph_node_list_iterator(before->next(),
                                                          torch::jit::kNextDirection);
                continue;
            }
            visit(node);
            for (Block *inner : node->blocks())
                inline_block(inner);
            if (node->kind() == prim::If)
                modules_.track_branches(node);
            ++it;
        }
    }

    void visit(Node *node) {
        if (node->kind() == prim::GetAttr)
            modules_.track_attribute(node);
        else if (is_marker(node))
            modules_.track_through(node);
        else if (node->kind() == prim::SetAttr && is_module_type(node->input(1)->type()))
            visit_replacement(node);
    }

    // Where nothing is sought, such a model runs as it is.
    void visit_replacement(const Node *set) {
        if (seeks_)
            fail(NTAP_ERROR_UNSUPPORTED, "the model's forward replaces its submodule '",
                 set->s(attr::name), "' while it runs; such models cannot be instrumented");
        replaces_layers_ = true;
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
        mark(node, *body);
        if (node->kind() == prim::CallFunction)
            node->removeInput(0);
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

    // The call itself, if it is a layer's, and what is wanted in the code that it leads to.
    void mark(Node *call, Graph &body) {
        if (call->kind() != prim::CallMethod || !is_forward(call->s(attr::name)))
            return markers_.mark_code(markers_.scope_behind(call), body);
        const ObjectPtr *layer = modules_.object_of(call->input(0));
        if (layer == nullptr)
            return;
        markers_.mark_code(Scope{*layer, ""}, body);
        Node *before = call->prev();
        markers_.mark_call(layer->get(), call);
        for (Node *marker = before->next(); marker != call; marker = marker->next())
            modules_.track_through(marker);
    }

    // ---- receivers that are only known at run time, such as an element of a list of modules ----

    // A module that is wanted, or contains a wanted one, below the model itself.
    struct Carrier {
        ObjectPtr object;
        std::vector<std::string> path;
    };

    bool list_carriers(const ObjectPtr &object, const std::vector<std::string> &path) {
        bool carries = markers_.wants(object.get());
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

    // A module that a receiver may be: a value, or an attribute of one.
    struct Element {
        ObjectPtr object;
        Value *value;
        std::string attribute; // "" for the value itself
    };

    // The modules in what the receiver is taken from, as far as it may be one of them; none if it
    // is not known what that holds.
    std::vector<Element> elements(Node *node) {
        Node *get = node->input(0)->node();
        std::vector<Element> all;
        if (get->kind() == prim::ModuleContainerIndex)
            all = attributes_of(get->input(0));
        else if (get->kind() == c10::aten::__getitem__ && is_fixed(get->input(0)))
            all = inputs_of(get->input(0)->node());
        std::unordered_set<const c10::ivalue::Object *> seen = excluded_[node];
        std::vector<Element> left;
        for (const Element &element : all)
            if (seen.insert(element.object.get()).second)
                left.push_back(element);
        return left;
    }

    // Those of a ModuleList or ModuleDict.
    std::vector<Element> attributes_of(Value *container) const {
        std::vector<Element> elements;
        const ObjectPtr *object = modules_.object_of(container);
        if (object == nullptr)
            return elements;
        const auto type = (*object)->type();
        for (size_t i = 0; i < type->numAttributes(); ++i)
            if (is_module_type(type->getAttribute(i)) && (*object)->getSlot(i).isObject())
                elements.push_back(
                    {(*object)->getSlot(i).toObject(), container, type->getAttributeName(i)});
        return elements;
    }

    // Those of a list or dictionary that the model makes.
    std::vector<Element> inputs_of(Node *construct) const {
        std::vector<Element> elements;
        for (Value *input : construct->inputs()) {
            const ObjectPtr *object = modules_.object_of(input);
            if (object != nullptr)
                elements.push_back({*object, input, ""});
            else if (!is_key(input))
                return {};
        }
        return elements;
    }

    Value *value_of(const Element &element, Node *node) {
        if (element.attribute.empty())
            return element.value;
        const torch::jit::WithInsertPoint here(node);
        Value *value = graph_->insertGetAttr(element.value, element.attribute);
        modules_.track(value, element.object);
        return value;
    }

    static bool is_key(const Value *element) {
        const auto kind = element->type()->kind();
        return kind == c10::TypeKind::StringType || kind == c10::TypeKind::IntType;
    }

    // Whether a container is made in one piece and only read.
    static bool is_fixed(const Value *container) {
        const auto kind = container->node()->kind();
        const auto &uses = container->uses();
        return (kind == prim::ListConstruct || kind == prim::DictConstruct) &&
               std::all_of(uses.begin(), uses.end(), [](const torch::jit::Use &use) {
                   return use.user->kind() == c10::aten::__getitem__ ||
                          use.user->kind() == c10::aten::len;
               });
    }

    // A call whose receiver is only known at run time becomes calls of known receivers, one after
    // the other. Returns whether there is one to become.
    bool branch_on_receiver(Node *node) {
        if (modules_.object_of(node->input(0)) != nullptr)
            return false;
        const auto modules = elements(node);
        if (modules.size() == 1 && !excluded_[node].empty()) { // what it must be, being no other
            node->replaceInput(0, value_of(modules.front(), node));
            return true;
        }
        if (!modules.empty()) {
            branch(node, value_of(modules.front(), node));
            return true;
        }
        const Carrier *candidate = next_candidate(node);
        if (candidate != nullptr)
            branch(node, module_value(*candidate));
        return candidate != nullptr;
    }

    // receiver.f(x) becomes: if receiver is module: module.f(x), else: receiver.f(x). The first
    // call has a known receiver; the second is asked again, without this module.
    void branch(Node *node, Value *module) {
        const torch::jit::WithInsertPoint here(node);
        Value *same = graph_->insert(c10::aten::__is__, {node->input(0), module});
        Node *branch = graph_->insertNode(graph_->create(prim::If, {same}, 1));
        branch->output()->setType(node->output()->type());
        copy_call(node, module, branch->addBlock());
        Node *other = copy_call(node, node->input(0), branch->addBlock());
        excluded_[other] = excluded_[node];
        excluded_[other].insert(modules_.object_of(module)->get());
        node->output()->replaceAllUsesWith(branch->output());
        excluded_.erase(node);
        node->destroy();
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
        ObjectPtr object = model_;
        for (const std::string &name : carrier.path) {
            object = object->getAttr(name).toObject();
            value = graph_->insertGetAttr(value, name);
            modules_.track(value, object);
        }
        return value;
    }

    ObjectPtr model_;
    bool seeks_; // whether there are any targets
    bool replaces_layers_ = false;
    SiteMarkers markers_;
    ModuleValues modules_;
    std::shared_ptr<Graph> graph_;
    std::shared_ptr<Graph> original_;
    std::vector<Carrier> carriers_;
    // Candidates that a call's receiver is known not to be; an entry goes when its node does.
    std::unordered_map<Node *, std::unordered_set<const c10::ivalue::Object *>> excluded_;
    size_t nodes_ = 0;
};

} // namespace

Plan plan_sites(const Entry &entry, std::vector<Target> targets) {
    return Planner(entry, std::move(targets), false).plan();
}

Plan plan_everything(const Entry &entry, std::vector<Target> targets) {
    return Planner(entry, std::move(targets), true).plan();
}

} // namespace neurotap
