// What belongs to one run of a model, and travels with it.
#pragma once

#include "hook.hpp"
#include "random_state.hpp"

#include <neurotap/module.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace neurotap {

using ObjectPtr = c10::intrusive_ptr<c10::ivalue::Object>;

// The layers whose values are wanted.
struct Taps {
    std::vector<std::string> layers;
    ntap_layer_side side;
    std::vector<size_t> slots; // where in the run's calls the layers' values go
};

// What a run leaves as it was.
enum class Keeps {
    kNothing,       // the model may change itself
    kModel,         // but random numbers are drawn as ever
    kModelAndRandom // the random number generators too
};

class RunContext {
  public:
    // `replica` is what hooks are told.
    RunContext(size_t n_taps, Keeps keeps, size_t replica)
        : calls(n_taps), keeps_(keeps), replica_(replica) {}

    bool keeps_model() const { return keeps_ != Keeps::kNothing; }
    bool keeps_random() const { return keeps_ == Keeps::kModelAndRandom; }

    // The hooks that are in force, the same throughout the run; NULL if there are none.
    HookRun *hooks_of(const HookRegistry &registry);

    // A copy of the model for a run to change that keeps it. If the run runs it again, that begins
    // with what the last time left, but does not write to it: autograd may need it.
    const ObjectPtr &copy_of(const ObjectPtr &model);

    // From here on the run draws random numbers.
    void draw_random(const Devices &devices);

    // For each tap its value at each call: what the layer returned, or the tuple of its arguments.
    std::vector<std::vector<c10::IValue>> calls;
    std::exception_ptr failure; // of a hook

    // Calls hooks. If they fail, so does the run, whoever swallows the exception on the way.
    template <typename Body> void remember_failure(const Body &body) {
        try {
            body();
        } catch (...) {
            failure = std::current_exception();
            throw;
        }
    }

  private:
    Keeps keeps_;
    size_t replica_;
    // Those of the model, and of the model that it runs; NULL for none.
    c10::SmallVector<std::pair<const HookRegistry *, std::unique_ptr<HookRun>>, 2> hooks_;
    std::map<const c10::ivalue::Object *, ObjectPtr> copies_;
    std::unique_ptr<KeepRandomState> random_;
};

} // namespace neurotap
