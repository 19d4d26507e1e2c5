#include "sliding_window.hpp"

#include <algorithm>

namespace neurotap {

SlidingWindow::Part SlidingWindow::look_at(const Extent &outputs) const {
    const int64_t low = start(outputs.first);
    const int64_t high = start(outputs.end() - 1) + (kernel - 1) * dilation;
    const int64_t first = std::clamp<int64_t>(low, 0, input - 1);
    const int64_t last = std::clamp<int64_t>(high, 0, input - 1);
    return Part{Extent{first, last - first + 1}, first - low, high - last};
}

int64_t SlidingWindow::outputs(int64_t padding, int64_t inputs, bool round_up) const {
    const int64_t room = inputs + 2 * padding - (kernel - 1) * dilation - 1;
    if (room < 0)
        return 0;
    int64_t count = (room + (round_up ? stride - 1 : 0)) / stride + 1;
    // The last window has to begin inside the input or the padding before it.
    if (round_up && (count - 1) * stride >= inputs + padding)
        --count;
    return count;
}

int64_t SlidingWindow::first_inside(int64_t output) const {
    return (std::max<int64_t>(0, -start(output)) + dilation - 1) / dilation;
}

// One that begins inside does not.
bool SlidingWindow::misses() const {
    const int64_t count = outputs(before, input, true);
    for (int64_t i = 0; i < count && start(i) < 0; ++i)
        if (first_inside(i) >= kernel || start(i) + first_inside(i) * dilation >= input)
            return true;
    return false;
}

Region look_at(const SlidingWindows &windows, const Region &out) {
    Region needed;
    for (size_t i = 0; i < windows.size(); ++i)
        needed.push_back(windows[i].look_at(out[i]).inputs);
    return needed;
}

WindowStep::WindowStep(const SlidingWindows &windows, const Region &out, bool round_up) {
    bool same_at_both_ends = true;
    for (size_t i = windows.size(); i-- > 0;) { // constant_pad_nd begins with the last dimension
        const auto part = windows[i].look_at(out[i]);
        pads.push_back(part.before);
        pads.push_back(part.after);
        padding.insert(padding.begin(), part.before);
        same_at_both_ends =
            same_at_both_ends && part.before >= 0 &&
            windows[i].outputs(part.before, part.inputs.count, round_up) == out[i].count;
    }
    if (same_at_both_ends)
        pads.clear();
    else
        padding.assign(windows.size(), 0);
}

at::Tensor WindowStep::pad(const at::Tensor &part, double value) const {
    return pads.empty() ? part : at::constant_pad_nd(part, pads, value);
}

at::Tensor WindowStep::unpad(const at::Tensor &padded) const {
    if (pads.empty())
        return padded;
    std::vector<int64_t> opposite;
    for (const int64_t pad : pads)
        opposite.push_back(-pad);
    return at::constant_pad_nd(padded, opposite, 0.0);
}

} // namespace neurotap
