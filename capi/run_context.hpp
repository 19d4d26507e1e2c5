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

class RunContext {
  public:
    // An isolated run leaves the model and the random number generators as they were.
    RunContext(size_t n_taps, bool isolated) : calls(n_taps), isolated_(isolated) {}

    bool isolated() const { return isolated_; }

    // The hooks that are in force, the same throughout the run; NULL if there are none.
    HookRun *hooks_of(const HookRegistry &registry);

    // A copy of the model for an isolated run to change. If the run runs it again, that begins with
    // what the last time left, but does not write to it: autograd may need it.
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
    bool isolated_;
    // Those of the model, and of the model that it runs; NULL for none.
    c10::SmallVector<std::pair<const HookRegistry *, std::unique_ptr<HookRun>>, 2> hooks_;
    std::map<const c10::ivalue::Object *, ObjectPtr> copies_;
    std::unique_ptr<KeepRandomState> random_;
};

} // namespace neurotap
