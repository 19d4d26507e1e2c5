// From a program to its tape: the program is walked through for inputs of given shapes, without
// computing any of their elements.
#pragma once

#include "program.hpp"
#include "tape_layout.hpp"
#include "tape_operators.hpp"

#include <string>
#include <unordered_map>
#include <unordered_set>

namespace neurotap {

// What the walk knows of a value of the graph.
struct Recorded {
    enum class Kind {
        kUnknown,
        kConstant,  // `constant`
        kWeight,    // `constant` is a tensor of the model
        kObject,    // `constant` is a module
        kTensor,    // number `place` of the tensors that depend on the inputs
        kSequence,  // a list or tuple of `items`, shared by all that hold it
        kDictionary // its keys and values are `items` by turns, shared likewise
    };
    Kind kind = Kind::kUnknown;
    c10::IValue constant;
    size_t place = 0;
    std::shared_ptr<std::vector<Recorded>> items;
    bool is_attribute = false; // of a module, which the program must not change

    static Recorded of(const c10::IValue &constant);
    // `constant` is what it is, whatever the inputs are.
    bool is_known() const { return kind == Kind::kConstant || kind == Kind::kWeight; }
};

// A window whose arithmetic cannot overflow, and that looks at something.
SlidingWindow checked(const SlidingWindow &window);
// Whether the node writes its result into its first input, as "aten::add_" does.
bool works_in_place(const torch::jit::Node *node);
// Whether it is one of "aten::unsafe_chunk" and the like: what they give may be written to, for
// nobody looks at the whole any more.
bool gives_separate_parts(const torch::jit::Node *node);
// The operator's name, as "aten::add" also where it works in place.
std::string name_of(const torch::jit::Node *node);
// Whether it writes into another argument, as "aten::add.out" does.
bool writes_elsewhere(const torch::jit::Node *node);

class TapeRecorder {
  public:
    TapeRecorder(const Program &program, const TapeCache::Key &inputs, WeightCopies *copies);
    TapeRecorder(const TapeRecorder &) = delete;
    TapeRecorder &operator=(const TapeRecorder &) = delete;
    ~TapeRecorder();

    // NULL if the program does anything that a tape cannot. With `copies` the tape may keep what it
    // makes of weights: nobody can change them but through libtorch's operators.
    static std::shared_ptr<const Tape> record(const Program &program, const TapeCache::Key &inputs,
                                              WeightCopies *copies);

    // For the rules (tape_rules.cpp). All throw NotRecordable where something else is there.
    const Recorded &at(const torch::jit::Value *value) const;
    const Recorded *find(const torch::jit::Value *value) const; // NULL if it is not known
    bool is_tensor(const torch::jit::Value *value) const;
    Seen seen(const torch::jit::Value *value) const; // the tape's value that it is by now
    Seen seen(const Recorded &tensor) const;
    Seen seen_or_mask(const torch::jit::Value *value) const; // the others take numbers only
    // Of one that has its examples in front, maybe together with others: of rows.
    const Sizes &sizes(const torch::jit::Value *value) const;
    c10::IValue constant(const torch::jit::Value *value) const; // a list of constants is one
    std::vector<int64_t> ints(const torch::jit::Value *value, size_t count) const; // one for all
    at::Tensor weight(const torch::jit::Value *value) const { return weight(at(value)); }
    at::Tensor weight(const Recorded &recorded) const;
    bool is_differentiable(const Seen &seen) const { return tape_->differentiable[seen.value]; }
    // A constant that the program may still write to is copied, for an operator to keep.
    at::Tensor lasting(const at::Tensor &constant) const;
    MaybeTensor maybe_weight(const torch::jit::Value *value) const;
    at::Tensor mask(const torch::jit::Value *value) const;                // a weight of booleans
    MaybeTensor bias(const torch::jit::Value *value, int64_t size) const; // of one dimension
    std::vector<Recorded> items(const torch::jit::Value *value) const;    // of a list or tuple
    WeightCopies *weight_copies() const { return weight_copies_; }
    at::ScalarType dtype() const { return dtype_; }
    at::Device device() const { return device_; }

