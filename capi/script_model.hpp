// Models that are TorchScript modules.
#pragma once

#include "kept_tensor.hpp"
#include "model.hpp"
#include "program.hpp"

#include <map>
#include <mutex>

namespace neurotap {

class ScriptModel : public Model {
  public:
    // A model that someone else holds too may change between runs.
    ScriptModel(const torch::jit::Module &module, const std::string &method, bool shared);

    const std::vector<std::string> &values() const override;
    bool has(const std::string &name) const override;
    bool reaches(const std::string &name) const override;
    std::shared_ptr<const Runnable> prepare(const Taps &taps, bool whole) const override;
    const std::shared_ptr<HookRegistry> &registry_of(const std::string &layer) const override;
    void move(const at::Device *device, const at::ScalarType *dtype) override;
    std::shared_ptr<Model> replicate(const at::Device &device) const override;
    void update() override;

    const HookRegistry &hooks() const { return *hooks_; }

    // The program for taps and hooks (NULL for none). Compiled on first use; later calls only look
    // it up.
    std::shared_ptr<const Program> program(const Taps &taps, bool whole,
                                           const HookSet *hooks) const;
    // What tapes keep; NULL if someone else holds the model, or what it is a replica of.
    WeightCopies *weight_copies() const {
        if (source_)
            return source_->weight_copies();
        return shared_ ? nullptr : &weight_copies_;
    }
    bool still_holds(const Program &program) const { return !shared_ || program.holds(); }

  private:
    // A replica.
    ScriptModel(std::shared_ptr<const ScriptModel> source, const Entry &entry);

    void forget_tapes();

    // Layers by name, with what is hooked of them: before, after.
    using HookedLayers = std::vector<std::tuple<std::string, bool, bool>>;
    using ProgramKey = std::tuple<std::vector<std::string>, ntap_layer_side, bool, HookedLayers>;

    // What the whole program reaches and computes.
    struct Catalog {
        // Layers, and values in their code, and whether a run could reach them.
        std::map<std::pair<const c10::ivalue::Object *, std::string>, bool> reached;
        std::vector<std::string> values; // the names of those that are no layer's result
    };

    // The layer or value of that name; whether the layer exists.
    bool find_target(const std::string &name, Target &target) const;
    const Catalog &catalog() const;
    Catalog make_catalog() const;
    std::shared_ptr<const Program> make_program(const ProgramKey &key) const;

    Entry entry_;
    bool shared_;
    std::shared_ptr<const ScriptModel> source_; // of a replica
    std::vector<ObjectPtr> objects_;            // of layers_
    std::shared_ptr<HookRegistry> hooks_ = std::make_shared<HookRegistry>();
    mutable WeightCopies weight_copies_;
    mutable std::mutex planning_mutex_; // of what follows
    mutable std::unique_ptr<const Catalog> catalog_;
    mutable std::map<ProgramKey, std::shared_ptr<const Program>> programs_;
};

} // namespace neurotap
