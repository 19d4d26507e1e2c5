// What is checked of the classes in a model's code, and the words of that code.
#pragma once

#include <string>

namespace neurotap {

bool is_word(char c);
size_t end_of_word(const std::string &code, size_t start);
// Behind the string that starts here; escapes as in Python, prefixes are words.
size_t end_of_string(const std::string &code, size_t start);

// libtorch takes it that attributes of classes are written as it writes them itself, and reads
// through a null where a type or a value is missing. Given line after line of the code.
class ClassChecker {
  public:
    // Whether libtorch could go on.
    bool take(const std::string &line);

  private:
    enum class Kind { kNone, kModule, kNamedTuple, kEnum };

    static Kind kind_of(const std::string &header);
    bool is_attribute(const std::string &line, size_t start) const;

    Kind kind_ = Kind::kNone;
    size_t body_ = 0; // indentation; 0 until there was a statement
};

} // namespace neurotap
