// A model's graph made ready to run.
#pragma once

#include "compat.hpp"
#include "effects.hpp"
#include "planner.hpp"
#include "tape_cache.hpp"

#include <memory>
#include <string>
#include <vector>

namespace neurotap {

// What a program does at its sites of one target.
struct Purpose {
    enum class Kind {
        kTap,   // the values are recorded
        kEnter, // a hooked layer begins: these are its arguments
        kLeave  // it ends: these are its results
    };
    Kind kind;
    size_t index;  // of the tap, or of the hooked layer
    bool replaces; // whether the program goes on with what it is given
};

struct ProgramSite {
    Purpose purpose;
    std::vector<c10::TypePtr> types; // of what may take the values' place
    bool copies;                     // whether something writes to them later
};

struct Program {
    std::shared_ptr<torch::jit::Graph> graph;
    torch::jit::Code code;
    ObjectPtr self;             // the model; the graph's first input
    c10::FunctionSchema schema; // of the method; the graph's next inputs
    std::vector<ProgramSite> sites;
    bool observed;                   // whether the graph's last input is the sites' observer
    bool whole;                      // whether the method's result is the graph's first output
    std::vector<size_t> site_counts; // for each tap, in how many places it is recorded
    Effects effects;
    std::string no_gradient; // an operator in it that has no gradient, if any
    std::vector<Assumption> assumptions;
    mutable TapeCache tapes;

    // Whether the model is still what the program was made from.
    bool holds() const;
};

// What becomes of a plan.
struct Compilation {
    std::vector<Purpose> purposes; // for each of the plan's targets
    size_t n_taps;
    bool whole; // run the method to its end, or just as far as the last tap
};

std::shared_ptr<const Program> compile(const Entry &entry, Plan plan,
                                       const Compilation &compilation);

// The targets of a plan that a run could reach, now that branches which are never taken are gone,
// in the order of the text.
struct Reached {
    size_t target;
    bool distinct; // whether its value is not that of an earlier target
};
std::vector<Reached> find_reached(Plan plan);

} // namespace neurotap
