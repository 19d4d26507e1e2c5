// Any operator by name.
#include "handles.hpp"

#include <neurotap/operator.h>

#include <algorithm>

using namespace neurotap;

namespace {

using torch::jit::Operator;
using OperatorPtr = std::shared_ptr<Operator>;

constexpr size_t kMostSuggestions = 3;

// "aten::sum.dim_IntList" is the overload "dim_IntList" of "aten::sum".
struct OperatorName {
    std::string base, overload;
    bool has_overload = false;
};

OperatorName parse_name(const std::string &name) {
    const size_t colons = name.find("::");
    if (colons == std::string::npos || colons == 0 || colons + 2 >= name.size())
        fail(NTAP_ERROR_INVALID_ARGUMENT, "name is '", name,
             "'; expected a namespace and a name, such as 'aten::relu'");
    const size_t dot = name.find('.', colons);
    if (dot == std::string::npos)
        return {name, "", false};
    return {name.substr(0, dot), name.substr(dot + 1), true};
}

std::string list_names(const std::string &base, const std::vector<OperatorPtr> &overloads) {
    std::string names;
    for (const OperatorPtr &candidate : overloads) {
        const std::string &overload = candidate->schema().overload_name();
        names +=
            (names.empty() ? "'" : ", '") + base + (overload.empty() ? "" : ".") + overload + "'";
    }
    return names;
}

[[noreturn]] void not_found(const std::string &name, const std::string &base,
                            const std::vector<OperatorPtr> &overloads) {
    if (!overloads.empty())
        fail(NTAP_ERROR_NOT_FOUND, "operator '", name, "' not found; it has ",
             list_names(base, overloads));
    std::string similar;
    size_t count = 0;
    for (const auto &symbol : torch::jit::findSimilarOperators(c10::Symbol::fromQualString(base)))
        if (count++ < kMostSuggestions)
            similar += (similar.empty() ? "'" : " or '") + std::string(symbol.toQualString()) + "'";
    fail(NTAP_ERROR_NOT_FOUND, "operator '", name, "' not found",
         similar.empty() ? "" : "; did you mean " + similar + "?");
}

// Overloads that write their result into an argument are meant only where they are named.
bool writes_into_argument(const OperatorPtr &op) {
    const auto &parameters = op->schema().arguments();
    return std::any_of(parameters.begin(), parameters.end(), [](const c10::Argument &parameter) {
        return parameter.kwarg_only() && parameter.alias_info() != nullptr &&
               parameter.alias_info()->isWrite();
    });
}

// Those that the name may mean; the overload without a name comes first.
std::vector<OperatorPtr> find_operators(const std::string &name) {
    const OperatorName wanted = parse_name(name);
    const auto &overloads =
        torch::jit::getAllOperatorsFor(c10::Symbol::fromQualString(wanted.base));
    std::vector<OperatorPtr> found;
    for (const OperatorPtr &candidate : overloads) {
        const bool same = candidate->schema().overload_name() == wanted.overload;
        if (same)
            found.insert(found.begin(), candidate);
        else if (!wanted.has_overload && !writes_into_argument(candidate))
            found.push_back(candidate);
    }
    if (found.empty())
        not_found(name, wanted.base, overloads);
    return found;
}

void require_callable(const Operator &op, const std::string &name, size_t n_outs) {
    const auto &schema = op.schema();
    // Operators of the compiler itself need a place in a graph to know what to do.
    if (!op.hasOperation() || schema.is_vararg() || schema.is_varret())
        fail(NTAP_ERROR_UNSUPPORTED, "operator '", name, "' works only inside a model");
    if (schema.returns().size() != n_outs)
        fail(NTAP_ERROR_INVALID_ARGUMENT, "n_outs is ", n_outs, "; expected ",
             schema.returns().size(), ", the number of results of '", name, "'");
}

// An operator with its arguments.
struct Call {
    OperatorPtr op;
    torch::jit::Stack stack;
};

// What the caller passed.
struct Given {
    const std::string name;
    const ntap_value *const *args;
    size_t n_args, n_outs;
};

void prepare(const Given &given, Call &call) {
    require_callable(*call.op, given.name, given.n_outs);
    coerce_arguments(
        call.op->schema(), given.args, given.n_args, [](size_t) { return same_tensor; },
        call.stack);
}

// The first overload that the arguments fit. If none does, the error is that of the one that they
// fit furthest.
Call first_that_fits(const Given &given, const std::vector<OperatorPtr> &overloads) {
    size_t furthest = 0;
    std::string why;
    for (const OperatorPtr &overload : overloads) {
        Call call{overload, {}};
        try {
            prepare(given, call);
            return call;
        } catch (const Failure &failure) {
            if (why.empty() || call.stack.size() > furthest) {
                furthest = call.stack.size();
                why = failure.what();
            }
        }
    }
    fail(NTAP_ERROR_INVALID_ARGUMENT, why, " (the overloads are ",
         list_names(given.name, overloads), ")");
}

Call resolve(const Given &given) {
    const std::vector<OperatorPtr> candidates = find_operators(given.name);
    require_values(given.args, given.n_args);
    if (candidates.size() > 1)
        return first_that_fits(given, candidates);
    Call call{candidates.front(), {}};
    prepare(given, call);
    return call;
}

} // namespace

ntap_status ntap_call_op(const char *name, const ntap_value *const *args, size_t n_args,
                         ntap_value **outs, size_t n_outs, ntap_error *err) {
    return guarded(err, NTAP_ERROR_MODEL, [&] {
        require_not_null(name, "name");
        Call call = resolve(Given{name, args, n_args, n_outs});
        if (n_outs > 0)
            require_not_null(outs, "outs");
        torch::jit::Stack &stack = call.stack;
        call.op->getOperation()(stack);
        std::vector<std::unique_ptr<ntap_value>> results;
        for (const c10::IValue &result : stack)
            results.push_back(std::make_unique<ntap_value>(from_ivalue(result)));
        for (size_t i = 0; i < n_outs; ++i)
            outs[i] = results.at(i).release();
    });
}
