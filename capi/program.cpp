#include "program.hpp"

#include "boundary.hpp"
#include "record.hpp"

#include <algorithm>
#include <functional>

namespace neurotap {
namespace {

using torch::jit::Block;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;
namespace prim = torch::jit::prim;

using GraphPtr = std::shared_ptr<Graph>;

void visit(Block *block, const std::function<void(Node *)> &action) {
    for (auto it = block->nodes().begin(); it != block->nodes().end();) {
        Node *node = *it++; // the action may destroy the node
        for (Block *inner : node->blocks())
            visit(inner, action);
        action(node);
    }
}

Node *top_level(Node *node, const Block *top) {
    while (node->owningBlock() != top)
        node = node->owningBlock()->owningNode();
    return node;
}

// ---- from sites to recording operators ----

// One list for each layer, filled in the order of the calls.
std::vector<Value *> prepend_lists(Graph &graph, size_t count) {
    const torch::jit::WithInsertPoint start(*graph.nodes().begin());
    std::vector<Value *> lists;
    for (size_t i = 0; i < count; ++i) {
        Node *list = graph.insertNode(graph.createList(c10::AnyType::get(), {}));
        lists.push_back(list->output());
    }
    return lists;
}

void record_sites(const Plan &plan, const std::vector<Value *> &lists) {
    Graph &graph = *plan.graph;
    for (const Site &site : plan.sites) {
        const torch::jit::WithInsertPoint here(site.marker);
        Value *calls = lists[site.layer];
        graph.insertNode(graph.create(open_call_symbol(), {calls}, 0));
        for (Value *value : site.marker->inputs())
            graph.insertNode(graph.create(record_symbol(), {calls, value}, 0));
    }
}

void destroy_markers(const Plan &plan) {
    std::vector<Node *> markers;
    for (const Site &site : plan.sites)
        if (markers.empty() || markers.back() != site.marker) // repeats are neighbours
            markers.push_back(site.marker);
    for (Node *marker : markers)
        marker->destroy();
}

// Nothing behind the last site has to run; the lists are the result.
void cut_behind(Graph &graph, Node *last, const std::vector<Value *> &lists) {
    while (!graph.outputs().empty())
        graph.eraseOutput(0);
    for (Value *list : lists)
        graph.registerOutput(list);
    const Node *keep = last == nullptr ? nullptr : top_level(last, graph.block());
    while (true) {
        Node *tail = graph.return_node()->prev();
        if (tail == keep || tail == graph.param_node())
            return;
        const bool is_list = std::any_of(lists.begin(), lists.end(),
                                         [&](const Value *list) { return list->node() == tail; });
        if (is_list) // no site at all
            return;
        tail->destroy();
    }
}

Node *last_record(Graph &graph) {
    Node *last = nullptr;
    visit(graph.block(), [&](Node *node) {
        if (node->kind() == open_call_symbol() || node->kind() == record_symbol())
            last = node;
    });
    return last;
}

// ---- cleaning ----

// The library prints nothing, whatever the model's author left in.
void remove_prints(Graph &graph) {
    visit(graph.block(), [](Node *node) {
        if (node->kind() == prim::Print)
            node->destroy();
    });
}

void simplify(GraphPtr &graph) {
    remove_prints(*graph);
    torch::jit::ConstantPropagation(graph);
    torch::jit::PeepholeOptimize(graph); // settles the tests for None that the first pass left
    torch::jit::ConstantPropagation(graph);
    torch::jit::EliminateDeadCode(graph);
}

// ---- what a run may do to others ----

bool is_scalar(const Value *value) {
    switch (value->type()->kind()) {
    case c10::TypeKind::IntType:
    case c10::TypeKind::FloatType:
    case c10::TypeKind::BoolType:
    case c10::TypeKind::StringType:
    case c10::TypeKind::NoneType:
        return true;
    default:
        return false;
    }
}

// Whether anything writes to the value, as far as the analysis can tell; what it cannot look into
// counts as written.
bool may_be_written(const torch::jit::AliasDb &aliases, const Value *value) {
    if (is_scalar(value))
        return false;
    if (value->type()->isSubtypeOf(*c10::TensorType::get()))
        return aliases.hasWriters(value);
    return true;
}

// B9: what a later in-place operation changes is recorded as a copy.
void copy_where_written(const torch::jit::AliasDb &aliases, Graph &graph) {
    std::vector<Node *> written;
    visit(graph.block(), [&](Node *node) {
        if (node->kind() == record_symbol() && may_be_written(aliases, node->input(1)))
            written.push_back(node);
    });
    for (Node *node : written) {
        const torch::jit::WithInsertPoint here(node);
        graph.insertNode(graph.create(record_copy_symbol(), node->inputs(), 0));
        node->destroy();
    }
}

bool leaves_graph(const Node *node) {
    return node->kind() == prim::CallMethod || node->kind() == prim::CallFunction ||
           node->kind() == prim::fork;
}

// Dropout and its kin draw only in training; libtorch's own test knows just the plain one.
bool draws_random(const Node *node) {
    if (!node->isNondeterministic())
        return false;
    const c10::FunctionSchema *schema = node->maybeSchema();
    for (size_t i = 0; schema != nullptr && i < schema->arguments().size(); ++i) {
        const std::string &name = schema->arguments()[i].name();
        if (name != "train" && name != "training")
            continue;
        const auto training = torch::jit::toIValue(node->input(i));
        if (training && training->isBool() && !training->toBool())
            return false;
    }
    return true;
}

// Quantised and MKL-DNN operators give results without a gradient; some libtorch versions do not
// even say so.
bool lacks_gradient(const std::string &name) {
    return name.compare(0, 11, "quantized::") == 0 || name.find("::quantize_per") != name.npos ||
           name.find("mkldnn") != name.npos || name.find("MKLDNN") != name.npos;
}

std::string find_operator_without_gradient(Graph &graph) {
    std::string found;
    visit(graph.block(), [&](const Node *node) {
        const std::string name = node->kind().toQualString();
        if (found.empty() && lacks_gradient(name))
            found = name;
    });
    return found;
}

struct Effects {
    std::vector<bool> writes_argument;
    bool writes_module = false;
    bool draws_random = false;
};

Effects find_effects(const torch::jit::AliasDb &aliases, Graph &graph) {
    Effects effects;
    bool opaque = false; // whether something is called that could do anything
    visit(graph.block(), [&](Node *node) {
        opaque |= leaves_graph(node);
        const bool written = node->kind() == prim::GetAttr && !is_scalar(node->output()) &&
                             !node->output()->type()->cast<c10::ClassType>() &&
                             aliases.hasWriters(node->output());
        effects.writes_module |= written || node->kind() == prim::SetAttr;
        effects.draws_random |= draws_random(node);
    });
    effects.writes_module |= opaque;
    effects.draws_random |= opaque;
    for (const Value *argument : graph.inputs().slice(1))
        effects.writes_argument.push_back(opaque || aliases.hasWriters(argument));
    return effects;
}

std::shared_ptr<Program> finish(const GraphPtr &graph, const torch::jit::Module &model,
                                const torch::jit::AliasDb &aliases) {
    const Effects effects = find_effects(aliases, *graph);
    const auto &schema = model.get_method("forward").function().getSchema();
    auto program = std::make_shared<Program>(graph, model._ivalue(), schema);
    program->writes_argument = effects.writes_argument;
    program->writes_module = effects.writes_module;
    program->draws_random = effects.draws_random;
    return program;
}

void count_sites(Graph &graph, std::vector<size_t> &counts) {
    visit(graph.block(), [&](Node *node) {
        if (node->kind() != open_call_symbol())
            return;
        for (size_t layer = 0; layer < counts.size(); ++layer)
            if (node->input(0) == graph.outputs()[layer])
                ++counts[layer];
    });
}

// Constants made in the caller's inference mode could not be saved for the backward pass.
struct CompileModes {
    c10::InferenceMode no_inference{false};
    at::NoGradGuard no_grad;
};

} // namespace

std::shared_ptr<const Program> compile_taps(Plan plan, size_t n_layers) {
    const CompileModes modes;
    register_record_operators();
    GraphPtr &graph = plan.graph;
    const auto lists = prepend_lists(*graph, n_layers);
    record_sites(plan, lists);
    destroy_markers(plan);
    cut_behind(*graph, last_record(*graph), lists);
    simplify(graph);
    const torch::jit::AliasDb aliases(graph);
    copy_where_written(aliases, *graph);
    const auto program = finish(graph, plan.model, aliases);
    program->site_counts.assign(n_layers, 0);
    count_sites(*graph, program->site_counts);
    program->no_gradient = find_operator_without_gradient(*graph);
    return program;
}

std::shared_ptr<const Program> compile_forward(Plan plan) {
    const CompileModes modes;
    simplify(plan.graph);
    const torch::jit::AliasDb aliases(plan.graph);
    return finish(plan.graph, plan.model, aliases);
}

} // namespace neurotap