    // The node's result is a new tensor; or, if the node works in place, its first input is.
    void put(const torch::jit::Node *node, TapeOperatorPtr op, const std::vector<size_t> &operands,
             const Layout &result);
    void put_made(const torch::jit::Node *node, const Seen &made); // likewise
    // The operator on each row of the node's first input.
    void put_rows(const torch::jit::Node *node, TapeOperatorPtr op, const Sizes &result);
    Seen add_rows(TapeOperatorPtr op, const Seen &operand, const Sizes &result);
    void put_new(const torch::jit::Value *output, const Seen &result);
    // A step towards a node's result.
    Seen add_step(TapeOperatorPtr op, const std::vector<size_t> &operands, const Layout &result);
    // The same elements, seen otherwise.
    Seen see(const Seen &seen, const Layout &layout);
    // With the examples in that dimension, or not in it; a single one can be anywhere.
    Seen see_with_examples_in(const Seen &seen, size_t dim);
    Seen see_with_examples_beside(const Seen &seen, size_t dim);
    // The result is the operand itself; has its elements; or may share its memory, being `value`,
    // or a list of such.
    void put_same(const torch::jit::Node *node, const torch::jit::Value *operand);
    void put_copy(const torch::jit::Node *node, const torch::jit::Value *operand);
    void put_view(const torch::jit::Node *node, const torch::jit::Value *operand, const Seen &view);
    void put_views(const torch::jit::Node *node, const torch::jit::Value *operand,
                   const std::vector<Seen> &views);
    // Parts that may be written to: the list is all that is left of its first input.
    void put_separate(const torch::jit::Node *node, const std::vector<Seen> &values);
    void put_constant(const torch::jit::Node *node, const c10::IValue &constant);
    void put_own(const torch::jit::Node *node, const at::Tensor &made); // which may be written to
    void put_recorded(const torch::jit::Value *output, const Recorded &recorded);
    void put_container(const torch::jit::Node *node, Recorded::Kind kind,
                       std::vector<Recorded> items);
    Recorded make_container(Recorded::Kind kind, std::vector<Recorded> items);
    void count_items(size_t items); // that are moved or made: a program may not double them forever
    void count_bytes(size_t bytes) const; // of constants that are made: nor those

  private:
    // A tensor of the program: it is one of the tape's values, and another after being written to.
    struct Cell {
        Seen seen;
        size_t family; // of tensors that may share memory
    };

    void walk(const torch::jit::Block *block);
    void visit(const torch::jit::Node *node);
    bool visit_control(const torch::jit::Node *node);
    bool visit_structure(const torch::jit::Node *node);
    bool visit_site(const torch::jit::Node *node);
    void count_visit();
    void visit_branch(const torch::jit::Node *node);
    void visit_loop(const torch::jit::Node *node);
    void visit_attribute(const torch::jit::Node *node);
    Recorded add_weight(const c10::intrusive_ptr<c10::ivalue::Object> &owner, size_t slot,
                        int64_t item, const at::Tensor &tensor);
    Recorded add_weights(const c10::intrusive_ptr<c10::ivalue::Object> &owner, size_t slot,
                         const std::vector<at::Tensor> &tensors);
    bool read_known(const torch::jit::Value *value, c10::IValue &constant, bool &of_weights) const;
    bool is_own(const at::Tensor &tensor) const;
    bool is_own(const Recorded &recorded) const;
    std::vector<at::Tensor> own_copies(std::vector<at::Tensor> tensors);
    template <typename IsAlias> void forget(const IsAlias &is_alias);
    void forget_memory_of(const at::Tensor &tensor);
    void forget_family(size_t family);
    bool writes_to_own(const torch::jit::Node *node) const;
    bool can_fold(const torch::jit::Node *node, std::vector<c10::IValue> &inputs) const;
    bool fold(const torch::jit::Node *node);
    bool view_weight(const torch::jit::Node *node);
    void record_call();
    Seen see_by_example(const Seen &seen);
    std::shared_ptr<const Tape> finish();

    size_t add_value(const Sizes &sizes, bool differentiable);
    Recorded add_input(const Sizes &sizes, bool is_mask, bool differentiable);
    Recorded add_cell(const Seen &seen, size_t family);
    void write(const torch::jit::Value *target, const Seen &seen);

