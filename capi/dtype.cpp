// neurotap's numbers for element types and devices, and libtorch's: one checked switch each way.
#include "handles.hpp"

namespace neurotap {

at::ScalarType to_torch(ntap_dtype dtype) {
    switch (dtype) {
    case NTAP_DTYPE_BOOL:
        return at::kBool;
    case NTAP_DTYPE_UINT8:
        return at::kByte;
    case NTAP_DTYPE_INT8:
        return at::kChar;
    case NTAP_DTYPE_INT16:
        return at::kShort;
    case NTAP_DTYPE_INT32:
        return at::kInt;
    case NTAP_DTYPE_INT64:
        return at::kLong;
    case NTAP_DTYPE_FLOAT16:
        return at::kHalf;
    case NTAP_DTYPE_BFLOAT16:
        return at::kBFloat16;
    case NTAP_DTYPE_FLOAT32:
        return at::kFloat;
    case NTAP_DTYPE_FLOAT64:
        return at::kDouble;
    case NTAP_DTYPE_COMPLEX64:
        return at::kComplexFloat;
    case NTAP_DTYPE_COMPLEX128:
        return at::kComplexDouble;
    case NTAP_DTYPE_NONE:
        break;
    }
    fail(NTAP_ERROR_DTYPE, "dtype ", static_cast<int>(dtype), " is not an element type");
}

ntap_dtype from_torch(at::ScalarType dtype) {
    switch (dtype) {
    case at::kBool:
        return NTAP_DTYPE_BOOL;
    case at::kByte:
        return NTAP_DTYPE_UINT8;
    case at::kChar:
        return NTAP_DTYPE_INT8;
    case at::kShort:
        return NTAP_DTYPE_INT16;
    case at::kInt:
        return NTAP_DTYPE_INT32;
    case at::kLong:
        return NTAP_DTYPE_INT64;
    case at::kHalf:
        return NTAP_DTYPE_FLOAT16;
    case at::kBFloat16:
        return NTAP_DTYPE_BFLOAT16;
    case at::kFloat:
        return NTAP_DTYPE_FLOAT32;
    case at::kDouble:
        return NTAP_DTYPE_FLOAT64;
    case at::kComplexFloat:
        return NTAP_DTYPE_COMPLEX64;
    case at::kComplexDouble:
        return NTAP_DTYPE_COMPLEX128;
    default:
        return NTAP_DTYPE_NONE;
    }
}

at::Device to_torch(const ntap_device &device) {
    const int32_t count = ntap_device_count(device.type);
    if (device.type == NTAP_DEVICE_CPU) {
        if (device.index != 0)
            fail(NTAP_ERROR_DEVICE, "device cpu:", device.index, " does not exist; the CPU is cpu");
        return at::Device(at::kCPU);
    }
    if (device.type != NTAP_DEVICE_CUDA)
        fail(NTAP_ERROR_DEVICE, "device type ", static_cast<int>(device.type), " is unknown");
    if (count == 0)
        fail(NTAP_ERROR_DEVICE, "device cuda:", device.index,
             " does not exist: this machine, or this libtorch, has no CUDA device");
    if (device.index < 0 || device.index >= count)
        fail(NTAP_ERROR_DEVICE, "device cuda:", device.index, " does not exist; expected 0 to ",
             count - 1);
    return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(device.index));
}

ntap_device from_torch(const at::Device &device) {
    const ntap_device_type type = device.is_cuda() ? NTAP_DEVICE_CUDA : NTAP_DEVICE_CPU;
    return ntap_device{type, device.has_index() && device.index() > 0 ? device.index() : 0};
}

} // namespace neurotap
