// Two GPUs where there is none: a library to preload into a program of a libtorch for CPUs.
//
// The memory of their tensors lies behind addresses that no processor can read, so code that takes
// a tensor of a GPU for one of the CPU ends in a fault. Every operator runs on the CPU, over that
// memory's true address, and refuses operands from several devices, as CUDA's do. What it computes
// is therefore exact; what it takes says nothing.
#include <torch/version.h>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TracerMode.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

constexpr c10::DeviceIndex kGpus = 2;
// Bits of an address that no address in reach has: with them an access is a fault.
constexpr std::uintptr_t kOutOfReach = std::uintptr_t{1} << 62;
constexpr unsigned kGpuBits = 58; // from there on is which GPU it is
constexpr std::uintptr_t kInReach = (std::uintptr_t{1} << kGpuBits) - 1;
constexpr std::size_t kAlignment = 64;

thread_local c10::DeviceIndex current_gpu = 0;

char *in_reach(const void *address) {
    return reinterpret_cast<char *>(reinterpret_cast<std::uintptr_t>(address) & kInReach);
}

void *out_of_reach(void *address, c10::DeviceIndex gpu) {
    return reinterpret_cast<void *>(reinterpret_cast<std::uintptr_t>(address) | kOutOfReach |
                                    static_cast<std::uintptr_t>(gpu) << kGpuBits);
}

c10::Device gpu_of(const void *address) {
    const auto bits = reinterpret_cast<std::uintptr_t>(address);
    TORCH_CHECK((bits & kOutOfReach) != 0, "the memory is not a GPU's");
    return {c10::kCUDA, static_cast<c10::DeviceIndex>((bits & ~kOutOfReach) >> kGpuBits)};
}

c10::DataPtr allocate_on_gpu(std::size_t size) {
    const c10::Device device(c10::kCUDA, current_gpu);
    if (size == 0)
        return {nullptr, nullptr, &std::free, device};
    const std::size_t whole = (size + kAlignment - 1) / kAlignment * kAlignment;
    void *memory = std::aligned_alloc(kAlignment, whole);
    TORCH_CHECK(memory != nullptr, "CUDA out of memory");
    return {out_of_reach(memory, current_gpu), memory, &std::free, device};
}

class GpuAllocator final : public c10::Allocator {
  public:
#if TORCH_VERSION_MAJOR >= 2
    c10::DataPtr allocate(std::size_t size) override { return allocate_on_gpu(size); }
    void copy_data(void *to, const void *from, std::size_t size) const override {
        std::memcpy(in_reach(to), in_reach(from), size);
    }
#else
    c10::DataPtr allocate(std::size_t size) const override { return allocate_on_gpu(size); }
#endif
};

GpuAllocator gpu_allocator;

class GpuGuard final : public c10::impl::DeviceGuardImplInterface {
  public:
    c10::DeviceType type() const override { return c10::kCUDA; }
    c10::Device exchangeDevice(c10::Device device) const override {
        const c10::Device before = getDevice();
        setDevice(device);
        return before;
    }
    c10::Device getDevice() const override { return {c10::kCUDA, current_gpu}; }
    void setDevice(c10::Device device) const override {
        TORCH_CHECK(device.is_cuda() && device.index() < kGpus, "no such device: ", device);
        uncheckedSetDevice(device);
    }
    void uncheckedSetDevice(c10::Device device) const noexcept override {
        if (device.has_index())
            current_gpu = device.index();
    }
    c10::Stream getStream(c10::Device device) const noexcept override {
        return c10::Stream(c10::Stream::DEFAULT, device);
    }
    c10::Stream getDefaultStream(c10::Device device) const override { return getStream(device); }
    c10::Stream exchangeStream(c10::Stream stream) const noexcept override {
        return getStream(stream.device());
    }
    c10::DeviceIndex deviceCount() const noexcept override { return kGpus; }
};

const at::Generator &generator_of(c10::DeviceIndex index) {
    static const std::array<at::Generator, kGpus> generators{at::detail::createCPUGenerator(1),
                                                             at::detail::createCPUGenerator(2)};
    return generators.at(static_cast<std::size_t>(index < 0 ? current_gpu : index));
}

