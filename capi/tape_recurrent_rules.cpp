// The rules for recurrent layers: one step for each of their layers and directions.
#include "tape_recorder.hpp"

namespace neurotap {
namespace {

using torch::jit::Node;
using torch::jit::Value;

// The arguments after the initial states are the same for all kinds of cells.
struct Arguments {
    TapeCell cell;
    std::vector<Recorded> weights;
    bool has_biases;
    size_t n_layers, n_directions;
    bool batch_first;
};

// input, initial states, weights, has_biases, num_layers, dropout, train, bidirectional,
// batch_first
Arguments read_arguments(const TapeRecorder &r, const Node *node, TapeCell cell) {
    require(node->schema().overload_name() == "input" && r.device().is_cpu());
    require(!r.constant(node->input(6)).toBool() ||
            r.constant(node->input(5)).toScalar().toDouble() == 0);
    const int64_t layers = r.constant(node->input(4)).toInt();
    Arguments arguments{cell,
                        r.items(node->input(2)),
                        r.constant(node->input(3)).toBool(),
                        static_cast<size_t>(layers),
                        r.constant(node->input(7)).toBool() ? 2U : 1U,
                        r.constant(node->input(8)).toBool()};
    const size_t each = arguments.has_biases ? 4 : 2; // more with projections
    require(layers > 0 &&
            arguments.weights.size() / each / arguments.n_directions == arguments.n_layers &&
            arguments.weights.size() % (each * arguments.n_directions) == 0);
    return arguments;
}

int64_t count_gates(TapeCell cell) {
    return cell == TapeCell::kLstm ? 4 : cell == TapeCell::kGru ? 3 : 1;
}

// Number `place` of all layers and directions, for an operand with so many features.
TapeRecurrence read_weights(const TapeRecorder &r, const Arguments &a, size_t place,
                            int64_t features) {
    const size_t first = place * (a.has_biases ? 4 : 2);
    TapeRecurrence how{r.weight(a.weights[first]),
                       r.weight(a.weights[first + 1]),
                       {},
                       {},
                       place % a.n_directions == 1};
    require(how.of_input.dim() == 2 && how.of_state.dim() == 2);
    const int64_t gates = product_of(count_gates(a.cell), how.of_state.size(1));
    require(gates > 0 && how.of_state.size(0) == gates && how.of_input.size(0) == gates &&
            how.of_input.size(1) == features);
    if (!a.has_biases)
        return how;
    how.bias_of_input = r.weight(a.weights[first + 2]);
    how.bias_of_state = r.weight(a.weights[first + 3]);
    for (const MaybeTensor &bias : {how.bias_of_input, how.bias_of_state})
        require(bias->dim() == 1 && bias->size(0) == gates);
    return how;
}

// Values of [examples, times, features].

// The states of one layer in one direction, at all times and at its last one.
struct States {
    Seen hidden, last_hidden, last_cell;
};

States add_states(TapeRecorder &r, const Arguments &a, const Seen &operand, size_t place) {
    const Sizes sizes = operand.layout.sizes;
    const TapeRecurrence how = read_weights(r, a, place, sizes[2]);
    const int64_t size = how.of_state.size(1);
    const bool has_cell = a.cell == TapeCell::kLstm;
    const Layout result = plain_layout({sizes[0], sizes[1], has_cell ? 2 * size : size});
    const Seen states = r.add_step(make_recurrent(sizes, a.cell, how), {operand.value}, result);
    const Seen last = add_slice(r, states, 1, {how.backwards ? 0 : sizes[1] - 1, 1, 1});
    return {add_slice(r, states, 2, {0, size, 1}), add_slice(r, last, 2, {0, size, 1}),
            has_cell ? add_slice(r, last, 2, {size, size, 1}) : last};
}

// [examples, layers · directions, features], of which programs see the second dimension first.
void put_last(TapeRecorder &r, const Value *output, const std::vector<Joined> &states) {
    const Seen all = add_joined(r, states, 1);
    const Sizes &sizes = all.layout.sizes;
    r.put_new(output, r.see(all, Layout{{sizes[1], sizes[0], sizes[2]}, 1, 1, 1}));
}

void put_recurrent(TapeRecorder &r, const Node *node, const Arguments &a) {
    const size_t examples_in = a.batch_first ? 0 : 1;
    Seen seen = r.see_with_examples_in(r.seen(node->input(0)), examples_in);
    require(seen.layout.sizes.size() == 3 && seen.layout.before == 1 && seen.layout.after == 1);
    seen = {seen.value, plain_layout(seen.layout.on_tape())};
    std::vector<Joined> hidden;
    std::vector<Joined> cells;
    for (size_t layer = 0; layer < a.n_layers; ++layer) {
        std::vector<Joined> directions;
        for (size_t i = 0; i < a.n_directions; ++i) {
            const States states = add_states(r, a, seen, layer * a.n_directions + i);
            directions.push_back({states.hidden, {}, false});
            hidden.push_back({states.last_hidden, {}, false});
            cells.push_back({states.last_cell, {}, false});
        }
        seen = add_joined(r, directions, 2);
    }
    Sizes sizes = seen.layout.sizes;
    if (!a.batch_first)
        std::swap(sizes[0], sizes[1]);
    r.put_new(node->output(0), r.see(seen, Layout{sizes, examples_in, 1, 1}));
    put_last(r, node->output(1), hidden);
    if (a.cell == TapeCell::kLstm)
        put_last(r, node->output(2), cells);
}

// Those of the initial states.
Sizes sizes_of_states(const TapeRecorder &r, const Node *node, const Arguments &a) {
    const Sizes operand = r.seen(node->input(0)).layout.sizes;
    require(operand.size() == 3);
    return {static_cast<int64_t>(a.n_layers * a.n_directions), operand[a.batch_first ? 0 : 1],
            r.weight(a.weights[1]).size(-1)};
}

void lstm(TapeRecorder &r, const Node *node) {
    const Arguments arguments = read_arguments(r, node, TapeCell::kLstm);
    for (const Recorded &state : r.items(node->input(1)))
        require_zeros(r, state, sizes_of_states(r, node, arguments));
    put_recurrent(r, node, arguments);
}

template <TapeCell cell> void with_one_state(TapeRecorder &r, const Node *node) {
    const Arguments arguments = read_arguments(r, node, cell);
    require_zeros(r, r.at(node->input(1)), sizes_of_states(r, node, arguments));
    put_recurrent(r, node, arguments);
}

constexpr TapeRule kRules[] = {
    {"aten::lstm", lstm},
    {"aten::gru", with_one_state<TapeCell::kGru>},
    {"aten::rnn_tanh", with_one_state<TapeCell::kTanh>},
    {"aten::rnn_relu", with_one_state<TapeCell::kRelu>},
};

} // namespace

void require_zeros(const TapeRecorder &r, const Recorded &state, const Sizes &sizes) {
    require(state.kind == Recorded::Kind::kConstant && state.constant.isTensor());
    const at::Tensor tensor = state.constant.toTensor();
    require(tensor.scalar_type() == r.dtype() && tensor.device() == r.device() &&
            tensor.sizes() == sizes && !tensor.any().item<bool>());
}

TapeRules recurrent_rules() { return kRules; }

} // namespace neurotap
