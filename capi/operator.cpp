// Any operator by name.
#include "handles.hpp"

#include <neurotap/operator.h>

using namespace neurotap;

namespace {

using torch::jit::Operator;
using OperatorPtr = std::shared_ptr<Operator>;

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

[[noreturn]] void not_found(const std::string &name, const std::string &base,
                            const std::vector<OperatorPtr> &overloads) {
    std::string known;
    for (const OperatorPtr &candidate : overloads) {
        const std::string &overload = candidate->schema().overload_name();
        known +=
            (known.empty() ? "'" : ", '") + base + (overload.empty() ? "" : ".") + overload + "'";
    }
    const char *hint = "; it has ";
    if (known.empty()) {
        hint = "; did you mean ";
        for (const auto &symbol :
             torch::jit::findSimilarOperators(c10::Symbol::fromQualString(base)))
            known += (known.empty() ? "'" : ", '") + std::string(symbol.toQualString()) + "'";
    }
    fail(NTAP_ERROR_NOT_FOUND, "operator '", name, "' not found", known.empty() ? "" : hint, known);
}

OperatorPtr find_operator(const std::string &name) {
    const OperatorName wanted = parse_name(name);
    const auto &overloads =
        torch::jit::getAllOperatorsFor(c10::Symbol::fromQualString(wanted.base));
    for (const OperatorPtr &candidate : overloads)
        if (candidate->schema().overload_name() == wanted.overload)
            return candidate;
    if (!wanted.has_overload && overloads.size() == 1)
        return overloads.front();
    not_found(name, wanted.base, overloads);
}

void require_callable(const Operator &op, const std::string &name, size_t n_outs) {
    const auto &schema = op.schema();
    // Operators of the compiler itself need a place in a graph to know what to do.
    if (!op.hasOperation() || schema.is_vararg() || schema.is_varret())
        fail(NTAP_ERROR_UNSUPPORTED, "operator '", name, "' works only inside a model");
    if (schema.returns().size() != n_outs)
        fail(NTAP_ERROR_INVALID_ARGUMENT, "n_outs is ", n_outs, "; '", name, "' has ",
             schema.returns().size(), " results");
}

} // namespace

ntap_status ntap_call_op(const char *name, const ntap_value *const *args, size_t n_args,
                         ntap_value **outs, size_t n_outs, ntap_error *err) {
    return guarded(err, NTAP_ERROR_MODEL, [&] {
        require_not_null(name, "name");
        const OperatorPtr op = find_operator(name);
        require_callable(*op, name, n_outs);
        if (n_outs > 0)
            require_not_null(outs, "outs");
        torch::jit::Stack stack;
        coerce_arguments(
            op->schema(), args, n_args, [](size_t) { return same_tensor; }, stack);
        op->getOperation()(stack);
        std::vector<std::unique_ptr<ntap_value>> results;
        for (const c10::IValue &result : stack)
            results.push_back(std::make_unique<ntap_value>(from_ivalue(result)));
        for (size_t i = 0; i < n_outs; ++i)
            outs[i] = results.at(i).release();
    });
}
