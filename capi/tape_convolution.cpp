#include "dense_product.hpp"
#include "subpixel.hpp"
#include "tape_operators.hpp"

namespace neurotap {

// libtorch computes single small examples and 1x1 kernels with plain loops or with whatever BLAS is
// there; oneDNN is up to 40 times faster.
bool has_onednn(const at::Tensor &tensor) {
    return tensor.is_cpu() && tensor.scalar_type() == at::kFloat && at::hasMKLDNN() &&
           at::globalContext().userEnabledMkldnn();
}

namespace {

// libtorch takes oneDNN for gradients if there are two examples, or this many elements.
constexpr int64_t kFewElements = 20480;

// Up to here a matrix product at a single position is faster than what oneDNN does to the weights
// first.
constexpr int64_t kFewMultiplications = int64_t{1} << 19;

// For up to so many positions of all examples, putting the weight in oneDNN's order takes as long
// as computing with it; copies of so many bytes are worth keeping. Convolutions that see all of
// their operand in so few positions are late ones. They have most of a model's weights, and take
// little of its time: of these only smaller copies.
constexpr int64_t kFewPositions = 512;
constexpr size_t kFewBytes = size_t{1} << 20;
constexpr size_t kFewBytesOfAll = size_t{1} << 18;

// By how much fewer positions are few if work is wasted on them.
constexpr int64_t kWasted = 4;

// oneDNN puts operand and result in orders of its own. Where these copies would take several times
// so many bytes for each thread, strips are computed one after the other, which is also faster; but
// not where the weight, which every strip rearranges, is more than a part of a strip.
constexpr int64_t kStripBytes = int64_t{1} << 20;
constexpr int64_t kFewStrips = 4;
constexpr int64_t kWeightsInStrip = 8;

// oneDNN computes channels by sixteens.
constexpr int64_t kFewChannels = 16;

class Convolution final : public TapeOperator {
  public:
    Convolution(const SlidingWindows &windows, const TapeConvolution &how)
        : windows_(windows), weight_(how.weight), bias_(how.bias), groups_(how.groups),
          none_(windows.size(), 0), keeps_(how.copies != nullptr),
          subpixel_(windows, how.weight, how.groups, how.copies) {
        bool pointwise = true;
        for (const SlidingWindow &window : windows) {
            strides_.push_back(window.stride);
            dilations_.push_back(window.dilation);
            pointwise = pointwise && window.kernel == 1;
        }
        // No matter what it is then, libtorch takes oneDNN for a dilated kernel.
        if (pointwise)
            dilations_.assign(windows.size(), 2);
        std::vector<int64_t> numbers{groups_};
        numbers.insert(numbers.end(), strides_.begin(), strides_.end());
        numbers.insert(numbers.end(), dilations_.begin(), dilations_.end());
        packed_ = keep_copy(how.copies, weight_, WeightCopies::Order::kPacked, numbers);
    }

    Region needs(const Region &out, size_t /*operand*/) const override {
        return look_at(windows_, out);
    }

    double cost(const Region &out) const override {
        return static_cast<double>(weight_.numel()) * static_cast<double>(count_positions(out));
    }

    at::Tensor forward(std::vector<at::Tensor> operands, const Region &out,
                       Saved & /*saved*/) const override {
        const at::Tensor &operand = operands[0];
        if (is_product(out, operand.size(0)))
            return from_rows(dense_product(patches(operand, out), weight_.flatten(1), bias_), out);
        const int64_t strips = count_strips(operand, out);
        if (strips == 1)
            return convolve(operand, out);
        const Sizes sizes{operand.size(0), weight_.size(0)};
        at::Tensor result = at::empty(sizes_of(sizes, out, operand.size(0)), operand.options());
        for (int64_t i = 0; i < strips; ++i) {
            const Region strip = strip_of(out, i, strips);
            cut(result, out, strip)
                .copy_(convolve(cut(operand, needs(out, 0), needs(strip, 0)), strip));
        }
        return result;
    }

    std::vector<at::Tensor> reverse(at::Tensor gradient, const Reverse &how) const override {
        const Region &out = how.out;
        if (is_product(out, gradient.size(0)))
            return {
                from_patches(dense_product_back(to_rows(gradient, out), weight_.flatten(1)), out)};
        const int64_t strips = count_strips(gradient, out);
        if (strips == 1)
            return {convolve_back(gradient, out)};
        const Sizes sizes{gradient.size(0), weight_.size(1) * groups_};
        const Region needed = needs(out, 0);
        at::Tensor result =
            at::zeros(sizes_of(sizes, needed, gradient.size(0)), gradient.options());
        for (int64_t i = 0; i < strips; ++i) {
            const Region strip = strip_of(out, i, strips);
            cut(result, needed, needs(strip, 0))
                .add_(convolve_back(cut(gradient, out, strip), strip));
        }
        return {result};
    }