struct CUDAHooks final : at::CUDAHooksInterface {
    explicit CUDAHooks(at::CUDAHooksArgs /*unused*/) {}
    bool hasCUDA() const override { return true; }
    c10::Device getDeviceFromPtr(void *address) const override { return gpu_of(address); }
    int getNumGPUs() const override { return kGpus; }
#if TORCH_VERSION_MAJOR >= 2
    void init() const override {}
    c10::DeviceIndex deviceCount() const override { return kGpus; }
    // Later versions have these as virtual functions.
    bool isBuilt() const { return true; }
    bool isAvailable() const { return true; }
    c10::DeviceIndex current_device() const override { return current_gpu; }
    bool hasPrimaryContext(c10::DeviceIndex /*index*/) const override { return true; }
    const at::Generator &getDefaultGenerator(c10::DeviceIndex index) const override {
        return generator_of(index);
    }
#else
    void initCUDA() const override {}
    std::int64_t current_device() const override { return current_gpu; }
    bool hasPrimaryContext(std::int64_t /*index*/) const override { return true; }
    const at::Generator &getDefaultCUDAGenerator(c10::DeviceIndex index) const override {
        return generator_of(index);
    }
#endif
};

// Complex tensors may be conjugated by a bit.
at::Tensor with_bits_of(const at::Tensor &twin, const at::Tensor &tensor) {
    twin.unsafeGetTensorImpl()->_set_conj(tensor.is_conj());
    twin.unsafeGetTensorImpl()->_set_neg(tensor.is_neg());
    return twin;
}

// What stands for a tensor of a GPU while an operator runs on the CPU.
at::Tensor host_twin(const at::Tensor &tensor) {
    const auto &storage = tensor.storage();
    const auto bytes = static_cast<std::int64_t>(storage.nbytes());
    const std::int64_t size = bytes / static_cast<std::int64_t>(tensor.element_size());
    const auto options = at::TensorOptions().dtype(tensor.scalar_type());
    if (size == 0)
        return at::empty(tensor.sizes(), options);
    const at::Tensor all = at::from_blob(in_reach(storage.data()), {size}, options);
    return with_bits_of(all.as_strided(tensor.sizes(), tensor.strides(), tensor.storage_offset()),
                        tensor);
}

// A tensor of a GPU over a storage, as a tensor of the CPU is over its own.
at::Tensor gpu_twin(const at::Tensor &host, const c10::Storage &storage) {
    const c10::DispatchKeySet keys(c10::DispatchKey::CUDA);
    auto tensor =
        at::detail::make_tensor<c10::TensorImpl>(c10::Storage(storage), keys, host.dtype());
    auto *impl = tensor.unsafeGetTensorImpl();
    impl->set_storage_offset(host.storage_offset());
    impl->set_sizes_and_strides(host.sizes(), host.strides());
    return with_bits_of(tensor, host);
}

at::Tensor new_on_gpu(const at::Tensor &host, c10::Device device) {
    const c10::DeviceGuard guard(device);
    at::Tensor made = at::detail::empty_strided_generic(
        host.sizes(), host.strides(), &gpu_allocator, c10::DispatchKeySet(c10::DispatchKey::CUDA),
        host.scalar_type());
    if (made.numel() > 0)
        host_twin(made).copy_(host);
    return made;
}

at::Tensor &set_(at::Tensor &self, c10::Storage storage, std::int64_t offset,
                 c10::IntArrayRef sizes, c10::IntArrayRef strides) {
    auto *impl = self.unsafeGetTensorImpl();
    impl->set_storage_keep_dtype(std::move(storage));
    impl->set_storage_offset(offset);
    impl->set_sizes_and_strides(sizes, strides);
    return self;
}

void resize_storage(at::Tensor tensor, c10::IntArrayRef sizes) {
    const auto made =
        new_on_gpu(at::empty(sizes, tensor.options().device(at::kCPU)), tensor.device());
    set_(tensor, made.storage(), 0, made.sizes(), made.strides());
}

// One operator: its operands on the way to the CPU, its results on the way back.
class Call {
  public:
    explicit Call(const c10::OperatorHandle &op) : op_(op) {}

    void run(torch::jit::Stack *stack) {
        const at::tracer::impl::NoTracerDispatchMode not_traced_twice;
        const auto &schema = op_.schema();
        const std::size_t first = stack->size() - schema.arguments().size();
        for (std::size_t i = first; i < stack->size(); ++i)
            (*stack)[i] = to_host((*stack)[i]);
        check_devices();
        op_.callBoxed(stack);
        grow_operands();
        for (std::size_t i = stack->size() - schema.returns().size(); i < stack->size(); ++i)
            (*stack)[i] = to_gpu((*stack)[i]);
    }

  private:
    struct Operand {
        at::Tensor gpu, host;
    };

    void see(c10::Device device) {
        if (!device_)
            device_ = device.has_index() ? device : c10::Device(c10::kCUDA, current_gpu);
        else if (device.has_index() && *device_ != device)
            mixed_ = true;
    }

