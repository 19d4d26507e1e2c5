// The rules for cells of recurrent layers that a program steps itself.
#include "tape_recorder.hpp"

namespace neurotap {
namespace {

using torch::jit::Node;
using torch::jit::Value;

// A state, or zeros.
using State = c10::optional<Seen>;

// Of a cell; all its operands are matrices.
State read_state(const TapeRecorder &r, const Node *node, const Recorded &state) {
    const Sizes operand = r.seen(node->input(0)).layout.sizes;
    require(operand.size() == 2);
    if (state.kind == Recorded::Kind::kTensor)
        return r.seen(state);
    require_zeros(r, state, {operand[0], r.weight(node->input(3)).size(-1)});
    return c10::nullopt;
}

// What a cell makes of its input and of its state, gate by gate.
struct Gates {
    Seen of_input;
    State of_state;          // without a state:
    MaybeTensor only_biases; // … if there are any
    int64_t size;            // of each

    Seen input(TapeRecorder &r, int64_t gate) const { return part(r, of_input, gate); }
    Seen both(TapeRecorder &r, int64_t gate) const {
        const Seen one = input(r, gate);
        if (of_state)
            return add_sum(r, one, part(r, *of_state, gate));
        return only_biases ? add_offset(r, one, bias(gate)) : one;
    }
    at::Tensor bias(int64_t gate) const { return only_biases->narrow(0, gate * size, size); }
    Seen part(TapeRecorder &r, const Seen &gates, int64_t gate) const {
        return add_slice(r, gates, gates.layout.sizes.size() - 1, {gate * size, size, 1});
    }
};

// input, state, weight of the input, of the state, and their biases
Gates add_gates(TapeRecorder &r, const Node *node, const State &state, int64_t n_gates) {
    const at::Tensor of_input = r.weight(node->input(2));
    const at::Tensor of_state = r.weight(node->input(3));
    require(of_state.dim() == 2 && of_state.size(0) == product_of(n_gates, of_state.size(1)));
    const MaybeTensor bias = r.bias(node->input(5), of_state.size(0));
    Gates gates{
        add_linear(r, r.seen(node->input(0)), of_input, r.bias(node->input(4), of_state.size(0))),
        c10::nullopt, bias, of_state.size(1)};
    require(gates.of_input.layout.sizes.back() == of_state.size(0));
    if (state)
        gates.of_state = add_linear(r, *state, of_state, bias);
    return gates;
}

at::Tensor sigmoid(const at::Tensor &x) { return at::sigmoid(x); }
at::Tensor tanh(const at::Tensor &x) { return at::tanh(x); }
at::Tensor relu(const at::Tensor &x) { return at::relu(x); }

void lstm_cell(TapeRecorder &r, const Node *node) {
    const auto &states = r.items(node->input(1));
    require(states.size() == 2);
    const State cell = read_state(r, node, states[1]);
    const Gates gates = add_gates(r, node, read_state(r, node, states[0]), 4);
    const Seen in = add_function(r, gates.both(r, 0), sigmoid);
    Seen next = add_elementwise_product(r, in, add_function(r, gates.both(r, 2), tanh));
    if (cell) {
        const Seen kept = add_function(r, gates.both(r, 1), sigmoid);
        next = add_sum(r, add_elementwise_product(r, kept, *cell), next);
    }
    const Seen out = add_function(r, gates.both(r, 3), sigmoid);
    r.put_new(node->output(0), add_elementwise_product(r, out, add_function(r, next, tanh)));
    r.put_new(node->output(1), next);
}

// new + z (state - new), where new = tanh(input + r state)
void gru_cell(TapeRecorder &r, const Node *node) {
    const State state = read_state(r, node, r.at(node->input(1)));
    const Gates gates = add_gates(r, node, state, 3);
    const Seen reset = add_function(r, gates.both(r, 0), sigmoid);
    const Seen update = add_function(r, gates.both(r, 1), sigmoid);
    Seen fresh = gates.input(r, 2);
    if (gates.of_state)
        fresh =
            add_sum(r, fresh, add_elementwise_product(r, reset, gates.part(r, *gates.of_state, 2)));
    else if (gates.only_biases)
        fresh = add_sum(r, fresh, add_factor(r, reset, gates.bias(2)));
    fresh = add_function(r, fresh, tanh);
    const Seen kept = add_elementwise_product(r, update, fresh);
    Seen next = add_sum(r, fresh, kept, -1);
    if (state)
        next = add_sum(r, next, add_elementwise_product(r, update, *state));
    r.put_new(node->output(), next);
}

template <at::Tensor (*function)(const at::Tensor &)>
void plain_cell(TapeRecorder &r, const Node *node) {
    const Gates gates = add_gates(r, node, read_state(r, node, r.at(node->input(1))), 1);
    r.put_new(node->output(), add_function(r, gates.both(r, 0), function));
}

constexpr TapeRule kRules[] = {
    {"aten::lstm_cell", lstm_cell},
    {"aten::gru_cell", gru_cell},
    {"aten::rnn_tanh_cell", plain_cell<tanh>},
    {"aten::rnn_relu_cell", plain_cell<relu>},
};

} // namespace

TapeRules cell_rules() { return kRules; }

} // namespace neurotap