  private:
    // `value` is one at the operand or at the result.
    int64_t count_strips(const at::Tensor &value, const Region &out) const {
        if (!has_onednn(value) || windows_.size() < 2 || windows_[0].misses())
            return 1;
        const int64_t most = std::max(weight_.size(0) * count_positions(out),
                                      weight_.size(1) * groups_ * count_positions(needs(out, 0)));
        const int64_t bytes = value.size(0) * most * static_cast<int64_t>(sizeof(float));
        const int64_t strip = std::max(kStripBytes * at::get_num_threads(),
                                       kWeightsInStrip * static_cast<int64_t>(weight_.nbytes()));
        const int64_t count = std::min(bytes / strip, out[0].count);
        return count < kFewStrips ? 1 : count;
    }

    static Region strip_of(Region out, int64_t number, int64_t count) {
        const int64_t first = out[0].count * number / count;
        const int64_t end = out[0].count * (number + 1) / count;
        out[0] = {out[0].first + first, end - first};
        return out;
    }

    at::Tensor convolve(const at::Tensor &part, const Region &out) const {
        const WindowStep step(windows_, out, false);
        const at::Tensor operand = step.pad(part, 0);
        if (has_onednn(operand) && windows_.size() > 1)
            return at::mkldnn_convolution(operand, weight_for(out, operand.size(0)), bias_,
                                          step.padding, strides_, dilations_, groups_);
        return at::convolution(operand, weight_, bias_, strides_, step.padding, dilations_, false,
                               none_, groups_);
    }

    at::Tensor convolve_back(at::Tensor gradient, const Region &out) const {
        const WindowStep step(windows_, out, false);
        auto sizes = padded_sizes(gradient.size(0), out, step);
        if (has_onednn(gradient) && prefers_subpixel(out, gradient.size(0)))
            return step.unpad(subpixel_.run(gradient, sizes, step.padding));
        const bool twice =
            sizes[0] == 1 && has_onednn(gradient) && c10::multiply_integers(sizes) <= kFewElements;
        if (twice) {
            sizes[0] = 2;
            gradient = at::cat({gradient, gradient});
        }
        // Of the operand only its kind is looked at.
        const at::Tensor operand = at::empty(sizes, gradient.options());
        const at::Tensor padded = std::get<0>(at::convolution_backward(
            gradient, operand, weight_, c10::nullopt, strides_, step.padding, dilations_, false,
            none_, groups_, {true, false, false}));
        return step.unpad(twice ? padded.narrow(0, 0, 1) : padded);
    }

    bool is_few(const Region &out, int64_t rows) const {
        return rows * count_positions(out) <= kFewPositions &&
               weight_.nbytes() <= (sees_all(out) ? kFewBytesOfAll : kFewBytes);
    }

    bool sees_all(const Region &out) const {
        for (size_t i = 0; i < windows_.size(); ++i)
            if (windows_[i].look_at(out[i]).inputs.count < windows_[i].input)
                return false;
        return true;
    }

    // Where libtorch's own way is slow: it arranges the weight every time, takes oneDNN only for
    // two examples if they are small, and oneDNN wastes most of its work on few channels.
    bool prefers_subpixel(const Region &out, int64_t rows) const {
        return windows_.size() > 1 && SubpixelConvolution::can(windows_) &&
               (is_few(out, rows * subpixel_cost(rows)) ||
                (weight_.size(1) < kFewChannels && groups_ == 1));
    }

    // Kernels that the stride does not divide are computed with zeros. For a single example there
    // is nothing better.
    int64_t subpixel_cost(int64_t rows) const {
        bool wastes = false;
        for (const SlidingWindow &window : windows_)
            wastes =
                wastes || (window.kernel > window.stride && window.kernel % window.stride != 0);
        return wastes && rows > 1 ? kWasted : 1;
    }

    at::Tensor weight_for(const Region &out, int64_t rows) const {
        if (!keeps_ || !is_few(out, rows))
            return weight_;
        return packed_->get(
            [&] { return pack_weight(weight_, none_, strides_, dilations_, groups_); });
    }

    // At one position, or where windows lie side by side, and with nothing of a kernel outside, it
    // can be a product of matrices: of patches and the weight.
    bool is_product(const Region &out, int64_t rows) const {
        bool single = true;
        bool side_by_side = true;
        for (size_t i = 0; i < windows_.size(); ++i) {
            const SlidingWindow &window = windows_[i];
            const auto part = window.look_at(out[i]);
            if (part.before != 0 || part.after != 0 ||
                part.inputs.count != out[i].count * window.kernel)
                return false;
            single = single && out[i].count == 1;
            side_by_side = side_by_side && window.stride == window.kernel;
        }
        return groups_ == 1 && prefers_product(rows, single, side_by_side);
    }

