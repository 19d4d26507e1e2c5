// Operators on rows of which each example has several, such as the frames of a film.
#include "tape_operators.hpp"

namespace neurotap {
namespace {

// On the tape a value is [examples, parts…, channels, positions…]; to the operator each part is an
// example of its own.
class Folded final : public TapeOperator {
  public:
    Folded(TapeOperatorPtr op, size_t n_parts, const Sizes &operand, const Sizes &result)
        : op_(std::move(op)), n_parts_(n_parts), operand_(operand), result_(result) {
        for (size_t dim = 1; dim <= n_parts; ++dim)
            parts_ *= operand[dim];
    }

    Region needs(const Region &out, size_t /*operand*/) const override {
        Region needed = whole_region(operand_);
        const Region of_row = op_->needs(row(out), 0);
        std::copy(of_row.begin(), of_row.end(), needed.begin() + n_parts_);
        return needed;
    }

    double cost(const Region &out) const override {
        return static_cast<double>(parts_) * op_->cost(row(out));
    }

    int64_t extra_elements(const Region &out) const override {
        return parts_ * op_->extra_elements(row(out));
    }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region &out,
                       Saved &saved) const override {
        std::vector<at::Tensor> rows{fold(operands[0])};
        operands.clear(); // so that they may be overwritten
        return cut(unfold(op_->forward(std::move(rows), row(out), saved), result_),
                   with_whole_parts(out), out);
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        gradient = fold(widened(std::move(gradient), result_, how.out, with_whole_parts(how.out)));
        const Region of_row = row(how.out);
        const Reverse of_rows{how.examples * parts_, how.neurons, of_row, how.saved};
        return {unfold(op_->reverse(std::move(gradient), of_rows)[0], operand_)};
    }

  private:
    Region row(const Region &region) const {
        Region of_row;
        for (size_t i = n_parts_; i < region.size(); ++i)
            of_row.push_back(region[i]);
        return of_row;
    }

    Region with_whole_parts(const Region &out) const {
        Region region = whole_region(result_);
        std::copy(out.begin() + n_parts_, out.end(), region.begin() + n_parts_);
        return region;
    }

    at::Tensor fold(const at::Tensor &tensor) const {
        return without_base(tensor.flatten(0, static_cast<int64_t>(n_parts_)));
    }

    at::Tensor unfold(const at::Tensor &rows, const Sizes &sizes) const {
        Sizes split{rows.size(0) / parts_};
        split.insert(split.end(), sizes.begin() + 1,
                     sizes.begin() + 1 + static_cast<std::ptrdiff_t>(n_parts_));
        return rows.unflatten(0, split);
    }

    TapeOperatorPtr op_;
    size_t n_parts_;
    int64_t parts_ = 1;
    Sizes operand_, result_;
};

} // namespace

TapeOperatorPtr make_folded(TapeOperatorPtr op, size_t n_parts, const Sizes &operand,
                            const Sizes &result) {
    return std::make_unique<Folded>(std::move(op), n_parts, operand, result);
}

} // namespace neurotap