    at::ScalarType dtype_;
    at::Device device_;
    WeightCopies *weight_copies_;
    std::shared_ptr<Tape> tape_ = std::make_shared<Tape>();
    std::vector<Cell> cells_;
    std::vector<size_t> family_sizes_;
    std::unordered_map<const torch::jit::Value *, Recorded> known_;
    std::vector<std::shared_ptr<std::vector<Recorded>>> containers_; // all that were made
    std::unordered_set<const c10::StorageImpl *> own_;               // of constants that were made
    std::vector<Recorded> handed_; // at the site that is reached next
    size_t n_visited_ = 0;
    size_t n_items_ = 0;
    mutable size_t n_bytes_ = 0;
};

// What puts a node on the tape that computes with tensors.
struct TapeRule {
    const char *name; // of the operator
    void (*apply)(TapeRecorder &, const torch::jit::Node *);
};
using TapeRules = c10::ArrayRef<TapeRule>;
const TapeRule *find_rule(TapeRules rules, const torch::jit::Node *node); // NULL if there is none
TapeRules window_rules();                                                 // tape_window_rules.cpp
TapeRules upsampling_rules(); // tape_upsampling_rules.cpp
TapeRules shape_rules();      // tape_shape_rules.cpp
TapeRules attention_rules();  // tape_attention_rules.cpp
TapeRules reduction_rules();  // tape_reduction_rules.cpp
TapeRules recurrent_rules();  // tape_recurrent_rules.cpp: they have several results
TapeRules cell_rules();       // tape_cell_rules.cpp: likewise
TapeRules joining_rules();    // tape_joining_rules.cpp
TapeRules question_rules();   // tape_question_rules.cpp
TapeRules mask_rules();       // tape_mask_rules.cpp

// tape_shape_rules.cpp: places of one dimension.
struct Places {
    int64_t start, count, step;
};
Seen add_permutation(TapeRecorder &recorder, const Seen &seen, const std::vector<int64_t> &order);
Seen add_transposed(TapeRecorder &recorder, const Seen &seen); // its last two dimensions
Seen add_slice(TapeRecorder &recorder, const Seen &seen, size_t dim, const Places &places);

// tape_joining_rules.cpp: values, or what is the same for all examples, one behind the other.
struct Joined {
    c10::optional<Seen> seen;
    at::Tensor constant;     // with the dimensions that the program sees
    bool may_change = false; // it is a weight
};
Seen add_joined(TapeRecorder &recorder, const std::vector<Joined> &all, size_t dim);

// tape_attention_rules.cpp: a product of values that have matrices in their last two dimensions.
Seen add_product(TapeRecorder &recorder, const Seen &a, const Seen &b);

// tape_rules.cpp: a dense layer; the weight is [features of the result, features].
Seen add_linear(TapeRecorder &recorder, const Seen &seen, const at::Tensor &weight,
                const MaybeTensor &bias);

// tape_arithmetic_rules.cpp: of values that broadcast, and of what is the same for all
// examples.
struct Pair {
    Seen a, b;
    Layout result;

    Sizes sizes_of_a() const { return a.layout.on_tape(); }
    Sizes sizes_of_b() const { return b.layout.on_tape(); }
    std::vector<size_t> values() const { return {a.value, b.value}; }
};
Seen see_with_dimensions(TapeRecorder &recorder, const Seen &seen, size_t ndim); // more in front
Pair pair_of(TapeRecorder &recorder, const Seen &a, const Seen &b);              // that broadcast
at::Scalar real_number(const c10::IValue &value); // not a complex one
Seen add_pointwise(TapeRecorder &recorder, const Seen &seen, TapeOperatorPtr op);
Seen add_sum(TapeRecorder &recorder, const Seen &a, const Seen &b,
             const at::Scalar &weight_of_b = 1);
Seen add_elementwise_product(TapeRecorder &recorder, const Seen &a, const Seen &b);
Seen add_offset(TapeRecorder &recorder, const Seen &seen, const at::Tensor &offset);
Seen add_factor(TapeRecorder &recorder, const Seen &seen, const at::Tensor &factor);

// tape_recurrent_rules.cpp: a state of these sizes that is one of zeros.
void require_zeros(const TapeRecorder &recorder, const Recorded &state, const Sizes &sizes);
void einsum(TapeRecorder &recorder, const torch::jit::Node *node); // tape_einsum_rule.cpp

// The dimension that an argument names, counted from the front, of so many.
size_t dim_of(const TapeRecorder &recorder, const torch::jit::Value *value, size_t ndim);
// Or the dimensions, one or several.
std::vector<size_t> dims_of(const TapeRecorder &recorder, const torch::jit::Value *value,
                            size_t ndim);

// A convolution by the operator that does both kinds.
void put_transposed_convolution(TapeRecorder &recorder, const torch::jit::Node *node); // …

// Whether there is a rule for the node.
bool apply_rule(TapeRecorder &recorder, const torch::jit::Node *node);            // tape_rules.cpp
bool apply_function_rule(TapeRecorder &recorder, const torch::jit::Node *node);   // …
bool apply_arithmetic_rule(TapeRecorder &recorder, const torch::jit::Node *node); // …
bool apply_along_rule(TapeRecorder &recorder,
                      const torch::jit::Node *node); // tape_reduction_rules.cpp
bool apply_container_rule(TapeRecorder &recorder, const torch::jit::Node *node); // …

} // namespace neurotap
