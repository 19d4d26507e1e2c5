// Recurrent layers: the state of each example goes through time, in one direction.
#include "dense_product.hpp"
#include "tape_operators.hpp"

#include <ATen/Dispatch.h>

namespace neurotap {
namespace {

// ---- any cell ----

// What a run keeps, by time: what the gates let through, and the states, zeros first.
enum Track : size_t { kGates, kHidden, kMore, kActivatedCell };

// The way back: rows are examples, once for every neuron. The gradients at the gates are found from
// those at the states, the last time first.
struct Backwards {
    const Saved &saved;
    at::Tensor gradient; // [time, rows, states]
    at::Tensor gates;    // [time, rows, gates]
    at::Tensor hidden, cell;

    int64_t rows() const { return gradient.size(1); }
};

// Rows of tensors at a time, as plain memory.
template <typename T> T *at_row(const at::Tensor &tensor, int64_t time, int64_t row) {
    return tensor.data_ptr<T>() + (time * tensor.size(1) + row) * tensor.size(2);
}
template <typename T> T *at_row(const at::Tensor &tensor, int64_t row) {
    return tensor.data_ptr<T>() + row * tensor.size(1);
}

class Recurrent : public TapeOperator {
  public:
    Recurrent(const Sizes &operand, const TapeRecurrence &how, int64_t n_states)
        : how_(how), operand_(operand), n_states_(n_states), hidden_(how.of_state.size(1)) {}

    Region needs(const Region & /*out*/, size_t /*operand*/) const override {
        return whole_region(operand_);
    }

    double cost(const Region & /*out*/) const override {
        return static_cast<double>(operand_[1]) * (static_cast<double>(how_.of_input.numel()) +
                                                   static_cast<double>(how_.of_state.numel()));
    }

    // The gates, and the operand and the states by time.
    int64_t extra_elements(const Region & /*out*/) const override {
        return operand_[1] * (how_.of_state.size(0) + operand_[2] + n_states_ * hidden_);
    }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region &out,
                       Saved &saved) const override {
        const at::Tensor steps = by_time(operands[0]);
        const int64_t times = steps.size(0);
        const int64_t rows = steps.size(1);
        saved = {dense_product(steps, how_.of_input, how_.bias_of_input),
                 at::zeros({times + 1, rows, hidden_}, steps.options())};
        begin(saved);
        for (int64_t time = 0; time < times; ++time)
            step(saved, time);
        return cut(by_example(states(saved).contiguous()), whole_region(result_sizes()), out);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        gradient =
            widened(std::move(gradient), result_sizes(), how.out, whole_region(result_sizes()));
        const at::Tensor zeros = at::zeros({gradient.size(0), hidden_}, gradient.options());
        Backwards back{how.saved, by_time(gradient), {}, zeros, zeros.clone()};
        Sizes sizes = how.saved[kGates].sizes().vec();
        sizes[1] = back.rows();
        back.gates = at::empty(sizes, gradient.options());
        for (int64_t time = sizes[0]; time-- > 0;)
            step_back(back, time);
        return {by_example(dense_product_back(back.gates, how_.of_input))};
    }

  protected:
    // Room for what else is kept.
    virtual void begin(Saved & /*saved*/) const {}
    // From the states at a time to those after it.
    virtual void step(const Saved &saved, int64_t time) const = 0;
    virtual void step_back(Backwards &back, int64_t time) const = 0;
    // Of all times, side by side.
    virtual at::Tensor states(const Saved &saved) const { return after(saved[kHidden]); }

    static at::Tensor after(const at::Tensor &states) {
        return states.narrow(0, 1, states.size(0) - 1);
    }

    const TapeRecurrence how_;

  private:
    Sizes result_sizes() const { return {operand_[0], operand_[1], n_states_ * hidden_}; }

    at::Tensor by_time(const at::Tensor &by_example) const {
        const at::Tensor steps = by_example.transpose(0, 1);
        return (how_.backwards ? steps.flip(0) : steps).contiguous();
    }
    at::Tensor by_example(const at::Tensor &by_time) const {
        return (how_.backwards ? by_time.flip(0) : by_time).transpose(0, 1);
    }

    Sizes operand_;
    int64_t n_states_;

  protected:
    int64_t hidden_;
};

// ---- LSTM ----

// Gates: input, forget, cell, output. States: hidden, cell.
class Lstm final : public Recurrent {
  public:
    Lstm(const Sizes &operand, const TapeRecurrence &how) : Recurrent(operand, how, 2) {}

  protected:
    void begin(Saved &saved) const override {
        if (how_.bias_of_state)
            saved[kGates].add_(*how_.bias_of_state);
        saved.push_back(at::zeros_like(saved[kHidden]));
        saved.push_back(at::empty_like(after(saved[kHidden])));
    }

