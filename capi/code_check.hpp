// What is checked of a model's code before libtorch compiles it.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace neurotap {

// A function or a class.
struct Definition {
    size_t cost = 0; // in stack, of compiling it
    std::vector<std::string> references;
};
using Definitions = std::map<std::string, Definition>;

// libtorch's parser and compiler recurse: into expressions, into blocks, and from every definition
// into those that it refers to. Nothing of that may be as deep as a file is long.
class CodeChecker {
  public:
    // `name` is the file's, for messages.
    explicit CodeChecker(const std::string &name) : name_(name) {}

    // The text of the record `path`, whose definitions are called `module` and a dot and their
    // name. Throws a Failure (NTAP_ERROR_FILE, NTAP_ERROR_UNSUPPORTED).
    void add(const std::string &code, const std::string &path, const std::string &module);

    // When all code is there: how deep definitions lead into one another. Throws a Failure
    // (NTAP_ERROR_FILE).
    void check_calls() const;

  private:
    void check_classes(const std::string &code, const std::string &path) const;
    // Returns, for each line, what compiling what stands there takes of the stack.
    std::vector<size_t> check_expressions(const std::string &code, const std::string &path) const;
    void collect_references(const std::string &code, const std::string &module,
                            const std::vector<size_t> &costs);

    const std::string &name_;
    Definitions definitions_; // by name
};

} // namespace neurotap