    at::Tensor to_host(const at::Tensor &tensor) {
        if (!tensor.defined())
            return tensor;
        if (!tensor.is_cuda()) {
            on_host_ = on_host_ || tensor.dim() > 0;
            return tensor;
        }
        see(tensor.device());
        operands_.push_back({tensor, host_twin(tensor)});
        return operands_.back().host;
    }

    c10::IValue to_host(const c10::IValue &value) {
        if (value.isTensor())
            return to_host(value.toTensor());
        if (value.isTensorList()) {
            c10::List<at::Tensor> list;
            for (const at::Tensor &tensor : value.toTensorVector())
                list.push_back(to_host(tensor));
            return list;
        }
        if (value.isList() && value.toListRef().size() > 0 && has_tensors(value.toListRef())) {
            c10::List<c10::optional<at::Tensor>> list;
            for (const c10::IValue &item : value.toListRef())
                list.push_back(item.isNone() ? c10::optional<at::Tensor>()
                                             : to_host(item.toTensor()));
            return list;
        }
        if (value.isDevice() && value.toDevice().is_cuda()) {
            see(value.toDevice());
            return c10::Device(at::kCPU);
        }
        return value;
    }

    static bool has_tensors(c10::ArrayRef<c10::IValue> list) {
        for (const c10::IValue &item : list)
            if (item.isTensor())
                return true;
        return false;
    }

    // Indices may lie on the host, as with CUDA.
    void check_devices() const {
        const auto &name = op_.schema().name();
        const bool indexes = name.find("index") != std::string::npos;
        TORCH_CHECK(!mixed_ && (!on_host_ || indexes), name,
                    ": Expected all tensors to be on the same device");
    }

    void grow_operands() {
        for (const Operand &operand : operands_)
            if (operand.gpu.numel() == 0 && operand.host.numel() > 0) {
                resize_storage(operand.gpu, operand.host.sizes());
                host_twin(operand.gpu).copy_(operand.host);
            }
    }

    at::Tensor to_gpu(const at::Tensor &tensor) {
        if (!tensor.defined() || !device_)
            return tensor;
        for (const Operand &operand : operands_)
            if (tensor.is_same(operand.host))
                return operand.gpu;
        for (const Operand &operand : operands_)
            if (tensor.storage().nbytes() > 0 &&
                tensor.storage().data() == operand.host.storage().data())
                return gpu_twin(tensor, operand.gpu.storage());
        return new_on_gpu(tensor, *device_);
    }

    c10::IValue to_gpu(const c10::IValue &value) {
        if (value.isTensor())
            return to_gpu(value.toTensor());
        if (value.isTensorList()) {
            c10::List<at::Tensor> list;
            for (const at::Tensor &tensor : value.toTensorVector())
                list.push_back(to_gpu(tensor));
            return list;
        }
        return value;
    }

    const c10::OperatorHandle &op_;
    std::vector<Operand> operands_;
    c10::optional<c10::Device> device_;
    bool on_host_ = false, mixed_ = false;
};

void on_host(const c10::OperatorHandle &op, torch::jit::Stack *stack) { Call(op).run(stack); }

at::Tensor reachable(const at::Tensor &tensor) {
    return tensor.is_cuda() ? host_twin(tensor) : tensor;
}

at::Tensor &copy_(at::Tensor &self, const at::Tensor &source, bool /*non_blocking*/) {
    reachable(self).copy_(reachable(source));
    return self;
}

const at::Tensor &resize_(const at::Tensor &self, c10::IntArrayRef sizes,
                          c10::optional<c10::MemoryFormat> /*format*/) {
    if (self.sizes() != sizes)
        resize_storage(self, sizes);
    return self;
}

C10_REGISTER_GUARD_IMPL(CUDA, GpuGuard);
const bool allocates = (c10::SetAllocator(c10::kCUDA, &gpu_allocator), true);

} // namespace

namespace at {
REGISTER_CUDA_HOOKS(CUDAHooks);
} // namespace at

TORCH_LIBRARY_IMPL(_, CUDA, m) {
    m.fallback(torch::CppFunction::makeFromBoxedFunction<&on_host>());
}

TORCH_LIBRARY_IMPL(aten, CUDA, m) {
    m.impl("copy_", &copy_);
    m.impl("resize_", &resize_);
    m.impl("set_.source_Storage_storage_offset", &set_);
    // Composed of operators that only CUDA has.
    m.impl("_convolution", torch::CppFunction::makeFromBoxedFunction<&on_host>());
    m.impl("convolution", torch::CppFunction::makeFromBoxedFunction<&on_host>());
    m.impl("convolution_backward", torch::CppFunction::makeFromBoxedFunction<&on_host>());
}
