// Running the programs of TorchScript models.
#pragma once

#include "script_model.hpp"

namespace neurotap {

class ScriptRun : public Runnable {
  public:
    ScriptRun(std::shared_ptr<const ScriptModel> model, Taps taps, bool whole)
        : model_(std::move(model)), taps_(std::move(taps)), whole_(whole),
          plain_(model_->program(taps_, whole_, nullptr)) {}

    std::vector<size_t> site_counts() const override { return plain_->site_counts; }
    std::string operator_without_gradient() const override { return plain_->no_gradient; }
    FoundTape tape(const Arguments &arguments) const override;
    c10::IValue run(RunContext &context, const Arguments &arguments) const override;

  private:
    std::shared_ptr<const Program> program_for(const HookRun *hooks) const;

    std::shared_ptr<const ScriptModel> model_;
    Taps taps_;
    bool whole_;
    std::shared_ptr<const Program> plain_; // without hooks
};

} // namespace neurotap
