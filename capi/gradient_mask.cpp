#include "gradient_mask.hpp"

#include <ATen/Dispatch.h>

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace neurotap {
namespace {

// The elements that a thread takes at once. Each byte of its mask has a bit for an element of each
// eighth of them, so that compilers vectorize the loops below; libtorch's le() and masked_fill_()
// are not vectorized and take several times as long.
constexpr int64_t kBlock = 1 << 12;

struct MaskBlock {
    int64_t first, bytes, size;

    MaskBlock(int64_t number, int64_t n_elements)
        : first(number * kBlock), bytes((std::min(kBlock, n_elements - first) + 7) / 8),
          size(n_elements - first) {}
    int64_t part(int64_t bit) const { return first + bit * bytes; }
    int64_t part_size(int64_t bit) const { return std::min(bytes, size - bit * bytes); }
    // Without those that are empty.
    int64_t parts() const { return std::min<int64_t>(8, (size + bytes - 1) / bytes); }
};

int64_t count_blocks(int64_t n_elements) { return (n_elements + kBlock - 1) / kBlock; }
constexpr int64_t kManyBlocks = 16; // for a thread

// A bit for each element, by what `is_cleared` says. `kept` holds zeros.
template <typename T, typename IsCleared>
void find_kept(const T *elements, uint8_t *kept, int64_t size, const IsCleared &is_cleared) {
    at::parallel_for(0, count_blocks(size), kManyBlocks, [&](int64_t begin, int64_t end) {
        for (int64_t number = begin; number < end; ++number) {
            const MaskBlock block(number, size);
            uint8_t *bits = kept + block.first / 8;
            for (int64_t bit = 0; bit < block.parts(); ++bit) {
                const T *part = elements + block.part(bit);
                const int64_t n = block.part_size(bit);
#pragma omp simd
                for (int64_t i = 0; i < n; ++i)
                    bits[i] =
                        static_cast<uint8_t>(bits[i] | ((is_cleared(part[i]) ? 0 : 1) << bit));
            }
        }
    });
}

template <typename T> using BitsOf = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;

// Clears the elements whose bit is 0. Compilers do not vectorize a choice by a bit; without that it
// takes 40 times as long.
template <typename T> void keep_block(T *elements, const uint8_t *kept, const MaskBlock &block) {
    const uint8_t *bits = kept + block.first / 8;
    for (int64_t bit = 0; bit < block.parts(); ++bit) {
        T *part = elements + block.part(bit);
        const int64_t n = block.part_size(bit);
#pragma omp simd
        for (int64_t i = 0; i < n; ++i) {
            BitsOf<T> element;
            std::memcpy(&element, part + i, sizeof element);
            element &= BitsOf<T>(0) - (static_cast<BitsOf<T>>(bits[i]) >> bit & 1);
            std::memcpy(part + i, &element, sizeof element);
        }
    }
}

// Clears the same elements of every row.
template <typename T> void keep(T *rows, int64_t n_rows, const uint8_t *kept, int64_t size) {
    at::parallel_for(0, count_blocks(size), kManyBlocks, [&](int64_t begin, int64_t end) {
        for (int64_t row = 0; row < n_rows; ++row)
            for (int64_t number = begin; number < end; ++number)
                keep_block(rows + row * size, kept, MaskBlock(number, size));
    });
}

at::Tensor zero_bits(const at::Tensor &elements) {
    return at::zeros({count_blocks(elements.numel()) * kBlock / 8},
                     elements.options().dtype(at::kByte));
}

} // namespace

at::Tensor make_relu_mask(const at::Tensor &result) {
    at::Tensor mask = zero_bits(result);
    AT_DISPATCH_FLOATING_TYPES(result.scalar_type(), "relu", [&] {
        find_kept(result.data_ptr<scalar_t>(), mask.data_ptr<uint8_t>(), result.numel(),
                  [](scalar_t x) { return x <= 0; });
    });
    return mask;
}

at::Tensor make_range_mask(const at::Tensor &elements, double low, double high) {
    at::Tensor mask = zero_bits(elements);
    AT_DISPATCH_FLOATING_TYPES(elements.scalar_type(), "hardtanh", [&] {
        const auto least = static_cast<scalar_t>(low);
        const auto most = static_cast<scalar_t>(high);
        find_kept(elements.data_ptr<scalar_t>(), mask.data_ptr<uint8_t>(), elements.numel(),
                  [=](scalar_t x) { return !((x > least) & (x < most)); });
    });
    return mask;
}

void apply_mask(const at::Tensor &rows, int64_t n_rows, const at::Tensor &mask) {
    AT_DISPATCH_FLOATING_TYPES(rows.scalar_type(), "relu", [&] {
        keep(rows.data_ptr<scalar_t>(), n_rows, mask.data_ptr<uint8_t>(), rows.numel() / n_rows);
    });
}

} // namespace neurotap
