// Models whose forward is a function of the caller's.
#pragma once

#include "model.hpp"

#include <neurotap/callback_module.h>

namespace neurotap {

class CallbackModel : public Model {
  public:
    // `base` is what the function may run; NULL if there is nothing.
    CallbackModel(std::shared_ptr<Model> base, ntap_forward_function forward, void *context,
                  const std::vector<std::string> &own_layers);
    CallbackModel(const CallbackModel &) = delete;
    CallbackModel &operator=(const CallbackModel &) = delete;
    ~CallbackModel() override;

    // From here on the context is the model's to release.
    void finalize_with(ntap_finalizer finalizer) { finalizer_ = finalizer; }

    const std::vector<std::string> &values() const override;
    bool has(const std::string &name) const override;
    bool reaches(const std::string &name) const override;
    std::shared_ptr<const Runnable> prepare(const Taps &taps, bool whole) const override;
    const std::shared_ptr<HookRegistry> &registry_of(const std::string &layer) const override;
    void move(const at::Device *device, const at::ScalarType *dtype) override;
    std::shared_ptr<Model> replicate(const at::Device &device) const override;
    void update() override;

    // Whether it is the function that tells of the layer.
    bool is_own(const std::string &name) const;
    const Model *base() const { return base_.get(); }
    const HookRegistry &hooks() const { return *hooks_; }
    ntap_status call(ntap_view *view, const std::vector<const ntap_value *> &args,
                     ntap_value **result, ntap_error *err) const {
        return forward_(view, args.data(), args.size(), context_, result, err);
    }

  private:
    // A replica.
    CallbackModel(std::shared_ptr<const CallbackModel> source, std::shared_ptr<Model> base);

    void add_own(const std::string &path);

    std::shared_ptr<const CallbackModel> source_; // of a replica; releases the context
    std::shared_ptr<Model> base_;
    ntap_forward_function forward_;
    void *context_;
    ntap_finalizer finalizer_ = nullptr;
    std::vector<std::string> own_; // beside "", the model itself
    std::shared_ptr<HookRegistry> hooks_ = std::make_shared<HookRegistry>();
};

// A callback model made ready: its own layers are told of by the function, those of the model that
// it runs by that model.
class CallbackRun : public Runnable {
  public:
    CallbackRun(std::shared_ptr<const CallbackModel> model, const Taps &taps);

    std::vector<size_t> site_counts() const override { return site_counts_; }
    c10::IValue run(RunContext &context, const Arguments &arguments) const override;

    // What a layer of the function's own receives or returns. Returns what to go on with.
    c10::IValue tap(RunContext &context, const std::string &layer, ntap_layer_side side,
                    const c10::IValue &value) const;

    const CallbackModel &model() const { return *model_; }
    const Runnable *base() const { return base_.get(); }

  private:
    void record(RunContext &context, const std::string &layer, ntap_layer_side side,
                const std::vector<c10::IValue> &values) const;

    std::shared_ptr<const CallbackModel> model_;
    Taps own_;
    std::vector<size_t> site_counts_;
    std::shared_ptr<const Runnable> base_; // NULL if there is none
};

} // namespace neurotap

struct ntap_view {
    const neurotap::CallbackRun &run;
    neurotap::RunContext &context;
};
