#include "run_context.hpp"

namespace neurotap {

HookRun *RunContext::hooks_of(const HookRegistry &registry) {
    const auto known = hooks_.find(&registry);
    if (known != hooks_.end())
        return known->second.get();
    HookSetPtr set = registry.current();
    auto &run = hooks_[&registry];
    if (set)
        run = std::make_unique<HookRun>(std::move(set));
    return run.get();
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
