#include "run_context.hpp"

namespace neurotap {

HookRun *RunContext::hooks_of(const HookRegistry &registry) {
    for (const auto &known : hooks_)
        if (known.first == &registry)
            return known.second.get();
    HookSetPtr set = registry.current();
    hooks_.emplace_back(&registry,
                        set ? std::make_unique<HookRun>(std::move(set), replica_) : nullptr);
    return hooks_.back().second.get();
}

const ObjectPtr &RunContext::copy_of(const ObjectPtr &model) {
    ObjectPtr &latest = copies_[model.get()];
    const at::NoGradGuard no_grad; // the copies are values, not results
    latest = (latest ? latest : model)->deepcopy();
    return latest;
}

void RunContext::draw_random(const Devices &devices) {
    if (random_)
        random_->add(devices);
    else
        random_ = std::make_unique<KeepRandomState>(devices);
}

} // namespace neurotap
