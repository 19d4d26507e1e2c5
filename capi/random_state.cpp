#include "random_state.hpp"

namespace neurotap {
namespace {

std::recursive_mutex &turns() {
    static std::recursive_mutex mutex;
    return mutex;
}

thread_local int turns_taken = 0;

} // namespace

Devices devices_of(const std::vector<c10::IValue> &values) {
    Devices devices{at::Device(at::kCPU)};
    const auto add = [&](const c10::IValue &part) {
        if (part.isTensor() && part.toTensor().defined() &&
            (part.toTensor().is_cpu() || part.toTensor().is_cuda()))
            devices.insert(part.toTensor().device());
        return false; // and look inside
    };
    for (const c10::IValue &value : values)
        value.visit(add);
    return devices;
}

KeepRandomState::KeepRandomState(const Devices &devices) : turn_(turns()) {
    add(devices);
    ++turns_taken;
}

bool KeepRandomState::in_turn() { return turns_taken > 0; }

void KeepRandomState::add(const Devices &devices) {
    for (const at::Device &device : devices) {
        if (!kept_.insert(device).second)
            continue;
        at::Generator generator = at::globalContext().defaultGenerator(device);
        const std::lock_guard<std::mutex> lock(generator.mutex());
        states_.emplace_back(generator, generator.get_state());
    }
}

KeepRandomState::~KeepRandomState() {
    --turns_taken;
    for (auto &saved : states_) {
        const std::lock_guard<std::mutex> lock(saved.first.mutex());
        saved.first.set_state(saved.second);
    }
}

} // namespace neurotap
