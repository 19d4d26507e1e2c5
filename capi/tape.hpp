// A cut model as a tape: its operators in order, for inputs of certain shapes, where every one of
// them treats the examples of a batch separately, can be computed in part, and knows its reverse.
#pragma once

#include "planner.hpp"
#include "region.hpp"

#include <memory>

namespace neurotap {

// What an operator keeps of its forward step for its reverse step.
using Saved = std::vector<at::Tensor>;

// The reverse steps of several neurons go together: a gradient's first dimension holds all examples
// of the first neuron, then those of the second.
struct Reverse {
    int64_t examples, neurons;
    const Region &out;  // what the forward step computed
    const Saved &saved; // of it

    // For what is kept per example: the gradient with a dimension for the neurons in front.
    at::Tensor by_neuron(const at::Tensor &gradient) const;
};

// An operator that maps values to one value. Its operands are [examples, channels, positions…].
class TapeOperator {
  public:
    TapeOperator() = default;
    TapeOperator(const TapeOperator &) = delete;
    TapeOperator &operator=(const TapeOperator &) = delete;
    virtual ~TapeOperator() = default;

    // The part of an operand from which the result's part `out` is computed.
    virtual Region needs(const Region &out, size_t operand) const = 0;
    // Masks have none.
    virtual bool has_gradient() const { return true; }
    // About how many multiplications that takes for an example.
    virtual double cost(const Region &out) const = 0;
    // How many elements it takes for an example beside those of its result.
    virtual int64_t extra_elements(const Region & /*out*/) const { return 0; }
    // Computes `out` from just those parts. An operand that nobody else holds may be overwritten.
    virtual at::Tensor forward(std::vector<at::Tensor> operands, const Region &out,
                               Saved &saved) const = 0;
    // From the gradient at `out` to the gradients at those parts of the operands.
    virtual std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const = 0;
    // Whether it added the gradient at its only operand to `sum`, for less than that takes
    // otherwise.
    virtual bool add_reverse(const at::Tensor & /*sum*/, const at::Tensor & /*gradient*/,
                             const Reverse & /*how*/) const {
        return false;
    }
};

struct TapeStep {
    std::unique_ptr<const TapeOperator> op;
    std::vector<size_t> operands; // values
    size_t result;
};

// A weight that steps use. They hold the tensor; a change of it makes the tape outdated.
struct TapeWeight {
    c10::intrusive_ptr<c10::ivalue::Object> owner;
    size_t slot;
    int64_t item; // of the list that is there, or -1
    at::Tensor tensor;
    const void *data;
    int64_t version;

    bool holds() const;
};

struct Tape {
    size_t n_inputs = 0; // to differentiate; they are the first values, and then come arguments
    std::vector<Sizes> values;        // of the whole batch
    std::vector<bool> differentiable; // whether they depend on these inputs so
    std::vector<TapeStep> steps;
    std::vector<size_t> calls; // the layer's value at each of its calls
    std::vector<double> costs; // of each of them as a whole
    size_t element_size = 0;   // in bytes
    size_t weight_bytes = 0;
    std::vector<TapeWeight> weights;
    std::vector<Assumption> assumptions;

    bool holds() const;
};

// What a part of one of a tape's values takes.
struct TapePlan {
    size_t value;
    std::vector<Region> regions; // of each value that is needed
    std::vector<bool> needs_value;
    std::vector<uint32_t> uses; // of each value, by needed steps
    double cost;                // multiplications for an example
    size_t elements;            // that are computed for an example
};

TapePlan plan_part(const Tape &tape, size_t value, const Region &part);

// The last steps of a plan whose values have a single position and few elements, as of dense layers
// behind convolutions. Their weights may be larger than all that is computed: these steps are worth
// taking for more neurons at once.
struct LateSteps {
    size_t first;    // of the tape's steps; their number if there are none, or no others
    size_t elements; // of the largest value, for an example
};

LateSteps find_late_steps(const Tape &tape, const TapePlan &plan, size_t most_elements);

} // namespace neurotap