    at::Tensor states(const Saved &saved) const override {
        return at::cat({after(saved[kHidden]), after(saved[kMore])}, 2);
    }

    void step(const Saved &saved, int64_t time) const override {
        at::Tensor gates = saved[kGates][time];
        gates.add_(dense_product(saved[kHidden][time], how_.of_state, c10::nullopt));
        gates.narrow(1, 0, 2 * hidden_).sigmoid_();
        gates.narrow(1, 2 * hidden_, hidden_).tanh_();
        gates.narrow(1, 3 * hidden_, hidden_).sigmoid_();
        AT_DISPATCH_FLOATING_TYPES(gates.scalar_type(), "lstm", [&] {
            for (int64_t row = 0; row < gates.size(0); ++row)
                change_cell<scalar_t>(saved, time, row);
            at::Tensor activated = saved[kActivatedCell][time];
            at::tanh_out(activated, saved[kMore][time + 1]);
            for (int64_t row = 0; row < gates.size(0); ++row)
                show_cell<scalar_t>(saved, time, row);
        });
    }

    void step_back(Backwards &back, int64_t time) const override {
        AT_DISPATCH_FLOATING_TYPES(back.gates.scalar_type(), "lstm", [&] {
            for (int64_t row = 0; row < back.rows(); ++row)
                differentiate<scalar_t>(back, time, row);
        });
        back.hidden = dense_product_back(back.gates[time], how_.of_state);
    }

  private:
    template <typename T> void change_cell(const Saved &saved, int64_t time, int64_t row) const {
        const int64_t n = hidden_;
        const T *gates = at_row<T>(saved[kGates], time, row);
        const T *before = at_row<T>(saved[kMore], time, row);
        T *cell = at_row<T>(saved[kMore], time + 1, row);
#pragma omp simd
        for (int64_t i = 0; i < n; ++i)
            cell[i] = gates[n + i] * before[i] + gates[i] * gates[2 * n + i];
    }

    template <typename T> void show_cell(const Saved &saved, int64_t time, int64_t row) const {
        const T *output = at_row<T>(saved[kGates], time, row) + 3 * hidden_;
        const T *activated = at_row<T>(saved[kActivatedCell], time, row);
        T *hidden = at_row<T>(saved[kHidden], time + 1, row);
#pragma omp simd
        for (int64_t i = 0; i < hidden_; ++i)
            hidden[i] = output[i] * activated[i];
    }

    template <typename T> void differentiate(Backwards &back, int64_t time, int64_t row) const {
        const int64_t n = hidden_;
        const int64_t example = row % back.saved[kGates].size(1);
        const T *gates = at_row<T>(back.saved[kGates], time, example);
        const T *before = at_row<T>(back.saved[kMore], time, example);
        const T *activated = at_row<T>(back.saved[kActivatedCell], time, example);
        const T *gradient = at_row<T>(back.gradient, time, row);
        T *result = at_row<T>(back.gates, time, row);
        const T *of_hidden = at_row<T>(back.hidden, row);
        T *of_cell = at_row<T>(back.cell, row);
#pragma omp simd
        for (int64_t i = 0; i < n; ++i) {
            const T in = gates[i];
            const T forget = gates[n + i];
            const T candidate = gates[2 * n + i];
            const T out = gates[3 * n + i];
            const T hidden = gradient[i] + of_hidden[i];
            const T cell =
                gradient[n + i] + of_cell[i] + hidden * out * (1 - activated[i] * activated[i]);
            result[i] = cell * candidate * in * (1 - in);
            result[n + i] = cell * before[i] * forget * (1 - forget);
            result[2 * n + i] = cell * in * (1 - candidate * candidate);
            result[3 * n + i] = hidden * activated[i] * out * (1 - out);
            of_cell[i] = cell * forget;
        }
    }
};

// ---- GRU ----

// Gates: reset, update, new; the last two thirds of what the state adds to them are not kept.
class Gru final : public Recurrent {
  public:
    Gru(const Sizes &operand, const TapeRecurrence &how) : Recurrent(operand, how, 1) {}

  protected:
    void begin(Saved &saved) const override {
        saved.push_back(at::empty_like(after(saved[kHidden])));
    }

    void step(const Saved &saved, int64_t time) const override {
        at::Tensor gates = saved[kGates][time];
        const at::Tensor added =
            dense_product(saved[kHidden][time], how_.of_state, how_.bias_of_state);
        gates.narrow(1, 0, 2 * hidden_).add_(added.narrow(1, 0, 2 * hidden_)).sigmoid_();
        at::Tensor kept = saved[kMore][time];
        kept.copy_(added.narrow(1, 2 * hidden_, hidden_));
        gates.narrow(1, 2 * hidden_, hidden_).addcmul_(gates.narrow(1, 0, hidden_), kept).tanh_();
        AT_DISPATCH_FLOATING_TYPES(gates.scalar_type(), "gru", [&] {
            for (int64_t row = 0; row < gates.size(0); ++row)
                update<scalar_t>(saved, time, row);
        });
    }

