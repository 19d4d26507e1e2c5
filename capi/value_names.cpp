#include "value_names.hpp"

#include <map>

namespace neurotap {
namespace {

using torch::jit::Block;
using torch::jit::Node;
namespace attr = torch::jit::attr;
namespace prim = torch::jit::prim;

// What the author called; nothing for what the compiler itself put in.
std::string operation_name(const Node *node) {
    if (node->kind() == prim::CallMethod)
        return is_forward(node->s(attr::name)) ? "" : node->s(attr::name);
    if (node->kind() == prim::CallFunction) {
        const auto type = node->input(0)->type()->cast<c10::FunctionType>();
        return type ? type->function()->name() : "";
    }
    if (node->kind().is_prim() || node->outputs().empty())
        return "";
    return node->kind().toUnqualString();
}

using Counts = std::map<std::string, size_t>;

void name_block(Block *block, Counts &counts,
                const std::function<void(Node *, const std::string &)> &action) {
    for (auto it = block->nodes().begin(); it != block->nodes().end();) {
        Node *node = *it++; // the action may put nodes around it
        const std::string name = operation_name(node);
        if (!name.empty())
            action(node, name + ":" + std::to_string(++counts[name]));
        for (Block *inner : node->blocks())
            name_block(inner, counts, action);
    }
}

} // namespace

bool is_forward(const std::string &method) {
    const std::string stem = "forward";
    if (method.compare(0, stem.size(), stem) != 0)
        return false;
    const size_t digits = method.compare(stem.size(), 2, "__") == 0 ? stem.size() + 2 : stem.size();
    const bool bare = method.size() == stem.size();
    return bare || (method.size() > digits &&
                    method.find_first_not_of("0123456789", digits) == std::string::npos);
}

bool is_call(const Node *node) {
    return node->kind() == prim::CallMethod || node->kind() == prim::CallFunction;
}

at::ArrayRef<torch::jit::Value *> arguments_of(Node *node) {
    return is_call(node) ? node->inputs().slice(1) : node->inputs();
}

void name_operations(torch::jit::Graph &code,
                     const std::function<void(Node *, const std::string &)> &action) {
    Counts counts;
    name_block(code.block(), counts, action);
}

} // namespace neurotap
