// The hooks on a model's layers, and a run's part of them.
#pragma once

#include "handles.hpp"

#include <neurotap/hook.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace neurotap {

// One hook, kept by the registry, by its handle, and by the runs that may call it. The last of them
// runs the finalizer.
class Hook {
  public:
    Hook(ntap_hook_callback callback, void *context) : callback_(callback), context_(context) {}
    Hook(const Hook &) = delete;
    Hook &operator=(const Hook &) = delete;
    ~Hook();

    void finalize_with(ntap_finalizer finalizer) { finalizer_ = finalizer; }
    void switch_off() { active_ = false; }
    bool active() const { return active_; }
    ntap_status call(const ntap_hook_call &call, ntap_value **replacement, ntap_error *err) const {
        return callback_(&call, context_, replacement, err);
    }

  private:
    ntap_hook_callback callback_;
    void *context_;
    ntap_finalizer finalizer_ = nullptr;
    std::atomic<bool> active_{true};
};

using HookList = std::vector<std::shared_ptr<Hook>>;

struct LayerHooks {
    std::string layer;
    HookList before, after;
};

// All hooks of a model, ordered by layer. Never changed once it is made: a run keeps what it began
// with.
using HookSet = std::vector<LayerHooks>;
using HookSetPtr = std::shared_ptr<const HookSet>;

class HookRegistry {
  public:
    HookSetPtr current() const; // NULL if there are none
    void add(const std::string &layer, bool before, const std::shared_ptr<Hook> &hook);
    void remove(const Hook &hook);

  private:
    mutable std::mutex mutex_;
    HookSetPtr set_;
};

// A hook failed, or stopped the run; the run knows which and why. Not a std::exception: the
// interpreter would wrap it into a traceback of the model.
struct HookFailed {};

// One run's view of a model's hooks.
class HookRun {
  public:
    HookRun(HookSetPtr hooks, size_t replica)
        : hooks_(std::move(hooks)), layers_(hooks_->size()), replica_(replica) {}

    const HookSetPtr &hooks() const { return hooks_; }
    size_t index_of(const std::string &layer) const; // the number of layers if it has no hooks

    // Calls the hooks of layer number `layer` before or after it. `values` are its arguments, or
    // its results; `types` are theirs, none if any will do. Replaces those that a hook replaces and
    // returns whether there were any. Throws a Failure.
    bool enter(size_t layer, std::vector<c10::IValue> &values,
               const std::vector<c10::TypePtr> &types);
    bool leave(size_t layer, std::vector<c10::IValue> &values,
               const std::vector<c10::TypePtr> &types);

  private:
    struct LayerRun {
        int64_t calls = 0;
        c10::IValue arguments; // of the latest call
    };

    HookSetPtr hooks_;
    std::vector<LayerRun> layers_;
    size_t replica_;
};

// A place has one value or several: that value, or the tuple of them.
c10::IValue as_one(std::vector<c10::IValue> values);

// What callbacks of the caller's owe. A value that one gives must not be a part of what was lent to
// it; `what` names it.
bool is_part_of(const ntap_value *part, const ntap_value *whole);
[[noreturn]] void refuse_lent(const std::string &what);
// Throws what the callback says of its failure, or at least that it failed.
[[noreturn]] void callback_failed(const std::string &what, ntap_status status,
                                  const ntap_error &err);

} // namespace neurotap

struct ntap_hook {
    std::weak_ptr<neurotap::HookRegistry> registry;
    std::shared_ptr<neurotap::Hook> hook;
};
