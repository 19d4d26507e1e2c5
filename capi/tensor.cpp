// Tensors: making, looking into, converting.
#include "capi.h"
#include "handles.hpp"

#include <cstring>

using namespace neurotap;

namespace {

at::IntArrayRef checked_sizes(size_t ndim, const int64_t *sizes, const char *name) {
    if (ndim == 0)
        return {};
    require_not_null(sizes, name);
    // The number of elements, with room for the largest type, has to fit an int64.
    int64_t numel = 1;
    for (size_t dim = 0; dim < ndim; ++dim) {
        if (sizes[dim] < 0)
            fail(NTAP_ERROR_INVALID_ARGUMENT, name, "[", dim, "] is ", sizes[dim],
                 "; expected at least 0");
        if (__builtin_mul_overflow(numel, std::max<int64_t>(sizes[dim], 1), &numel) ||
            numel > INT64_MAX / 16)
            fail(NTAP_ERROR_INVALID_ARGUMENT, name, " is ", at::IntArrayRef(sizes, ndim),
                 ": more elements than memory can hold");
    }
    return {sizes, ndim};
}

at::IntArrayRef checked_strides(at::IntArrayRef sizes, const int64_t *strides) {
    int64_t last = 0; // where the last element lies; in bytes, too, it has to fit an int64
    for (size_t dim = 0; dim < sizes.size(); ++dim) {
        if (strides[dim] < 0)
            fail(NTAP_ERROR_INVALID_ARGUMENT, "strides[", dim, "] is ", strides[dim],
                 "; expected at least 0");
        int64_t way = 0;
        if (__builtin_mul_overflow(std::max<int64_t>(sizes[dim] - 1, 0), strides[dim], &way) ||
            __builtin_add_overflow(last, way, &last) || last >= INT64_MAX / 16)
            fail(NTAP_ERROR_INVALID_ARGUMENT, "strides[", dim, "] is ", strides[dim],
                 ": further than memory reaches");
    }
    return {strides, sizes.size()};
}

ntap_status make(size_t ndim, const int64_t *sizes, ntap_dtype dtype, ntap_device device,
                 bool zeros, ntap_tensor **tensor, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        require_not_null(tensor, "tensor");
        const c10::InferenceMode no_inference(false);
        const auto options = at::TensorOptions().dtype(to_torch(dtype)).device(to_torch(device));
        const auto shape = checked_sizes(ndim, sizes, "sizes");
        *tensor = wrap(zeros ? at::zeros(shape, options) : at::empty(shape, options));
    });
}

// Operators load elements with instructions that want them at multiples of their size.
void check_address(const Blob &blob, at::IntArrayRef shape) {
    if (blob.data == nullptr)
        fail(NTAP_ERROR_INVALID_ARGUMENT, "data is NULL; expected an address, as ", blob.sizes_name,
             " is ", shape);
    const auto size = c10::elementSize(blob.dtype);
    if (reinterpret_cast<uintptr_t>(blob.data) % size != 0)
        fail(NTAP_ERROR_INVALID_ARGUMENT, "data is ", blob.data, "; expected a multiple of ", size,
             ", the size of ", ntap_dtype_name(from_torch(blob.dtype)));
}

// Runs the caller's deleter when the last reference to the memory is gone, even for data == NULL.
class Release {
  public:
    Release(void *data, ntap_deleter deleter, void *context)
        : data_(data), deleter_(deleter), context_(context) {}
    Release(const Release &) = delete;
    Release &operator=(const Release &) = delete;
    ~Release() {
        if (armed_ && deleter_ != nullptr)
            deleter_(data_, context_);
    }
    void arm() { armed_ = true; }

  private:
    void *data_;
    ntap_deleter deleter_;
    void *context_;
    bool armed_ = false;
};

} // namespace

at::Tensor neurotap::host_elements(const at::Tensor &tensor) {
    const at::NoGradGuard no_grad;
    const at::Tensor dense = tensor.layout() == at::kStrided ? tensor : tensor.to_dense();
    return dense.detach().to(at::kCPU).resolve_conj().resolve_neg().contiguous();
}

ntap_tensor *neurotap::wrap(const Blob &blob, ntap_deleter deleter, void *context) {
    const auto shape = checked_sizes(blob.ndim, blob.sizes, blob.sizes_name);
    if (c10::multiply_integers(shape) != 0)
        check_address(blob, shape);
    const c10::InferenceMode no_inference(false);
    auto handle = std::make_unique<ntap_tensor>();
    // libtorch's to delete, also, unarmed, when it fails. Its other kind of deleter, a function
    // object, ends the program when there is no memory to copy it.
    auto *const release = new Release(blob.data, deleter, context);
    auto maker = at::for_blob(blob.data, shape);
    maker.context(release, [](void *owned) { delete static_cast<Release *>(owned); });
    if (blob.strides != nullptr)
        maker.strides(checked_strides(shape, blob.strides));
    handle->tensor = maker.options(at::TensorOptions().dtype(blob.dtype).device(blob.device))
                         .target_device(blob.device)
                         .make_tensor();
    release->arm();
    return handle.release();
}

