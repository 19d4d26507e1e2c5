// What is behind the handle of a module.
#pragma once

#include "hook.hpp"
#include "run_context.hpp"
#include "tape_cache.hpp"

#include <neurotap/module.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace neurotap {

struct Layer {
    std::string path;
    std::string type; // its class in Python
};

// What a run is given: tensors to differentiate, and then anything.
struct Arguments {
    const std::vector<at::Tensor> &leaves;
    const ntap_value *const *values;
    size_t n_values;
    bool with_graph; // whether the values keep the autograd graph that they carry
};

// A model made ready for the taps that it was asked for. Its runs are re-entrant.
class Runnable {
  public:
    virtual ~Runnable() = default;

    // In how many places of the program each tap is recorded.
    virtual std::vector<size_t> site_counts() const = 0;
    // An operator in the program that has no gradient; "" if there is none.
    virtual std::string operator_without_gradient() const { return ""; }
    // The tape for such arguments, if there is one, and those of them that are tensors beside the
    // leaves.
    struct FoundTape {
        std::shared_ptr<const Tape> tape;
        std::vector<at::Tensor> arguments;
    };
    virtual FoundTape tape(const Arguments & /*arguments*/) const { return {}; }
    // Fills the context's calls; returns the model's result if the whole of it was run.
    virtual c10::IValue run(RunContext &context, const Arguments &arguments) const = 0;
};

// A model of any kind: a loaded one, or a function of the caller's.
class Model : public std::enable_shared_from_this<Model> {
  public:
    virtual ~Model() = default;

    const std::vector<Layer> &layers() const { return layers_; }
    const std::string &signature() const { return signature_; }

    // The names of all values that layers compute, such as "layer1.0/add:1"; found on first use.
    virtual const std::vector<std::string> &values() const = 0;
    // Whether there is a layer or a value of that name, and whether a run could reach it.
    virtual bool has(const std::string &name) const = 0;
    virtual bool reaches(const std::string &name) const = 0;

    // With `whole` for the result as well; otherwise a run ends behind the last tap.
    virtual std::shared_ptr<const Runnable> prepare(const Taps &taps, bool whole) const = 0;

    // Where the hooks of a layer are kept.
    virtual const std::shared_ptr<HookRegistry> &registry_of(const std::string &layer) const = 0;

    // Moves to a device, converts to a dtype; NULL for neither.
    virtual void move(const at::Device *device, const at::ScalarType *dtype) = 0;

    // The same model on a device, with the same hooks. Weights that are there already are shared.
    virtual std::shared_ptr<Model> replicate(const at::Device &device) const = 0;
    // Of a replica: takes over the weights that what it was made from has now.
    virtual void update() = 0;

  protected:
    std::vector<Layer> layers_;
    std::string signature_;
};

} // namespace neurotap

struct ntap_module {
    explicit ntap_module(std::shared_ptr<neurotap::Model> its_model, size_t which = 0)
        : model(std::move(its_model)), replica(which) {}

    // The whole of it, without taps; made on first use.
    std::shared_ptr<const neurotap::Runnable> forward() const;

    const std::shared_ptr<neurotap::Model> model; // of a data-parallel module what it was made from
    const size_t replica;

    // Of a data-parallel module. Replicas on one device are one model.
    std::vector<std::unique_ptr<ntap_module>> replicas;
    std::unique_ptr<void, void (*)(void *)> threads{nullptr, nullptr}; // src/'s

  private:
    mutable std::mutex mutex_;
    mutable std::shared_ptr<const neurotap::Runnable> forward_;
};
