#include "tape.hpp"

#include "boundary.hpp"

#include <algorithm>
#include <limits>

namespace neurotap {

at::Tensor Reverse::by_neuron(const at::Tensor &gradient) const {
    return gradient.unflatten(0, at::IntArrayRef{neurons, examples});
}

bool TapeWeight::holds() const {
    const c10::IValue &now = owner->getSlot(slot);
    const auto is_there = [&](const c10::IValue &value) {
        return value.isTensor() && value.toTensor().is_same(tensor);
    };
    if (item < 0 ? !is_there(now)
                 : !now.isTensorList() || now.toListRef().size() <= static_cast<size_t>(item) ||
                       !is_there(now.toListRef()[static_cast<size_t>(item)]))
        return false;
    return tensor.data_ptr() == data && (tensor.is_inference() || tensor._version() == version);
}

bool Tape::holds() const {
    const auto holds = [](const auto &relied_on) { return relied_on.holds(); };
    return std::all_of(weights.begin(), weights.end(), holds) &&
           std::all_of(assumptions.begin(), assumptions.end(), holds);
}

namespace {

void need(TapePlan &plan, size_t value, const Region &part) {
    for (const Extent &extent : part)
        if (extent.count <= 0)
            fail(NTAP_ERROR_INTERNAL, "an operator needs nothing of its operand");
    if (plan.needs_value[value])
        plan.regions[value] = hull(plan.regions[value], part);
    else
        plan.regions[value] = part;
    plan.needs_value[value] = true;
    ++plan.uses[value];
}

} // namespace

TapePlan plan_part(const Tape &tape, size_t value, const Region &part) {
    const size_t n_values = tape.values.size();
    TapePlan plan{value,
                  std::vector<Region>(n_values),
                  std::vector<bool>(n_values),
                  std::vector<uint32_t>(n_values),
                  0,
                  0};
    need(plan, value, part);
    for (auto step = tape.steps.rbegin(); step != tape.steps.rend(); ++step) {
        if (!plan.needs_value[step->result])
            continue;
        const Region &out = plan.regions[step->result];
        plan.cost += step->op->cost(out);
        plan.elements += static_cast<size_t>(tape.values[step->result][1] * count_positions(out) +
                                             step->op->extra_elements(out));
        for (size_t i = 0; i < step->operands.size(); ++i)
            need(plan, step->operands[i], step->op->needs(out, i));
    }
    return plan;
}

LateSteps find_late_steps(const Tape &tape, const TapePlan &plan, size_t most_elements) {
    const LateSteps none{tape.steps.size(), 0};
    const auto elements_of = [&](size_t value) {
        return count_positions(plan.regions[value]) > 1
                   ? std::numeric_limits<size_t>::max()
                   : static_cast<size_t>(tape.values[value][1]);
    };
    LateSteps late = none;
    for (size_t i = tape.steps.size(); i-- > 0;) {
        const TapeStep &step = tape.steps[i];
        if (!plan.needs_value[step.result])
            continue;
        size_t elements = std::max(late.elements, elements_of(step.result));
        for (const size_t operand : step.operands)
            elements = std::max(elements, elements_of(operand));
        if (elements > most_elements)
            return late;
        late = {i, elements};
    }
    return none;
}

} // namespace neurotap
