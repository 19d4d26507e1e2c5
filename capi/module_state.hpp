// What is behind the handle of a module.
#pragma once

#include "compat.hpp"
#include "program.hpp"

#include <neurotap/module.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace neurotap {

using ObjectPtr = c10::intrusive_ptr<c10::ivalue::Object>;

struct Layer {
    std::string path;
    std::string type;
    ObjectPtr object;
};

// Shared by a module's handle and everything made from it.
class ModuleState {
  public:
    explicit ModuleState(const torch::jit::Module &module);

    const torch::jit::Module &module() const { return module_; }
    const std::vector<Layer> &layers() const { return layers_; }
    const std::string &signature() const { return signature_; }

    const Layer &layer(const std::string &path) const; // throws NTAP_ERROR_NOT_FOUND

    // The program that records the layers, or for no layers the whole `forward`. Compiled on first
    // use; later calls only look it up.
    std::shared_ptr<const Program> program(const std::vector<std::string> &layers,
                                           ntap_layer_side side) const;

  private:
    using ProgramKey = std::pair<std::vector<std::string>, ntap_layer_side>;

    torch::jit::Module module_;
    std::vector<Layer> layers_;
    std::string signature_;
    mutable std::mutex programs_mutex_;
    mutable std::map<ProgramKey, std::shared_ptr<const Program>> programs_;
};

} // namespace neurotap

struct ntap_module {
    std::shared_ptr<neurotap::ModuleState> state;
};