    void step_back(Backwards &back, int64_t time) const override {
        at::Tensor added = at::empty_like(back.gates[time]);
        AT_DISPATCH_FLOATING_TYPES(back.gates.scalar_type(), "gru", [&] {
            for (int64_t row = 0; row < back.rows(); ++row)
                differentiate<scalar_t>(back, time, row, added);
        });
        back.hidden.add_(dense_product_back(added, how_.of_state));
    }

  private:
    template <typename T> void update(const Saved &saved, int64_t time, int64_t row) const {
        const int64_t n = hidden_;
        const T *gates = at_row<T>(saved[kGates], time, row);
        const T *before = at_row<T>(saved[kHidden], time, row);
        T *hidden = at_row<T>(saved[kHidden], time + 1, row);
#pragma omp simd
        for (int64_t i = 0; i < n; ++i)
            hidden[i] = (before[i] - gates[2 * n + i]) * gates[n + i] + gates[2 * n + i];
    }

    // Also what is `added` by the state has a gradient, and what the state hands on of its own.
    template <typename T>
    void differentiate(Backwards &back, int64_t time, int64_t row, const at::Tensor &added) const {
        const int64_t n = hidden_;
        const int64_t example = row % back.saved[kGates].size(1);
        const T *gates = at_row<T>(back.saved[kGates], time, example);
        const T *before = at_row<T>(back.saved[kHidden], time, example);
        const T *kept = at_row<T>(back.saved[kMore], time, example);
        const T *gradient = at_row<T>(back.gradient, time, row);
        T *result = at_row<T>(back.gates, time, row);
        T *of_added = at_row<T>(added, row);
        T *of_hidden = at_row<T>(back.hidden, row);
#pragma omp simd
        for (int64_t i = 0; i < n; ++i) {
            const T reset = gates[i];
            const T keep = gates[n + i];
            const T candidate = gates[2 * n + i];
            const T hidden = gradient[i] + of_hidden[i];
            const T of_new = hidden * (1 - keep) * (1 - candidate * candidate);
            of_added[i] = result[i] = of_new * kept[i] * reset * (1 - reset);
            of_added[n + i] = result[n + i] = hidden * (before[i] - candidate) * keep * (1 - keep);
            result[2 * n + i] = of_new;
            of_added[2 * n + i] = of_new * reset;
            of_hidden[i] = hidden * keep;
        }
    }
};

// ---- plain ----

class PlainRecurrent final : public Recurrent {
  public:
    PlainRecurrent(const Sizes &operand, const TapeRecurrence &how, bool by_relu)
        : Recurrent(operand, how, 1), by_relu_(by_relu) {}

  protected:
    void begin(Saved &saved) const override {
        if (how_.bias_of_state)
            saved[kGates].add_(*how_.bias_of_state);
    }

    void step(const Saved &saved, int64_t time) const override {
        at::Tensor gates = saved[kGates][time];
        gates.add_(dense_product(saved[kHidden][time], how_.of_state, c10::nullopt));
        at::Tensor hidden = saved[kHidden][time + 1];
        hidden.copy_(by_relu_ ? gates.relu_() : gates.tanh_());
    }

    void step_back(Backwards &back, int64_t time) const override {
        const at::Tensor hidden = back.saved[kGates][time];
        const at::Tensor gradient =
            (back.gradient[time] + back.hidden).view({-1, hidden.size(0), hidden.size(1)});
        const at::Tensor at_gates = by_relu_ ? at::threshold_backward(gradient, hidden, 0)
                                             : gradient * (1 - hidden * hidden);
        back.gates[time].copy_(at_gates.flatten(0, 1));
        back.hidden = dense_product_back(back.gates[time], how_.of_state);
    }

  private:
    bool by_relu_;
};

} // namespace

TapeOperatorPtr make_recurrent(const Sizes &operand, TapeCell cell, const TapeRecurrence &how) {
    switch (cell) {
    case TapeCell::kLstm:
        return std::make_unique<Lstm>(operand, how);
    case TapeCell::kGru:
        return std::make_unique<Gru>(operand, how);
    case TapeCell::kTanh:
    case TapeCell::kRelu:
        break;
    }
    return std::make_unique<PlainRecurrent>(operand, how, cell == TapeCell::kRelu);
}

} // namespace neurotap
