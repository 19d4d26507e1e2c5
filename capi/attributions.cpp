#include "attributions.hpp"

#include <algorithm>
#include <cstdlib>

namespace neurotap {
namespace {

// From here on the system hands out fresh memory, which it has cleared anyway.
constexpr size_t kLarge = 1 << 17;

at::Tensor make_large_zeros(at::IntArrayRef sizes, const at::TensorOptions &options, size_t count) {
    void *memory = std::calloc(count, options.dtype().itemsize());
    if (memory == nullptr)
        fail(NTAP_ERROR_OUT_OF_MEMORY, "out of memory: a tensor of ", sizes, " takes ",
             count * options.dtype().itemsize(), " bytes");
    return at::for_blob(memory, sizes).context(memory, std::free).options(options).make_tensor();
}

} // namespace

at::Tensor make_zeros(at::IntArrayRef sizes, const at::TensorOptions &options) {
    int64_t bytes = static_cast<int64_t>(options.dtype().itemsize());
    for (const int64_t size : sizes)
        if (__builtin_mul_overflow(bytes, size, &bytes))
            fail(NTAP_ERROR_OUT_OF_MEMORY, "out of memory: there is none for a tensor of ", sizes);
    const auto count = static_cast<size_t>(c10::multiply_integers(sizes));
    const bool large = static_cast<size_t>(bytes) >= kLarge;
    if (large && options.device().is_cpu())
        return make_large_zeros(sizes, options, count);
    return at::zeros(sizes, options);
}

} // namespace neurotap

using namespace neurotap;

namespace {

std::vector<int64_t> joined(at::IntArrayRef leading, at::IntArrayRef sizes) {
    auto all = leading.vec();
    all.insert(all.end(), sizes.begin(), sizes.end());
    return all;
}

} // namespace

capi_attributions::capi_attributions(const ntap_tensor *const *inputs, size_t n_inputs,
                                     size_t n_neurons)
    : rows_(n_inputs), lacks_(n_inputs), n_neurons_(static_cast<int64_t>(n_neurons)) {
    for (size_t i = 0; i < n_inputs; ++i)
        inputs_.push_back(unwrap(inputs[i], "an input"));
}

at::Tensor capi_attributions::make_rows(size_t input, const at::Device &device) const {
    return make_zeros(joined({n_neurons_}, inputs_[input].sizes()),
                      inputs_[input].options().requires_grad(c10::nullopt).device(device));
}

void capi_attributions::gather_on(const at::Device &device) {
    for (size_t i = 0; i < inputs_.size(); ++i)
        rows_[i] = make_rows(i, device);
}

capi_attributions capi_attributions::part(int64_t first_example, int64_t n_examples) const {
    capi_attributions part;
    for (const at::Tensor &rows : rows_)
        part.rows_.push_back(n_examples < 0 || n_examples == rows.size(1)
                                 ? rows
                                 : rows.narrow(1, first_example, n_examples));
    part.inputs_ = inputs_;
    part.lacks_.resize(lacks_.size());
    part.n_neurons_ = n_neurons_;
    part.is_part_ = true;
    return part;
}

void capi_attributions::clear() {
    for (at::Tensor &rows : rows_)
        rows.zero_();
}

at::Tensor &capi_attributions::rows(size_t input) {
    if (!rows_[input].defined())
        rows_[input] = make_rows(input, inputs_[input].device());
    return rows_[input];
}

bool capi_attributions::is_own(const at::Tensor &gradients) const {
    return std::none_of(rows_.begin(), rows_.end(), [&](const at::Tensor &rows) {
        return rows.defined() && rows.storage().is_alias_of(gradients.storage());
    });
}

void capi_attributions::put(size_t input, size_t first, const at::Tensor &gradients) {
    if (!gradients.defined()) {
        lacks_[input] = true;
        return;
    }
    const at::Tensor plain = gradients.detach().resolve_conj().resolve_neg();
    if (plain.size(0) == n_neurons_ && !is_part_) {
        const at::Tensor whole = plain.contiguous();
        rows_[input] = is_own(whole) ? whole : whole.clone();
    } else {
        rows(input).narrow(0, static_cast<int64_t>(first), plain.size(0)).copy_(plain);
    }
}

bool capi_attributions::lacks(size_t &input) const {
    const auto found = std::find(lacks_.begin(), lacks_.end(), true);
    input = static_cast<size_t>(found - lacks_.begin());
    return found != lacks_.end();
}

at::Tensor capi_attributions::take(size_t input, at::IntArrayRef leading) {
    return rows(input).view(joined(leading, inputs_[input].sizes()));
}

ntap_status capi_attributions_new(const ntap_tensor *const *inputs, size_t n_inputs,
                                  size_t n_neurons, capi_attributions **attributions,
                                  ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL,
                   [&] { *attributions = new capi_attributions(inputs, n_inputs, n_neurons); });
}

ntap_status capi_attributions_new_gathered(const ntap_tensor *const *inputs, size_t n_inputs,
                                           size_t n_neurons, capi_attributions **attributions,
                                           ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        const c10::InferenceMode no_inference(false);
        const at::NoGradGuard no_grad;
        auto made = std::make_unique<capi_attributions>(inputs, n_inputs, n_neurons);
        made->gather_on(inputs[0]->tensor.device());
        *attributions = made.release();
    });
}

ntap_status capi_attributions_part(const capi_attributions *whole, int64_t first_example,
                                   int64_t n_examples, int clear, capi_attributions **part,
                                   ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        const c10::InferenceMode no_inference(false);
        const at::NoGradGuard no_grad;
        auto made = std::make_unique<capi_attributions>(whole->part(first_example, n_examples));
        if (clear != 0)
            made->clear();
        *part = made.release();
    });
}

void capi_attributions_free(capi_attributions *attributions) { delete attributions; }

int capi_attributions_lack(const capi_attributions *attributions, size_t *input) {
    return attributions->lacks(*input) ? 1 : 0;
}

ntap_status capi_attributions_finish(capi_attributions *attributions, size_t n_leading,
                                     const int64_t *leading, ntap_tensor **grads, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        const c10::InferenceMode no_inference(false);
        const at::NoGradGuard no_grad;
        std::vector<std::unique_ptr<ntap_tensor>> made;
        for (size_t i = 0; i < attributions->n_inputs(); ++i)
            made.emplace_back(wrap(attributions->take(i, {leading, n_leading})));
        for (size_t i = 0; i < made.size(); ++i)
            grads[i] = made[i].release();
    });
}