namespace {

// As libtorch's own in-place operators do: what was kept of the elements is outdated.
void note_write(const at::Tensor &tensor) {
    if (!tensor.is_inference())
        tensor.unsafeGetTensorImpl()->bump_version();
}

bool has_host_data(const at::Tensor &tensor) {
    return tensor.defined() && tensor.layout() == at::kStrided && tensor.device().is_cpu() &&
           tensor.numel() > 0 && !tensor.is_conj() && !tensor.is_neg();
}

} // namespace

ntap_status ntap_tensor_from_blob(void *data, size_t ndim, const int64_t *sizes,
                                  const int64_t *strides, ntap_dtype dtype, ntap_device device,
                                  ntap_deleter deleter, void *context, ntap_tensor **tensor,
                                  ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        require_not_null(tensor, "tensor");
        const at::Device target = to_torch(device);
        *tensor = wrap(Blob{data, ndim, sizes, strides, to_torch(dtype), target, "sizes"}, deleter,
                       context);
    });
}

ntap_status ntap_tensor_empty(size_t ndim, const int64_t *sizes, ntap_dtype dtype,
                              ntap_device device, ntap_tensor **tensor, ntap_error *err) {
    return make(ndim, sizes, dtype, device, false, tensor, err);
}

ntap_status ntap_tensor_zeros(size_t ndim, const int64_t *sizes, ntap_dtype dtype,
                              ntap_device device, ntap_tensor **tensor, ntap_error *err) {
    return make(ndim, sizes, dtype, device, true, tensor, err);
}

ntap_status ntap_tensor_clone(const ntap_tensor *tensor, ntap_tensor **clone, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        const at::Tensor &source = unwrap(tensor, "tensor");
        require_not_null(clone, "clone");
        const c10::InferenceMode no_inference(false);
        const at::NoGradGuard no_grad;
        *clone = wrap(source.layout() == at::kStrided ? source.clone(at::MemoryFormat::Contiguous)
                                                      : source.clone());
    });
}

ntap_status ntap_tensor_to(const ntap_tensor *tensor, const ntap_device *device, ntap_dtype dtype,
                           ntap_tensor **converted, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        const at::Tensor &source = unwrap(tensor, "tensor");
        require_not_null(converted, "converted");
        const auto target = device == nullptr ? source.device() : to_torch(*device);
        const auto type = dtype == NTAP_DTYPE_NONE ? source.scalar_type() : to_torch(dtype);
        *converted = wrap(source.to(target, type));
    });
}

void ntap_tensor_free(ntap_tensor *tensor) { delete tensor; }

size_t ntap_tensor_ndim(const ntap_tensor *tensor) {
    return tensor == nullptr ? 0 : static_cast<size_t>(tensor->tensor.dim());
}

int64_t ntap_tensor_size(const ntap_tensor *tensor, size_t dim) {
    return dim < ntap_tensor_ndim(tensor) ? tensor->tensor.sizes()[dim] : -1;
}

int64_t ntap_tensor_stride(const ntap_tensor *tensor, size_t dim) {
    if (dim >= ntap_tensor_ndim(tensor) || tensor->tensor.layout() != at::kStrided)
        return -1;
    return tensor->tensor.strides()[dim];
}

int64_t ntap_tensor_numel(const ntap_tensor *tensor) {
    return tensor == nullptr ? 0 : tensor->tensor.numel();
}

ntap_dtype ntap_tensor_dtype(const ntap_tensor *tensor) {
    return tensor == nullptr ? NTAP_DTYPE_NONE : from_torch(tensor->tensor.scalar_type());
}

ntap_device ntap_tensor_device(const ntap_tensor *tensor) {
    return tensor == nullptr ? ntap_device{NTAP_DEVICE_CPU, 0}
                             : from_torch(tensor->tensor.device());
}

int ntap_tensor_is_contiguous(const ntap_tensor *tensor) {
    return tensor != nullptr && tensor->tensor.layout() == at::kStrided &&
           tensor->tensor.is_contiguous();
}

const void *ntap_tensor_data(const ntap_tensor *tensor) {
    return tensor != nullptr && has_host_data(tensor->tensor) ? tensor->tensor.data_ptr() : nullptr;
}

void *ntap_tensor_mutable_data(ntap_tensor *tensor) {
    if (tensor == nullptr || !has_host_data(tensor->tensor))
        return nullptr;
    note_write(tensor->tensor);
    return tensor->tensor.data_ptr();
}

ntap_status ntap_tensor_copy_to_host(const ntap_tensor *tensor, void *buffer, size_t size,
                                     ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        const at::Tensor &source = unwrap(tensor, "tensor");
        if (from_torch(source.scalar_type()) == NTAP_DTYPE_NONE)
            fail(NTAP_ERROR_DTYPE, "tensor has dtype ", source.scalar_type(),
                 ", which cannot be copied to the host");
        const size_t needed = static_cast<size_t>(source.numel() * source.element_size());
        if (size != needed)
            fail(NTAP_ERROR_SHAPE, "size is ", size, " bytes; expected ", needed, " for ",
                 ntap_dtype_name(from_torch(source.scalar_type())), source.sizes());
        if (needed == 0)
            return;
        require_not_null(buffer, "buffer");
        std::memcpy(buffer, host_elements(source).data_ptr(), needed);
    });
}

ntap_status capi_tensor_share(const ntap_tensor *tensor, ntap_tensor **handle, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] { *handle = wrap(tensor->tensor); });
}

const int64_t *capi_tensor_sizes(const ntap_tensor *tensor) {
    return tensor->tensor.sizes().data();
}
