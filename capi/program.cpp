#include "program.hpp"

#include "boundary.hpp"
#include "graph_visit.hpp"
#include "site_operators.hpp"

#include <algorithm>
#include <unordered_map>

namespace neurotap {
namespace {

using torch::jit::Block;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;
namespace prim = torch::jit::prim;

using GraphPtr = std::shared_ptr<Graph>;
using Kind = Purpose::Kind;

// ---- from markers to operators ----

// The list that the operators at the sites take.
Value *begin_run(Graph &graph) {
    Value *observer = graph.addInput("observer");
    observer->setType(c10::AnyType::get());
    Node *begin = graph.create(begin_symbol(), {observer}, 1);
    begin->output()->setType(c10::ListType::create(c10::AnyType::get()));
    graph.prependNode(begin);
    return begin->output();
}

std::vector<c10::TypePtr> types_of(at::ArrayRef<Value *> values) {
    std::vector<c10::TypePtr> types;
    for (const Value *value : values)
        types.push_back(value->type());
    return types;
}

Value *take_value(Graph &graph, Value *run, size_t index, Value *value, const c10::TypePtr &type) {
    Value *number = graph.insertConstant(static_cast<int64_t>(index));
    Node *take = graph.insertNode(graph.create(take_symbol(), {run, number, value}, 1));
    take->output()->setType(type);
    return take->output();
}

// The values are handed over, the site is reached, and what is handed back takes their place.
void replace_marker(Graph &graph, Node *marker, Value *run, size_t site, bool replaces) {
    const torch::jit::WithInsertPoint here(marker);
    for (Value *value : marker->inputs())
        graph.insertNode(graph.create(hand_symbol(), {run, value}, 0));
    Value *number = graph.insertConstant(static_cast<int64_t>(site));
    graph.insertNode(graph.create(reach_symbol(), {run, number}, 0));
    for (size_t i = 0; i < marker->inputs().size(); ++i) {
        Value *value = marker->input(i);
        Value *handed_on = marker->output(i);
        handed_on->replaceAllUsesWith(replaces ? take_value(graph, run, i, value, handed_on->type())
                                               : value);
    }
    marker->destroy();
}

std::vector<ProgramSite> replace_markers(const Plan &plan, Value *run,
                                         const std::vector<Purpose> &purposes) {
    std::vector<ProgramSite> sites;
    for (const Site &site : plan.sites) {
        const Purpose &purpose = purposes[site.target];
        const auto types = types_of(site.marker->outputs());
        replace_marker(*plan.graph, site.marker, run, sites.size(), purpose.replaces);
        sites.push_back(ProgramSite{purpose, types, false});
    }
    return sites;
}

size_t site_of(const Node *reach) {
    return static_cast<size_t>(torch::jit::toIValue(reach->input(1))->toInt());
}

// ---- cutting ----

Node *top_level(Node *node, const Block *top) {
    while (node->owningBlock() != top)
        node = node->owningBlock()->owningNode();
    return node;
}

Node *last_tap(Graph &graph, const std::vector<ProgramSite> &sites) {
    Node *last = nullptr;
    visit(graph.block(), [&](Node *node) {
        if (node->kind() == reach_symbol() && sites[site_of(node)].purpose.kind == Kind::kTap)
            last = node;
    });
    return last;
}

// Nothing behind the last tap has to run, and nothing at all if there is none.
void cut_behind(Graph &graph, Node *last, Value *run) {
    while (!graph.outputs().empty())
        graph.eraseOutput(0);
    graph.registerOutput(run);
    const Node *keep = last == nullptr ? run->node() : top_level(last, graph.block());
    while (graph.return_node()->prev() != keep)
        graph.return_node()->prev()->destroy();
}

// ---- cleaning ----

// The library prints nothing, whatever the model's author left in.
void remove_prints(Graph &graph) {
    visit(graph.block(), [](Node *node) {
        if (node->kind() == prim::Print)
            node->destroy();
    });
}

// What a constant condition rules out goes.
void settle_branches(GraphPtr &graph) {
    torch::jit::ConstantPropagation(graph);
    torch::jit::PeepholeOptimize(graph); // settles the tests for None that the first pass left
    torch::jit::ConstantPropagation(graph);
}

void simplify(GraphPtr &graph) {
    remove_prints(*graph);
    settle_branches(graph);
    torch::jit::EliminateDeadCode(graph);
}

// The operators that hand values over to a site stand before it.
std::vector<Node *> hands_of(Node *reach, const ProgramSite &site) {
    std::vector<Node *> hands;
    for (Node *node = reach->prev();
         hands.size() < site.types.size() && node->kind() != prim::Param; node = node->prev())
        if (node->kind() == hand_symbol() || node->kind() == hand_copy_symbol())
            hands.insert(hands.begin(), node);
    return hands;
}

void hand_copy(Graph &graph, Node *hand) {
    const torch::jit::WithInsertPoint here(hand);
    graph.insertNode(graph.create(hand_copy_symbol(), hand->inputs(), 0));
    hand->destroy();
}

// B9: what a later in-place operation changes is handed over as a copy. So is what comes back: it
// may be memory of the caller's.
void copy_where_written(const torch::jit::AliasDb &aliases, Graph &graph,
                        std::vector<ProgramSite> &sites) {
    std::vector<Node *> written;
    visit(graph.block(), [&](Node *node) {
        if (node->kind() != reach_symbol())
            return;
        ProgramSite &site = sites[site_of(node)];
        for (Node *hand : hands_of(node, site)) {
            if (!may_be_written(aliases, hand->input(1)))
                continue;
            written.push_back(hand);
            site.copies = true;
        }
    });
    for (Node *hand : written)
        hand_copy(graph, hand);
}

std::vector<size_t> count_sites(Graph &graph, const std::vector<ProgramSite> &sites,
                                size_t n_taps) {
    std::vector<size_t> counts(n_taps, 0);
    visit(graph.block(), [&](const Node *node) {
        if (node->kind() != reach_symbol())
            return;
        const Purpose &purpose = sites[site_of(node)].purpose;
        if (purpose.kind == Kind::kTap)
            ++counts[purpose.index];
    });
    return counts;
}

// Constants made in the caller's inference mode could not be saved for the backward pass.
struct CompileModes {
    c10::InferenceMode no_inference{false};
    at::NoGradGuard no_grad;
};

std::vector<ProgramSite> instrument(const Plan &plan, const Compilation &compilation) {
    Graph &graph = *plan.graph;
    if (compilation.purposes.empty())
        return {};
    register_site_operators();
    Value *run = begin_run(graph);
    auto sites = replace_markers(plan, run, compilation.purposes);
    if (compilation.whole)
        graph.registerOutput(run);
    else
        cut_behind(graph, last_tap(graph, sites), run);
    return sites;
}

// A value that stands for a target at one of its sites.
struct Occurrence {
    size_t target;
    const Value *value;
};

void move_constants(Graph &graph, const at::Device &device) {
    visit(graph.block(), [&](Node *node) {
        if (node->kind() == prim::Constant && node->hasAttribute(c10::attr::value) &&
            node->kindOf(c10::attr::value) == torch::jit::AttributeKind::t)
            node->t_(c10::attr::value, node->t(c10::attr::value).to(device));
    });
}

// Only to look at, a graph can hold on to a site's values by an operator that is cheap for
// libtorch's passes: they know that it does nothing to them, but must stay.
void keep_alive(Graph &graph, const Site &site) {
    const torch::jit::WithInsertPoint here(site.marker);
    std::vector<Value *> inputs{graph.insertConstant(static_cast<int64_t>(site.target))};
    for (size_t i = 0; i < site.marker->inputs().size(); ++i) {
        inputs.push_back(site.marker->input(i));
        site.marker->output(i)->replaceAllUsesWith(site.marker->input(i));
    }
    graph.insertNode(graph.create(prim::Print, inputs, 0));
    site.marker->destroy();
}

std::vector<Occurrence> find_occurrences(Graph &graph) {
    std::vector<Occurrence> occurrences;
    visit(graph.block(), [&](const Node *node) {
        if (node->kind() != prim::Print)
            return;
        const auto target = static_cast<size_t>(torch::jit::toIValue(node->input(0))->toInt());
        for (const Value *value : node->inputs().slice(1))
            occurrences.push_back(Occurrence{target, value});
    });
    return occurrences;
}

// Of several targets with one value, the first owns it.
std::unordered_map<const Value *, size_t> find_owners(const std::vector<Occurrence> &occurrences) {
    std::unordered_map<const Value *, size_t> owners;
    for (const Occurrence &occurrence : occurrences) {
        size_t &owner = owners.emplace(occurrence.value, occurrence.target).first->second;
        owner = std::min(owner, occurrence.target);
    }
    return owners;
}

} // namespace

bool Program::holds() const {
    return std::all_of(assumptions.begin(), assumptions.end(),
                       [](const Assumption &assumption) { return assumption.holds(); });
}

std::shared_ptr<const Program> compile(const Entry &entry, Plan plan,
                                       const Compilation &compilation) {
    const CompileModes modes;
    GraphPtr &graph = plan.graph;
    if (entry.device)
        move_constants(*graph, *entry.device);
    auto sites = instrument(plan, compilation);
    simplify(graph);
    const torch::jit::AliasDb aliases(graph);
    copy_where_written(aliases, *graph, sites);
    const auto &schema = entry.function().getSchema();
    const auto counts = count_sites(*graph, sites, compilation.n_taps);
    return std::make_shared<Program>(
        Program{graph,
                torch::jit::Code(graph, "neurotap"),
                entry.model._ivalue(),
                schema,
                std::move(sites),
                !compilation.purposes.empty(),
                compilation.whole,
                counts,
                find_effects(aliases, *graph, schema.arguments().size() - 1),
                find_operator_without_gradient(*graph),
                std::move(plan.assumptions),
                {}});
}

std::vector<Reached> find_reached(Plan plan) {
    const CompileModes modes;
    remove_prints(*plan.graph);
    for (const Site &site : plan.sites)
        keep_alive(*plan.graph, site);
    settle_branches(plan.graph);
    const auto occurrences = find_occurrences(*plan.graph);
    const auto owners = find_owners(occurrences);
    std::vector<Reached> reached;
    std::unordered_map<size_t, size_t> place; // of a target in them
    for (const Occurrence &occurrence : occurrences) {
        const auto known = place.emplace(occurrence.target, reached.size());
        if (known.second)
            reached.push_back(Reached{occurrence.target, false});
        if (owners.at(occurrence.value) == occurrence.target)
            reached[known.first->second].distinct = true;
    }
    return reached;
}

} // namespace neurotap
