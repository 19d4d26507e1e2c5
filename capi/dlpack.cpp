// DLPack in and out: one conversion, for the versioned and for the legacy struct.
#include "dlpack_abi.hpp"
#include "handles.hpp"

#include <neurotap/dlpack.h>

using namespace neurotap;

namespace {

// What the struct says of its elements is their kind and their size; the size is the dtype's.
struct ElementType {
    ntap_dtype dtype;
    uint8_t code;
};

constexpr ElementType element_types[] = {
    {NTAP_DTYPE_BOOL, dlpack::type_bool},         {NTAP_DTYPE_UINT8, dlpack::type_uint},
    {NTAP_DTYPE_INT8, dlpack::type_int},          {NTAP_DTYPE_INT16, dlpack::type_int},
    {NTAP_DTYPE_INT32, dlpack::type_int},         {NTAP_DTYPE_INT64, dlpack::type_int},
    {NTAP_DTYPE_FLOAT16, dlpack::type_float},     {NTAP_DTYPE_BFLOAT16, dlpack::type_bfloat},
    {NTAP_DTYPE_FLOAT32, dlpack::type_float},     {NTAP_DTYPE_FLOAT64, dlpack::type_float},
    {NTAP_DTYPE_COMPLEX64, dlpack::type_complex}, {NTAP_DTYPE_COMPLEX128, dlpack::type_complex}};

DLDataType to_dlpack(const ElementType &element) {
    return {element.code, static_cast<uint8_t>(8 * ntap_dtype_size(element.dtype)), 1};
}

ntap_dtype from_dlpack(const DLDataType &type) {
    for (const ElementType &element : element_types) {
        const DLDataType known = to_dlpack(element);
        if (type.code == known.code && type.bits == known.bits && type.lanes == known.lanes)
            return element.dtype;
    }
    fail(NTAP_ERROR_DTYPE, "dtype has code ", static_cast<int>(type.code), ", bits ",
         static_cast<int>(type.bits), ", lanes ", type.lanes,
         "; expected the code and bits of an ntap_dtype, and lanes 1");
}

DLDataType lent_type(const at::Tensor &tensor) {
    const ntap_dtype dtype = from_torch(tensor.scalar_type());
    for (const ElementType &element : element_types)
        if (element.dtype == dtype)
            return to_dlpack(element);
    fail(NTAP_ERROR_DTYPE, "tensor has dtype ", tensor.scalar_type(), "; expected an ntap_dtype");
}

// libtorch's ROCm builds call their GPUs CUDA devices; DLPack does not.
int32_t gpu_type() {
    return at::detail::getCUDAHooks().hasROCM() ? dlpack::device_rocm : dlpack::device_cuda;
}

at::Device from_dlpack(const DLDevice &device) {
    // Host memory is host memory: some libraries number it, by the device that it was made for.
    if (device.device_type == dlpack::device_cpu || device.device_type == dlpack::device_cuda_host)
        return at::Device(at::kCPU);
    if (device.device_type != gpu_type())
        fail(NTAP_ERROR_DEVICE, "device_type is ", device.device_type, "; expected ",
             static_cast<int>(dlpack::device_cpu), " (CPU), ",
             static_cast<int>(dlpack::device_cuda_host), " (pinned host memory) or ", gpu_type(),
             " (GPU)");
    return to_torch(ntap_device{NTAP_DEVICE_CUDA, device.device_id});
}

DLDevice lent_device(const at::Tensor &tensor) {
    if (tensor.device().is_cpu())
        return {dlpack::device_cpu, 0};
    if (!tensor.device().is_cuda())
        fail(NTAP_ERROR_DEVICE, "tensor is on device ", tensor.device(),
             "; expected the CPU or a GPU");
    return {gpu_type(), from_torch(tensor.device()).index};
}

/* ---- in ---- */

void check_header(const DLManagedTensor & /*managed*/) {}

void check_header(const DLManagedTensorVersioned &managed) {
    if (managed.version.major != 1)
        fail(NTAP_ERROR_INVALID_ARGUMENT, "managed has DLPack version ", managed.version.major, ".",
             managed.version.minor, "; expected major version 1");
    if ((managed.flags & dlpack::flag_subbyte_type_padded) != 0)
        fail(NTAP_ERROR_DTYPE, "flags ", managed.flags,
             " announce padded elements of less than a byte; expected whole bytes");
}

void *first_element(const DLTensor &tensor) {
    if (tensor.byte_offset > INT64_MAX)
        fail(NTAP_ERROR_INVALID_ARGUMENT, "byte_offset is ", tensor.byte_offset,
             ": more bytes than memory can hold");
    return tensor.data == nullptr ? nullptr : static_cast<char *>(tensor.data) + tensor.byte_offset;
}

Blob from_dlpack(const DLTensor &tensor) {
    const at::ScalarType dtype = to_torch(from_dlpack(tensor.dtype));
    const at::Device device = from_dlpack(tensor.device);
    if (tensor.ndim < 0)
        fail(NTAP_ERROR_INVALID_ARGUMENT, "ndim is ", tensor.ndim, "; expected at least 0");
    const auto ndim = static_cast<size_t>(tensor.ndim);
    void *data = first_element(tensor);
    return {data, ndim, tensor.shape, tensor.strides, dtype, device, "shape"};
}

template <typename Managed> void call_deleter(void * /*data*/, void *context) {
    auto *managed = static_cast<Managed *>(context);
    if (managed->deleter != nullptr)
        managed->deleter(managed);
}

template <typename Managed>
ntap_status import_managed(Managed *managed, ntap_tensor **tensor, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        require_not_null(managed, "managed");
        require_not_null(tensor, "tensor");
        check_header(*managed);
        *tensor = wrap(from_dlpack(managed->dl_tensor), call_deleter<Managed>, managed);
    });
}

