#include "code_check.hpp"

#include "boundary.hpp"
#include "class_check.hpp"

#include <algorithm>

namespace neurotap {
namespace {

// What libtorch writes stays far below: it gives what would nest deeper a name of its own.
constexpr size_t kDeepestBrackets = 256;
constexpr size_t kDeepestBlocks = 512; // columns of indentation, at 2 for a block
constexpr size_t kLongestChain = 1000; // words and operators that may depend on one another
constexpr size_t kLongestQuote = 80;   // of code in messages

// A definition is compiled where another refers to it, on the same stack. In half kibibytes, that
// was measured to take this much for itself, and this much for each column of indentation; for each
// word and operator it takes 1. All of a way down may take half of a stack of 8 MiB.
constexpr size_t kCostOfDefinition = 12;
constexpr size_t kCostOfColumn = 2;
constexpr size_t kMostCost = 8192;

// Follows brackets, and in each of them how many words and operators come before in the same
// expression, its own and those around it: no tree that a parser makes of them is deeper.
class ExpressionDepth {
  public:
    // Returns what is nested too deep; NULL if nothing is.
    const char *take(char c) {
        if (c == '(' || c == '[' || c == '{') {
            chains_.push_back(chains_.back() + 1);
        } else if (c == ')' || c == ']' || c == '}') {
            close();
        } else if (c == ',' || (c == '\n' && chains_.size() == 1)) {
            chains_.back() = chains_.size() == 1 ? 0 : outer();
        } else if (c != ' ' && c != '\n') {
            ++chains_.back();
        }
        return chains_.size() > kDeepestBrackets ? "brackets"
               : chains_.back() > kLongestChain  ? "expressions"
                                                 : nullptr;
    }

    size_t depth() const { return chains_.back(); }

  private:
    size_t outer() const { return chains_[chains_.size() - 2] + 1; }

    void close() {
        if (chains_.size() == 1)
            return;
        chains_.pop_back();
        ++chains_.back();
    }

    std::vector<size_t> chains_{0};
};

size_t count_lines(const std::string &code, size_t begin, size_t end) {
    const auto at = [&](size_t i) { return code.begin() + static_cast<std::ptrdiff_t>(i); };
    return static_cast<size_t>(std::count(at(begin), at(std::min(end, code.size())), '\n'));
}

// libtorch writes these operators, but cannot read them.
void refuse_optimized(const std::string &code, const std::string &name) {
    if (code.find("prim.ConstantMKLDNNTensor") == std::string::npos &&
        code.find("prim.mkldnn_convolution") == std::string::npos)
        return;
    fail(
        NTAP_ERROR_UNSUPPORTED, "'", name, "' was written behind ",
        "torch.jit.optimize_for_inference, whose MKL-DNN operators libtorch cannot load and cannot "
        "differentiate; save the model before it is optimized");
}

// What the costliest way down from one definition to the next takes, without recursion. A
// definition that leads back to itself does not compile, or is one's own class.
class CallCost {
  public:
    explicit CallCost(const Definitions &definitions) : definitions_(definitions) {}

    size_t from(const std::string &root) {
        std::vector<std::string> path{root};
        while (!path.empty()) {
            const std::string name = path.back();
            const auto &callees = definitions_.at(name).references;
            State &state = states_[name];
            state.entered = true;
            if (state.next == callees.size()) {
                leave(path);
                continue;
            }
            const std::string &callee = callees[state.next++];
            if (definitions_.count(callee) == 0)
                continue;
            if (!states_[callee].entered)
                path.push_back(callee);
            else
                raise(name, callee);
        }
        return cost_of(root);
    }

  private:
    struct State {
        bool entered = false;
        size_t next = 0;  // which callee
        size_t below = 0; // the cost
    };

    size_t cost_of(const std::string &name) {
        return definitions_.at(name).cost + states_[name].below;
    }

    void raise(const std::string &caller, const std::string &callee) {
        State &state = states_[caller];
        state.below = std::max(state.below, cost_of(callee));
    }

    void leave(std::vector<std::string> &path) {
        const std::string callee = path.back();
        path.pop_back();
        if (!path.empty())
            raise(path.back(), callee);
    }

    const Definitions &definitions_;
    std::map<std::string, State> states_;
};

} // namespace

void CodeChecker::check_classes(const std::string &code, const std::string &path) const {
    ClassChecker classes;
    for (size_t line = 0; line < code.size();) {
        const size_t end = std::min(code.find('\n', line), code.size());
        const std::string text = code.substr(line, end - line);
        if (!classes.take(text))
            fail(NTAP_ERROR_FILE, "'", name_, "' has a class with '", text.substr(0, kLongestQuote),
                 "', which is no attribute with a type, in '", path, "'");
        line = end + 1;
    }
}

std::vector<size_t> CodeChecker::check_expressions(const std::string &code,
                                                   const std::string &path) const {
    ExpressionDepth depth;
    std::vector<size_t> costs(1);
    size_t columns = 0;
    for (size_t i = 0; i < code.size();) {
        const size_t begin = i;
        const char c = code[i];
        if (i == 0 || code[i - 1] == '\n')
            columns = std::min(code.find_first_not_of(" \t", i), code.size()) - i;
        const char *deep = columns > kDeepestBlocks ? "blocks" : depth.take(c);
        costs.back() = std::max(costs.back(), kCostOfColumn * columns + depth.depth());
        if (deep != nullptr)
            fail(NTAP_ERROR_FILE, "'", name_, "' nests ", deep,
                 " deeper than libtorch's compiler can take, in '", path, "'");
        if (c == '#')
            i = std::min(code.find('\n', i), code.size());
        else if (c == '"' || c == '\'')
            i = end_of_string(code, i);
        else
            i = is_word(c) ? end_of_word(code, i) : i + 1;
        costs.resize(costs.size() + count_lines(code, begin, i));
    }
    return costs;
}

// "__torch__.models.Mlp" wherever it stands, also in what only looks like code: that is deeper at
// worst. A reference to something inside a definition is one to the definition.
void CodeChecker::collect_references(const std::string &code, const std::string &module,
                                     const std::vector<size_t> &costs) {
    static const std::string kRoot = "__torch__.";
    Definition *current = nullptr;
    size_t at = code.find(kRoot);
    size_t number = 0;
    for (size_t line = 0; line < code.size(); ++number) {
        const size_t end = std::min(code.find('\n', line), code.size());
        for (const char *keyword : {"def ", "class "}) {
            const size_t start = line + std::char_traits<char>::length(keyword);
            if (code.compare(line, start - line, keyword) == 0)
                current = &definitions_[module + "." +
                                        code.substr(start, end_of_word(code, start) - start)];
        }
        if (current != nullptr)
            current->cost = std::max(current->cost, kCostOfDefinition + costs.at(number));
        while (at < end) {
            const size_t start = at;
            while (at < end && (is_word(code[at]) || code[at] == '.'))
                ++at;
            if (current != nullptr)
                current->references.push_back(code.substr(start, at - start));
            at = code.find(kRoot, at);
        }
        line = end + 1;
    }
}

void CodeChecker::add(const std::string &code, const std::string &path, const std::string &module) {
    const auto costs = check_expressions(code, path);
    check_classes(code, path);
    refuse_optimized(code, name_);
    collect_references(code, module, costs);
}

void CodeChecker::check_calls() const {
    CallCost cost(definitions_);
    for (const auto &definition : definitions_)
        if (cost.from(definition.first) > kMostCost)
            fail(NTAP_ERROR_FILE, "'", name_,
                 "' nests calls deeper than libtorch's compiler can take, below '",
                 definition.first, "'");
}

} // namespace neurotap
