// Lists, tuples and dictionaries of a program's tensors are followed while it is recorded.
#include "tape_recorder.hpp"

#include <algorithm>

namespace neurotap {
namespace {

using torch::jit::Node;
using torch::jit::Value;
using Kind = Recorded::Kind;
using Items = std::vector<Recorded>;

// Keys are looked for one by one.
constexpr size_t kMostKeys = 1000;

Items &sequence(TapeRecorder &r, const Value *value) {
    require(r.at(value).kind == Kind::kSequence);
    return *r.at(value).items;
}

// To be changed.
Items &own_sequence(TapeRecorder &r, const Value *value) {
    require(!r.at(value).is_attribute);
    return sequence(r, value);
}

Items &dictionary(TapeRecorder &r, const Value *value) {
    require(r.at(value).kind == Kind::kDictionary);
    return *r.at(value).items;
}

// ---- made ----

// A list of numbers is a constant.
void make_list(TapeRecorder &r, const Node *node) {
    Items items;
    c10::List<int64_t> numbers;
    for (const Value *input : node->inputs()) {
        items.push_back(r.at(input));
        if (items.back().kind == Kind::kConstant && items.back().constant.isInt())
            numbers.push_back(items.back().constant.toInt());
    }
    if (!items.empty() && numbers.size() == items.size())
        r.put_constant(node, numbers);
    else
        r.put_container(node, Kind::kSequence, std::move(items));
}

// What is not known may be in it, as the places of maxima are, for nobody to use.
void make_tuple(TapeRecorder &r, const Node *node) {
    Items items;
    for (const Value *input : node->inputs())
        items.push_back(r.find(input) != nullptr ? r.at(input) : Recorded());
    r.put_container(node, Kind::kSequence, std::move(items));
}

// The place of the key's value; NULL if there is none.
Recorded *value_of(Items &items, const c10::IValue &key) {
    for (size_t i = 0; i < items.size(); i += 2)
        if (items[i].constant == key)
            return &items[i + 1];
    return nullptr;
}

void set_value(Items &items, const c10::IValue &key, const Recorded &value) {
    require(key.isString() || key.isInt());
    if (Recorded *place = value_of(items, key)) {
        *place = value;
        return;
    }
    require(items.size() < 2 * kMostKeys);
    items.push_back(Recorded::of(key));
    items.push_back(value);
}

// keys and values by turns
void make_dictionary(TapeRecorder &r, const Node *node) {
    require(node->inputs().size() % 2 == 0);
    Items items;
    for (size_t i = 0; i < node->inputs().size(); i += 2)
        set_value(items, r.constant(node->input(i)), r.at(node->input(i + 1)));
    r.put_container(node, Kind::kDictionary, std::move(items));
}

// ---- lists and tuples ----

void put_all(TapeRecorder &r, const Node *node, const Items &items) {
    require(items.size() == node->outputs().size());
    for (size_t i = 0; i < items.size(); ++i)
        r.put_recorded(node->output(i), items[i]);
}

void unpack(TapeRecorder &r, const Node *node) { put_all(r, node, sequence(r, node->input(0))); }

// Where an index, which may count from the end, points to.
size_t place_in(const Items &items, int64_t index) {
    const auto count = static_cast<int64_t>(items.size());
    require(index >= -count && index < count);
    return static_cast<size_t>(index < 0 ? index + count : index);
}

// list, index
void list_item(TapeRecorder &r, const Node *node) {
    const Items &items = sequence(r, node->input(0));
    r.put_recorded(node->output(), items[place_in(items, r.constant(node->input(1)).toInt())]);
}

// list, index, item
void set_list_item(TapeRecorder &r, const Node *node) {
    Items &items = own_sequence(r, node->input(0));
    items[place_in(items, r.constant(node->input(1)).toInt())] = r.at(node->input(2));
}

bool is_true(const Recorded &item) {
    require(item.kind == Kind::kConstant && (item.constant.isBool() || item.constant.isInt()));
    return item.constant.isInt() ? item.constant.toInt() != 0 : item.constant.toBool();
}

void list_length(TapeRecorder &r, const Node *node) {
    r.put_constant(node, static_cast<int64_t>(sequence(r, node->input(0)).size()));
}

// list, item
void append(TapeRecorder &r, const Node *node) {
    own_sequence(r, node->input(0)).push_back(r.at(node->input(1)));
    r.put_same(node, node->input(0));
}

// list, index, item
void insert(TapeRecorder &r, const Node *node) {
    Items &items = own_sequence(r, node->input(0));
    const auto count = static_cast<int64_t>(items.size());
    const int64_t index = r.constant(node->input(1)).toInt();
    const int64_t place = std::clamp<int64_t>(index < 0 ? index + count : index, 0, count);
    r.count_items(items.size());
    items.insert(items.begin() + place, r.at(node->input(2)));
}

// list, index
void pop(TapeRecorder &r, const Node *node) {
    Items &items = own_sequence(r, node->input(0));
    const size_t place = place_in(items, r.constant(node->input(1)).toInt());
    r.count_items(items.size() - place);
    r.put_recorded(node->output(), items[place]);
    items.erase(items.begin() + static_cast<std::ptrdiff_t>(place));
}

void reverse(TapeRecorder &r, const Node *node) {
    Items &items = own_sequence(r, node->input(0));
    r.count_items(items.size());
    std::reverse(items.begin(), items.end());
}

void copy_list(TapeRecorder &r, const Node *node) {
    Items items = sequence(r, node->input(0));
    r.put_container(node, Kind::kSequence, std::move(items));
}

// a, b
void join_lists(TapeRecorder &r, const Node *node) {
    Items items = sequence(r, node->input(0));
    const Items &more = sequence(r, node->input(1));
    items.insert(items.end(), more.begin(), more.end());
    r.put_container(node, Kind::kSequence, std::move(items));
}

void any(TapeRecorder &r, const Node *node) {
    const Items &items = sequence(r, node->input(0));
    r.put_constant(node, std::any_of(items.begin(), items.end(), is_true));
}

void all(TapeRecorder &r, const Node *node) {
    const Items &items = sequence(r, node->input(0));
    r.put_constant(node, std::all_of(items.begin(), items.end(), is_true));
}

// list, start, end, step: as Python has it
void list_slice(TapeRecorder &r, const Node *node) {
    const Items &items = sequence(r, node->input(0));
    const auto count = static_cast<int64_t>(items.size());
    int64_t step = r.constant(node->input(3)).toInt();
    require(step != 0);
    step = std::clamp(step, -count - 1, count + 1);
    const int64_t lowest = step > 0 ? 0 : -1;
    const auto bound = [&](const Value *value, int64_t otherwise) {
        const c10::IValue given = r.constant(value);
        if (given.isNone())
            return otherwise;
        const int64_t index = given.toInt() < 0 ? given.toInt() + count : given.toInt();
        return std::clamp(index, lowest, count + lowest);
    };
    const int64_t start = bound(node->input(1), step > 0 ? 0 : count - 1);
    const int64_t end = bound(node->input(2), step > 0 ? count : -1);
    Items chosen;
    for (int64_t i = start; step > 0 ? i < end : i > end; i += step)
        chosen.push_back(items[static_cast<size_t>(i)]);
    r.put_container(node, Kind::kSequence, std::move(chosen));
}

// ---- dictionaries ----

// dictionary, key, value
void set_dictionary_item(TapeRecorder &r, const Node *node) {
    set_value(dictionary(r, node->input(0)), r.constant(node->input(1)), r.at(node->input(2)));
}

// dictionary, key
void dictionary_item(TapeRecorder &r, const Node *node) {
    const Recorded *value = value_of(dictionary(r, node->input(0)), r.constant(node->input(1)));
    require(value != nullptr);
    r.put_recorded(node->output(), *value);
}

// dictionary, key
void contains_key(TapeRecorder &r, const Node *node) {
    r.put_constant(node,
                   value_of(dictionary(r, node->input(0)), r.constant(node->input(1))) != nullptr);
}

void dictionary_length(TapeRecorder &r, const Node *node) {
    r.put_constant(node, static_cast<int64_t>(dictionary(r, node->input(0)).size() / 2));
}

void put_half(TapeRecorder &r, const Node *node, size_t first) {
    const Items &items = dictionary(r, node->input(0));
    Items half;
    for (size_t i = first; i < items.size(); i += 2)
        half.push_back(items[i]);
    r.put_container(node, Kind::kSequence, std::move(half));
}

void keys(TapeRecorder &r, const Node *node) { put_half(r, node, 0); }
void values(TapeRecorder &r, const Node *node) { put_half(r, node, 1); }

void pairs(TapeRecorder &r, const Node *node) {
    const Items &items = dictionary(r, node->input(0));
    Items all;
    for (size_t i = 0; i + 1 < items.size(); i += 2)
        all.push_back(r.make_container(Kind::kSequence, {items[i], items[i + 1]}));
    r.put_container(node, Kind::kSequence, std::move(all));
}

constexpr TapeRule kConstructions[] = {
    {"prim::ListConstruct", make_list},
    {"prim::TupleConstruct", make_tuple},
    {"prim::DictConstruct", make_dictionary},
    {"aten::dict", make_dictionary},
};

constexpr TapeRule kSequenceRules[] = {
    {"prim::TupleUnpack", unpack},
    {"prim::ListUnpack", unpack},
    {"prim::TupleIndex", list_item},
    {"aten::__getitem__", list_item},
    {"aten::_set_item", set_list_item},
    {"aten::len", list_length},
    {"aten::any", any},
    {"aten::all", all},
    {"aten::append", append},
    {"aten::insert", insert},
    {"aten::pop", pop},
    {"aten::reverse", reverse},
    {"aten::list", copy_list},
    {"aten::copy", copy_list},
    {"aten::add", join_lists},
    {"aten::slice", list_slice},
};

constexpr TapeRule kDictionaryRules[] = {
    {"aten::_set_item", set_dictionary_item},
    {"aten::__getitem__", dictionary_item},
    {"aten::__contains__", contains_key},
    {"aten::len", dictionary_length},
    {"aten::keys", keys},
    {"aten::values", values},
    {"aten::items", pairs},
};

Items constants(const TapeRecorder &r, const Value *value) {
    Items items;
    const c10::IValue &all = r.at(value).constant;
    const auto each = all.isTuple() ? all.toTupleRef().elements() : all.toListRef().vec();
    std::transform(each.begin(), each.end(), std::back_inserter(items), Recorded::of);
    return items;
}

void unpack_constants(TapeRecorder &r, const Node *node) {
    put_all(r, node, constants(r, node->input(0)));
}

// tuple, index
void constant_item(TapeRecorder &r, const Node *node) {
    const Items items = constants(r, node->input(0));
    r.put_recorded(node->output(), items[place_in(items, r.constant(node->input(1)).toInt())]);
}

// A list that may be changed, unlike the constant.
void copy_constants(TapeRecorder &r, const Node *node) {
    r.put_container(node, Kind::kSequence, constants(r, node->input(0)));
}

constexpr TapeRule kConstantRules[] = {
    {"prim::ListUnpack", unpack_constants}, {"prim::TupleUnpack", unpack_constants},
    {"prim::TupleIndex", constant_item},    {"aten::copy", copy_constants},
    {"aten::list", copy_constants},
};

bool apply(TapeRules rules, TapeRecorder &recorder, const Node *node) {
    const TapeRule *rule = find_rule(rules, node);
    if (rule != nullptr)
        rule->apply(recorder, node);
    return rule != nullptr;
}

} // namespace

bool apply_container_rule(TapeRecorder &recorder, const Node *node) {
    if (node->inputs().empty())
        return apply(kConstructions, recorder, node);
    const Recorded *first = recorder.find(node->input(0));
    if (first != nullptr && first->kind == Kind::kSequence && apply(kSequenceRules, recorder, node))
        return true;
    if (first != nullptr && first->kind == Kind::kDictionary &&
        apply(kDictionaryRules, recorder, node))
        return true;
    if (first != nullptr && first->kind == Kind::kConstant &&
        (first->constant.isList() || first->constant.isTuple()) &&
        apply(kConstantRules, recorder, node))
        return true;
    return apply(kConstructions, recorder, node);
}

} // namespace neurotap
