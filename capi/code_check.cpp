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
constexpr size_t kDeepestCalls = 256;
constexpr size_t kLongestQuote = 80; // of code in messages

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

// The longest way down from one definition to the next, without recursion. A definition that leads
// back to itself does not compile, or is one's own class.
class CallDepth {
  public:
    using References = std::map<std::string, std::vector<std::string>>;

    explicit CallDepth(const References &references) : references_(references) {}

    size_t from(const std::string &root) {
        std::vector<std::string> path{root};
        while (!path.empty()) {
            const std::string name = path.back();
            const auto &callees = references_.at(name);
            State &state = states_[name];
            state.entered = true;
            if (state.next == callees.size()) {
                leave(path);
                continue;
            }
            const std::string &callee = callees[state.next++];
            if (references_.count(callee) == 0)
                continue;
            const State &inner = states_[callee];
            if (!inner.entered)
                path.push_back(callee);
            else
                state.depth = std::max(state.depth, inner.depth + 1);
        }
        return states_[root].depth;
    }

  private:
    struct State {
        bool entered = false;
        size_t next = 0;  // which callee
        size_t depth = 0; // below
    };

    void leave(std::vector<std::string> &path) {
        const size_t depth = states_[path.back()].depth;
        path.pop_back();
        if (!path.empty()) {
            State &caller = states_[path.back()];
            caller.depth = std::max(caller.depth, depth + 1);
        }
    }

    const References &references_;
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

void CodeChecker::check_expressions(const std::string &code, const std::string &path) const {
    ExpressionDepth depth;
    for (size_t i = 0; i < code.size();) {
        const char c = code[i];
        const bool starts_line = i == 0 || code[i - 1] == '\n';
        const size_t indent = starts_line ? code.find_first_not_of(" \t", i) : i;
        const char *deep =
            indent != std::string::npos && indent - i > kDeepestBlocks ? "blocks" : depth.take(c);
        if (deep != nullptr)
            fail(NTAP_ERROR_FILE, "'", name_, "' nests ", deep,
                 " deeper than libtorch's compiler can take, in '", path, "'");
        if (c == '#')
            i = std::min(code.find('\n', i), code.size());
        else if (c == '"' || c == '\'')
            i = end_of_string(code, i);
        else
            i = is_word(c) ? end_of_word(code, i) : i + 1;
    }
}

// "__torch__.models.Mlp" wherever it stands, also in what only looks like code: that is deeper at
// worst. A reference to something inside a definition is one to the definition.
void CodeChecker::collect_references(const std::string &code, const std::string &module) {
    static const std::string kRoot = "__torch__.";
    std::vector<std::string> *current = nullptr;
    size_t at = code.find(kRoot);
    for (size_t line = 0; line < code.size();) {
        const size_t end = std::min(code.find('\n', line), code.size());
        for (const char *keyword : {"def ", "class "}) {
            const size_t start = line + std::char_traits<char>::length(keyword);
            if (code.compare(line, start - line, keyword) == 0)
                current = &references_[module + "." +
                                       code.substr(start, end_of_word(code, start) - start)];
        }
        while (at < end) {
            const size_t start = at;
            while (at < end && (is_word(code[at]) || code[at] == '.'))
                ++at;
            if (current != nullptr)
                current->push_back(code.substr(start, at - start));
            at = code.find(kRoot, at);
        }
        line = end + 1;
    }
}

void CodeChecker::add(const std::string &code, const std::string &path, const std::string &module) {
    check_expressions(code, path);
    check_classes(code, path);
    refuse_optimized(code, name_);
    collect_references(code, module);
}

void CodeChecker::check_calls() const {
    CallDepth depth(references_);
    for (const auto &definition : references_)
        if (depth.from(definition.first) > kDeepestCalls)
            fail(NTAP_ERROR_FILE, "'", name_, "' nests calls deeper than ", kDeepestCalls,
                 " below '", definition.first, "'");
}

} // namespace neurotap
