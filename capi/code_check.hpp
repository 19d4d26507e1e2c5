// What is checked of a model's code before libtorch compiles it.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace neurotap {

// libtorch's parser and compiler recurse: into expressions, into blocks, and from every definition
// into those that it refers to. No level of that may be as deep as a file is long.
class CodeChecker {
  public:
    // `name` is the file's, for messages.
    explicit CodeChecker(const std::string &name) : name_(name) {}

    // The text of the record `path`, whose definitions are called `module` and a dot and their
    // name. Throws a Failure (NTAP_ERROR_FILE, NTAP_ERROR_UNSUPPORTED).
    void add(const std::string &code, const std::string &path, const std::string &module);

    // When all code is there: how deep definitions refer to one another. Throws a Failure
    // (NTAP_ERROR_FILE).
    void check_calls() const;

  private:
    void check_classes(const std::string &code, const std::string &path) const;
    void check_expressions(const std::string &code, const std::string &path) const;
    void collect_references(const std::string &code, const std::string &module);

    const std::string &name_;
    std::map<std::string, std::vector<std::string>> references_; // from each definition
};

} // namespace neurotap