/* ---- out ---- */

// A managed tensor and what it points to. It holds the storage, not the tensor, which may have an
// autograd graph behind it.
template <typename Managed> struct Lent {
    Managed managed{};
    std::vector<int64_t> shape;
    std::vector<int64_t> strides;
    c10::Storage storage;
};

template <typename Managed> void take_back(Managed *managed) {
    delete static_cast<Lent<Managed> *>(managed->manager_ctx);
}

void write_header(DLManagedTensor & /*managed*/) {}

// Nothing of a later minor version is used.
void write_header(DLManagedTensorVersioned &managed) { managed.version = {1, 0}; }

void require_values_in_memory(const at::Tensor &tensor) {
    if (tensor.layout() != at::kStrided)
        fail(NTAP_ERROR_INVALID_ARGUMENT, "tensor has layout ", tensor.layout(),
             "; expected a strided one");
    if (tensor.is_conj() || tensor.is_neg() || tensor._is_zerotensor())
        fail(NTAP_ERROR_INVALID_ARGUMENT,
             "tensor is computed lazily (conjugated, negated or zero), so that its memory does not "
             "hold its values; expected one that does, as from ntap_tensor_clone()");
}

template <typename Managed>
ntap_status export_managed(const ntap_tensor *tensor, Managed **managed, ntap_error *err) {
    return guarded(err, NTAP_ERROR_INTERNAL, [&] {
        const at::Tensor &source = unwrap(tensor, "tensor");
        require_not_null(managed, "managed");
        const DLDataType dtype = lent_type(source);
        const DLDevice device = lent_device(source);
        require_values_in_memory(source);
        auto lent = std::make_unique<Lent<Managed>>();
        lent->shape = source.sizes().vec();
        lent->strides = source.strides().vec();
        lent->storage = source.storage();
        void *data = source.numel() == 0 ? nullptr : source.data_ptr();
        const auto ndim = static_cast<int32_t>(source.dim());
        lent->managed.dl_tensor = {
            data, device, ndim, dtype, lent->shape.data(), lent->strides.data(), 0};
        lent->managed.manager_ctx = lent.get();
        lent->managed.deleter = take_back<Managed>;
        write_header(lent->managed);
        *managed = &lent.release()->managed;
    });
}

} // namespace

ntap_status ntap_tensor_from_dlpack_versioned(DLManagedTensorVersioned *managed,
                                              ntap_tensor **tensor, ntap_error *err) {
    return import_managed(managed, tensor, err);
}

ntap_status ntap_tensor_from_dlpack(DLManagedTensor *managed, ntap_tensor **tensor,
                                    ntap_error *err) {
    return import_managed(managed, tensor, err);
}

ntap_status ntap_tensor_to_dlpack_versioned(const ntap_tensor *tensor,
                                            DLManagedTensorVersioned **managed, ntap_error *err) {
    return export_managed(tensor, managed, err);
}

ntap_status ntap_tensor_to_dlpack(const ntap_tensor *tensor, DLManagedTensor **managed,
                                  ntap_error *err) {
    return export_managed(tensor, managed, err);
}
