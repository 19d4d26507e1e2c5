#include "max_pool.hpp"

#include "sliding_window.hpp"

#include <ATen/Dispatch.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace neurotap {
namespace {

// Planes for one thread, in elements of the result.
constexpr int64_t kGrain = 1 << 14;

// So many elements a byte can tell apart.
constexpr int64_t kMostInWindow = 256;

// One dimension of a plane, and of the windows over it.
struct Line : SlidingWindow {
    int64_t windows;
};

// A single dimension is a plane of one row.
struct Plane {
    Line vertical, horizontal;

    Plane(const MaxPoolWindows &w, at::IntArrayRef sizes, at::IntArrayRef results)
        : vertical{{1, 1, 1, 0, 1}, 1}, horizontal(line(w, sizes, results, sizes.size() - 1)) {
        if (sizes.size() == 2)
            vertical = line(w, sizes, results, 0);
    }

    int64_t size() const { return vertical.input * horizontal.input; }
    int64_t windows() const { return vertical.windows * horizontal.windows; }
    int64_t grain() const { return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, windows())); }

  private:
    static Line line(const MaxPoolWindows &w, at::IntArrayRef sizes, at::IntArrayRef results,
                     size_t dim) {
        return {{w.kernel[dim], w.stride[dim], w.dilation[dim], w.padding[dim], sizes[dim]},
                results[dim]};
    }
};

// One row of a result: each element of the kernel is compared for all windows at once. Where
// nothing is larger than negative infinity, it is the window's first one inside.
template <typename T, int64_t constant_stride> class Row {
  public:
    explicit Row(const Plane &plane)
        : vertical_(plane.vertical), horizontal_(plane.horizontal),
          best_(static_cast<size_t>(horizontal_.windows)),
          places_(static_cast<size_t>(horizontal_.windows)) {}

    void compute(const T *plane, int64_t row, T *result, uint8_t *places) {
        begin(row);
        for (int64_t y = 0; y < vertical_.kernel; ++y) {
            const int64_t line = vertical_.start(row) + y * vertical_.dilation;
            if (line >= 0 && line < vertical_.input)
                for (int64_t x = 0; x < horizontal_.kernel; ++x)
                    compare(plane + line * horizontal_.input, x, place_at(y, x));
        }
        std::copy(best_.begin(), best_.end(), result);
        for (int64_t i = 0; i < horizontal_.windows; ++i)
            places[i] = static_cast<uint8_t>(places_[static_cast<size_t>(i)]);
    }

  private:
    int64_t stride() const { return constant_stride > 0 ? constant_stride : horizontal_.stride; }

    int32_t place_at(int64_t y, int64_t x) const {
        return static_cast<int32_t>(y * horizontal_.kernel + x);
    }

    void begin(int64_t row) {
        const int64_t y = vertical_.first_inside(row);
        std::fill(best_.begin(), best_.end(), -std::numeric_limits<T>::infinity());
        for (int64_t i = 0; i < horizontal_.windows; ++i)
            places_[static_cast<size_t>(i)] = place_at(y, horizontal_.first_inside(i));
    }

    // With every window's element x.
    void compare(const T *line, int64_t x, int32_t place) {
        const int64_t step = stride();
        const int64_t first = horizontal_.start(0) + x * horizontal_.dilation;
        const int64_t begin = first >= 0 ? 0 : (-first + step - 1) / step;
        const int64_t inside = horizontal_.input - 1 - first;
        const int64_t end = inside < 0 ? 0 : std::min(horizontal_.windows, inside / step + 1);
        T *best = best_.data();
        int32_t *places = places_.data();
#pragma omp simd
        for (int64_t i = begin; i < end; ++i) {
            const T value = line[first + i * step];
            const bool is_larger = value > best[i] || std::isnan(value);
            best[i] = is_larger ? value : best[i];
            places[i] = is_larger ? place : places[i];
        }
    }

    const Line vertical_, horizontal_;
    std::vector<T> best_;
    std::vector<int32_t> places_;
};

