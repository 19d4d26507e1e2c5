#include "max_pool.hpp"

#include <ATen/Dispatch.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace neurotap {
namespace {

// Planes for one thread, in elements of the result.
constexpr int64_t kGrain = 1 << 14;

struct Shape {
    int64_t height, width, rows, columns; // of a plane, and of its result
};

// One dimension of the windows.
struct Line {
    int64_t kernel, stride, dilation, padding;

    int64_t start(int64_t place) const { return place * stride - padding; }
    // The first of a window's positions that is inside.
    int64_t first(int64_t place) const {
        const int64_t before = std::max<int64_t>(0, -start(place));
        return start(place) + (before + dilation - 1) / dilation * dilation;
    }
};

// One row of a result: each element of the kernel is compared for all windows at once. Where
// nothing is larger than negative infinity, it is the window's first position.
template <typename T, int64_t constant_stride> class Row {
  public:
    Row(const Shape &shape, const Line &vertical, const Line &horizontal)
        : shape_(shape), vertical_(vertical), horizontal_(horizontal),
          best_(static_cast<size_t>(shape.columns)), places_(static_cast<size_t>(shape.columns)) {}

    void compute(const T *plane, int64_t row, T *result, int64_t *places) {
        begin(row);
        for (int64_t y = 0; y < vertical_.kernel; ++y) {
            const int64_t line = vertical_.start(row) + y * vertical_.dilation;
            if (line >= 0 && line < shape_.height)
                for (int64_t x = 0; x < horizontal_.kernel; ++x)
                    compare(plane, line, horizontal_.start(0) + x * horizontal_.dilation);
        }
        std::copy(best_.begin(), best_.end(), result);
        std::copy(places_.begin(), places_.end(), places);
    }

  private:
    int64_t stride() const { return constant_stride > 0 ? constant_stride : horizontal_.stride; }

    void begin(int64_t row) {
        const int64_t line = vertical_.first(row) * shape_.width;
        std::fill(best_.begin(), best_.end(), -std::numeric_limits<T>::infinity());
        for (int64_t column = 0; column < shape_.columns; ++column)
            places_[static_cast<size_t>(column)] =
                static_cast<int32_t>(line + horizontal_.first(column));
    }

    // The first window looks at `first` of the line.
    void compare(const T *plane, int64_t line, int64_t first) {
        const int64_t step = stride();
        const int64_t begin = first >= 0 ? 0 : (-first + step - 1) / step;
        const int64_t inside = shape_.width - 1 - first;
        const int64_t end = inside < 0 ? 0 : std::min(shape_.columns, inside / step + 1);
        const int64_t offset = line * shape_.width + first;
        T *best = best_.data();
        int32_t *places = places_.data();
#pragma omp simd
        for (int64_t column = begin; column < end; ++column) {
            const T value = plane[offset + column * step];
            const bool is_larger = value > best[column] || std::isnan(value);
            best[column] = is_larger ? value : best[column];
            places[column] =
                is_larger ? static_cast<int32_t>(offset + column * step) : places[column];
        }
    }

    const Shape shape_;
    const Line vertical_, horizontal_;
    std::vector<T> best_;
    std::vector<int32_t> places_;
};

template <typename T, int64_t constant_stride>
void compute_planes(const at::Tensor &operand, const MaxPoolWindows &windows, const Shape &shape,
                    T *result, int64_t *places) {
    const auto line = [&](size_t dim) {
        return Line{windows.kernel[dim], windows.stride[dim], windows.dilation[dim],
                    windows.padding[dim]};
    };
    const T *elements = operand.data_ptr<T>();
    const int64_t size = shape.rows * shape.columns;
    at::parallel_for(0, operand.size(0) * operand.size(1), std::max<int64_t>(1, kGrain / size),
                     [&](int64_t begin, int64_t end) {
                         Row<T, constant_stride> row(shape, line(0), line(1));
                         for (int64_t plane = begin; plane < end; ++plane)
                             for (int64_t i = 0; i < shape.rows; ++i)
                                 row.compute(elements + plane * shape.height * shape.width, i,
                                             result + plane * size + i * shape.columns,
                                             places + plane * size + i * shape.columns);
                     });
}

} // namespace

bool can_max_pool(const at::Tensor &operand) {
    return operand.is_cpu() && operand.dim() == 4 && operand.is_contiguous() &&
           operand.size(2) * operand.size(3) <= std::numeric_limits<int32_t>::max();
}

std::tuple<at::Tensor, at::Tensor>
max_pool(const at::Tensor &operand, const MaxPoolWindows &windows, int64_t rows, int64_t columns) {
    const Shape shape{operand.size(2), operand.size(3), rows, columns};
    const std::vector<int64_t> sizes{operand.size(0), operand.size(1), rows, columns};
    at::Tensor result = at::empty(sizes, operand.options());
    at::Tensor places = at::empty(sizes, operand.options().dtype(at::kLong));
    AT_DISPATCH_FLOATING_TYPES(operand.scalar_type(), "max_pool", [&] {
        const auto compute = windows.stride[1] == 1   ? compute_planes<scalar_t, 1>
                             : windows.stride[1] == 2 ? compute_planes<scalar_t, 2>
                                                      : compute_planes<scalar_t, 0>;
        compute(operand, windows, shape, result.data_ptr<scalar_t>(), places.data_ptr<int64_t>());
    });
    return {result, places};
}

} // namespace neurotap
