#include "tape_run.hpp"

#include "boundary.hpp"
#include "tape_operators.hpp"

namespace neurotap {

bool is_ours_alone(const at::Tensor &tensor) {
    return tensor.use_count() == 1 && tensor.storage().use_count() == 1 &&
           tensor.is_non_overlapping_and_dense();
}

at::Tensor without_base(at::Tensor tensor) {
    if (!tensor.is_view())
        return tensor;
    return tensor.variable_data();
}

TapeRun::TapeRun(std::shared_ptr<const Tape> tape, const TapePlan &plan,
                 const std::vector<at::Tensor> &inputs)
    : tape_(std::move(tape)), plan_(plan), examples_(inputs.at(0).size(0)),
      saved_(tape_->steps.size()) {
    std::vector<at::Tensor> values(tape_->values.size());
    std::vector<uint32_t> uses = plan.uses;
    for (size_t i = 0; i < inputs.size(); ++i)
        if (plan.needs_value[i])
            values[i] = cut(inputs[i], whole_region(tape_->values[i]), plan.regions[i]);
    for (size_t i = 0; i < tape_->steps.size(); ++i)
        if (plan.needs_value[tape_->steps[i].result])
            forward(tape_->steps[i], values, uses, saved_[i]);
    like_ = values[plan.value];
}

void TapeRun::forward(const TapeStep &step, std::vector<at::Tensor> &values,
                      std::vector<uint32_t> &uses, Saved &saved) const {
    const Region &out = plan_.regions[step.result];
    std::vector<at::Tensor> operands;
    for (size_t i = 0; i < step.operands.size(); ++i) {
        const size_t operand = step.operands[i];
        const Region part = step.op->needs(out, i);
        const bool last = --uses[operand] == 0;
        at::Tensor value = last ? std::move(values[operand]) : values[operand];
        operands.push_back(part == plan_.regions[operand]
                               ? std::move(value)
                               : without_base(cut(value, plan_.regions[operand], part)));
    }
    at::Tensor result = step.op->forward(std::move(operands), out, saved);
    if (result.sizes() != sizes_of(tape_->values[step.result], out, examples_) ||
        c10::elementSize(result.scalar_type()) != tape_->element_size || result.is_complex())
        fail(NTAP_ERROR_INTERNAL, "an operator gave another shape or type than expected");
    values[step.result] = without_base(std::move(result));
}

// Consumers that looked at different parts of a value each add to the gradient at theirs.
void TapeRun::add(at::Tensor &sum, size_t value, const Region &part, at::Tensor gradient) const {
    const Region &region = plan_.regions[value];
    const bool whole = part == region;
    if (!sum.defined() && whole) {
        sum = std::move(gradient);
        return;
    }
    if (!sum.defined())
        sum =
            at::zeros(sizes_of(tape_->values[value], region, gradient.size(0)), gradient.options());
    else if (!is_ours_alone(sum))
        sum = sum.clone();
    cut(sum, region, part).add_(gradient);
}

// Parts of a value, cut out of it, would each make a gradient as large as all of it.
bool TapeRun::adds_itself(const TapeStep &step, const Gradients &gradients,
                          const Reverse &how) const {
    const at::Tensor &sum = gradients[step.operands[0]];
    return sum.defined() && is_ours_alone(sum) &&
           step.op->add_reverse(
               cut(sum, plan_.regions[step.operands[0]], step.op->needs(how.out, 0)),
               gradients[step.result], how);
}

Gradients TapeRun::begin(const at::Tensor &seeds) const {
    Gradients gradients(tape_->values.size());
    gradients[plan_.value] = seeds;
    return gradients;
}

void TapeRun::reverse(Gradients &gradients, int64_t neurons, size_t first, size_t end, bool last) {
    for (size_t i = end; i-- > first;) {
        const TapeStep &step = tape_->steps[i];
        if (!gradients[step.result].defined() || !tape_->differentiable[step.result])
            continue;
        const Region &out = plan_.regions[step.result];
        const Reverse how{examples_, neurons, out, saved_[i]};
        if (adds_itself(step, gradients, how)) {
            gradients[step.result] = at::Tensor();
            continue;
        }
        auto at_operands = step.op->reverse(std::move(gradients[step.result]), how);
        gradients[step.result] = at::Tensor();
        if (last)
            saved_[i].clear();
        for (size_t j = 0; j < at_operands.size(); ++j)
            if (tape_->differentiable[step.operands[j]])
                add(gradients[step.operands[j]], step.operands[j], step.op->needs(out, j),
                    without_base(std::move(at_operands[j])));
    }
}

} // namespace neurotap
