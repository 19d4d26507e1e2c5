// Models and values on other devices.
#pragma once

#include "handles.hpp"
#include "run_context.hpp"

#include <unordered_map>

namespace neurotap {

// Copies of a model's objects, whose tensors are on a device. A tensor that is there already keeps
// its memory: what is written to one shows in the other.
class Replicator {
  public:
    explicit Replicator(const at::Device &device) : device_(device) {}

    ObjectPtr replicate(const ObjectPtr &object);
    // The copy takes over the tensors and all else that the object has now.
    void update(const ObjectPtr &object, const ObjectPtr &copy);

  private:
    c10::IValue replicate(const c10::IValue &value);
    c10::IValue replicate_parts(const c10::IValue &value);
    c10::IValue replicate_list(const c10::IValue &value);
    c10::IValue replicate_dict(const c10::IValue &value);
    void update_slot(const c10::IValue &value, size_t slot, const ObjectPtr &copy);

    at::Device device_;
    // Copies by what they are copies of: what is shared stays shared.
    std::unordered_map<const void *, c10::IValue> known_;
};

// A value whose tensors a function has changed.
ntap_value map_tensors(const ntap_value &value,
                       c10::function_ref<at::Tensor(const at::Tensor &)> change);

} // namespace neurotap
