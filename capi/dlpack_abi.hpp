// DLPack's structs, as its C ABI lays them out: https://dmlc.github.io/dlpack/latest/c_api.html.
// libtorch brings a header with the same names, at first without the versioned struct; nothing that
// compat.hpp includes reads it, so the two do not meet.
#pragma once

#include <cstdint>

struct DLDevice {
    int32_t device_type; // in DLPack an enum of that size; here a number, since it may be any
    int32_t device_id;
};

struct DLDataType {
    uint8_t code;
    uint8_t bits;
    uint16_t lanes;
};

struct DLTensor {
    void *data;
    DLDevice device;
    int32_t ndim;
    DLDataType dtype;
    int64_t *shape;
    int64_t *strides; // in elements
    uint64_t byte_offset;
};

struct DLManagedTensor {
    DLTensor dl_tensor;
    void *manager_ctx;
    void (*deleter)(DLManagedTensor *self);
};

struct DLPackVersion {
    uint32_t major;
    uint32_t minor;
};

struct DLManagedTensorVersioned {
    DLPackVersion version;
    void *manager_ctx;
    void (*deleter)(DLManagedTensorVersioned *self);
    uint64_t flags;
    DLTensor dl_tensor;
};

namespace neurotap::dlpack {

enum DeviceType : int32_t {
    device_cpu = 1,
    device_cuda = 2,
    device_cuda_host = 3,
    device_rocm = 10
};

enum TypeCode : uint8_t {
    type_int = 0,
    type_uint = 1,
    type_float = 2,
    type_bfloat = 4,
    type_complex = 5,
    type_bool = 6
};

constexpr uint64_t flag_subbyte_type_padded = 1U << 2U;

} // namespace neurotap::dlpack