    // Of large weights and of few channels oneDNN makes worse convolutions. One that has a position
    // for every pixel is none of these.
    bool prefers_product(int64_t rows, bool single, bool side_by_side) const {
        const bool patched = weight_.numel() > weight_.size(0) * weight_.size(1);
        if (single && rows * weight_.numel() <= kFewMultiplications)
            return true;
        return (single || (side_by_side && patched)) &&
               (weight_.nbytes() > kFewBytes || (side_by_side && weight_.size(1) < kFewChannels));
    }

    // [examples, channels, positions · kernel…] to [examples · positions, channels · kernel].
    at::Tensor patches(const at::Tensor &operand, const Region &out) const {
        if (count_positions(out) == 1)
            return operand.flatten(1).contiguous();
        return operand.reshape(split_sizes(operand.size(0), out))
            .permute(order_of_patches(true))
            .reshape({-1, weight_[0].numel()});
    }

    at::Tensor from_patches(const at::Tensor &rows, const Region &out) const {
        if (count_positions(out) == 1)
            return rows.view(sizes_at_one_position(rows.size(0), weight_.size(1), true));
        const Sizes split = split_sizes(rows.size(0) / count_positions(out), out);
        Sizes permuted;
        for (const int64_t dim : order_of_patches(true))
            permuted.push_back(split[static_cast<size_t>(dim)]);
        Sizes sizes{split[0], split[1]};
        for (size_t i = 2; i < split.size(); i += 2)
            sizes.push_back(split[i] * split[i + 1]);
        return rows.view(permuted).permute(order_of_patches(false)).reshape(sizes);
    }

    Sizes sizes_at_one_position(int64_t rows, int64_t channels, bool operand) const {
        Sizes sizes{rows, channels};
        for (const SlidingWindow &window : windows_)
            sizes.push_back(operand ? window.kernel : 1);
        return sizes;
    }

    // Each dimension as [positions, kernel].
    Sizes split_sizes(int64_t examples, const Region &out) const {
        Sizes sizes{examples, weight_.size(1)};
        for (size_t i = 0; i < out.size(); ++i) {
            sizes.push_back(out[i].count);
            sizes.push_back(windows_[i].kernel);
        }
        return sizes;
    }

    // Examples and positions in front of channels and kernel; or the way back.
    std::vector<int64_t> order_of_patches(bool forward) const {
        const auto n = static_cast<int64_t>(windows_.size());
        std::vector<int64_t> order{0};
        for (int64_t i = 0; i < n; ++i)
            order.push_back(2 + 2 * i);
        order.push_back(1);
        for (int64_t i = 0; i < n; ++i)
            order.push_back(3 + 2 * i);
        if (forward)
            return order;
        std::vector<int64_t> back(order.size());
        for (size_t i = 0; i < order.size(); ++i)
            back[static_cast<size_t>(order[i])] = static_cast<int64_t>(i);
        return back;
    }

    // [examples, channels, positions…] to [examples · positions, channels], and back.
    at::Tensor to_rows(const at::Tensor &value, const Region &out) const {
        if (count_positions(out) == 1)
            return value.flatten(1).contiguous();
        return value.flatten(2).transpose(1, 2).reshape({-1, weight_.size(0)});
    }
    at::Tensor from_rows(const at::Tensor &rows, const Region &out) const {
        if (count_positions(out) == 1)
            return rows.view(sizes_at_one_position(rows.size(0), rows.size(1), false));
        const int64_t examples = rows.size(0) / count_positions(out);
        return rows.view({examples, -1, rows.size(1)})
            .transpose(1, 2)
            .reshape(sizes_of({examples, rows.size(1)}, out, examples));
    }

    Sizes padded_sizes(int64_t rows, const Region &out, const WindowStep &step) const {
        Sizes sizes{rows, weight_.size(1) * groups_};
        for (size_t i = 0; i < windows_.size(); ++i) {
            const auto part = windows_[i].look_at(out[i]);
            const int64_t pads = step.pads.empty() ? 0 : part.before + part.after;
            sizes.push_back(part.inputs.count + pads);
        }
        return sizes;
    }

    SlidingWindows windows_;
    at::Tensor weight_;
    MaybeTensor bias_;
    int64_t groups_;
    std::vector<int64_t> strides_, dilations_, none_;
    const bool keeps_;
    KeptTensorPtr packed_;
    const SubpixelConvolution subpixel_;
};

} // namespace

TapeOperatorPtr make_convolution(const SlidingWindows &windows, const TapeConvolution &how) {
    return std::make_unique<Convolution>(windows, how);
}

} // namespace neurotap