template <typename T, int64_t constant_stride>
void compute_planes(const at::Tensor &operand, const Plane &plane, const at::Tensor &result,
                    const at::Tensor &places) {
    const T *from = operand.data_ptr<T>();
    T *to = result.data_ptr<T>();
    auto *to_places = places.data_ptr<uint8_t>();
    const auto work = [&](int64_t begin, int64_t end) {
        Row<T, constant_stride> row(plane);
        for (int64_t p = begin; p < end; ++p)
            for (int64_t i = 0; i < plane.vertical.windows; ++i) {
                const int64_t at = p * plane.windows() + i * plane.horizontal.windows;
                row.compute(from + p * plane.size(), i, to + at, to_places + at);
            }
    };
    at::parallel_for(0, operand.size(0) * operand.size(1), plane.grain(), work);
}

// How far each element of a window is from its start.
std::vector<int64_t> offsets_of(const Plane &plane) {
    std::vector<int64_t> offsets;
    for (int64_t y = 0; y < plane.vertical.kernel; ++y)
        for (int64_t x = 0; x < plane.horizontal.kernel; ++x)
            offsets.push_back(y * plane.vertical.dilation * plane.horizontal.input +
                              x * plane.horizontal.dilation);
    return offsets;
}

template <typename T>
void scatter_plane(const T *gradients, const uint8_t *places, const Plane &plane,
                   const std::vector<int64_t> &offsets, T *sums) {
    for (int64_t row = 0; row < plane.vertical.windows; ++row) {
        const int64_t line = plane.vertical.start(row) * plane.horizontal.input;
        for (int64_t i = 0; i < plane.horizontal.windows; ++i, ++gradients, ++places)
            sums[line + plane.horizontal.start(i) + offsets[*places]] += *gradients;
    }
}

template <typename T>
void scatter_planes(const at::Tensor &gradient, const at::Tensor &places, const Plane &plane,
                    const at::Tensor &sum) {
    const auto offsets = offsets_of(plane);
    const T *from = gradient.data_ptr<T>();
    const auto *from_places = places.data_ptr<uint8_t>();
    T *to = sum.data_ptr<T>();
    const int64_t n_places = places.size(0) * places.size(1);
    const auto work = [&](int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; ++p)
            scatter_plane(from + p * plane.windows(), from_places + p % n_places * plane.windows(),
                          plane, offsets, to + p * plane.size());
    };
    at::parallel_for(0, gradient.size(0) * gradient.size(1), plane.grain(), work);
}

std::vector<int64_t> with_positions(const at::Tensor &rows, const std::vector<int64_t> &positions) {
    std::vector<int64_t> sizes{rows.size(0), rows.size(1)};
    sizes.insert(sizes.end(), positions.begin(), positions.end());
    return sizes;
}

} // namespace

bool can_max_pool(const at::Tensor &operand, const MaxPoolWindows &windows) {
    const auto dims = static_cast<int64_t>(windows.kernel.size());
    return operand.is_cpu() && operand.dim() == 2 + dims && dims <= 2 &&
           c10::multiply_integers(windows.kernel) <= kMostInWindow;
}

std::tuple<at::Tensor, at::Tensor> max_pool(const at::Tensor &operand,
                                            const MaxPoolWindows &windows,
                                            const std::vector<int64_t> &positions) {
    const Plane plane(windows, operand.sizes().slice(2), positions);
    const auto sizes = with_positions(operand, positions);
    at::Tensor result = at::empty(sizes, operand.options());
    at::Tensor places = at::empty(sizes, operand.options().dtype(at::kByte));
    AT_DISPATCH_FLOATING_TYPES(operand.scalar_type(), "max_pool", [&] {
        const auto compute = plane.horizontal.stride == 1   ? compute_planes<scalar_t, 1>
                             : plane.horizontal.stride == 2 ? compute_planes<scalar_t, 2>
                                                            : compute_planes<scalar_t, 0>;
        compute(operand.contiguous(), plane, result, places);
    });
    return {result, places};
}

at::Tensor max_pool_back(const at::Tensor &gradient, const at::Tensor &places,
                         const MaxPoolWindows &windows, const std::vector<int64_t> &positions) {
    const Plane plane(windows, positions, gradient.sizes().slice(2));
    at::Tensor sum = at::zeros(with_positions(gradient, positions), gradient.options());
    AT_DISPATCH_FLOATING_TYPES(gradient.scalar_type(), "max_pool", [&] {
        scatter_planes<scalar_t>(gradient.contiguous(), places, plane, sum);
    });
    return sum;
}

} // namespace neurotap
