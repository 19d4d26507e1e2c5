#include "class_check.hpp"

#include <algorithm>
#include <set>

namespace neurotap {

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

size_t end_of_word(const std::string &code, size_t start) {
    while (start < code.size() && is_word(code[start]))
        ++start;
    return start;
}

// Behind the string that starts here; escapes as in Python, prefixes are words.
size_t end_of_string(const std::string &code, size_t start) {
    const char quote = code[start];
    size_t i = start + 1;
    while (i < code.size() && code[i] != quote && code[i] != '\n')
        i += code[i] == '\\' ? 2 : 1;
    return std::min(i + 1, code.size());
}

namespace {

size_t end_of_space(const std::string &line, size_t start) {
    return std::min(line.find_first_not_of(" \t", start), line.size());
}

// The character behind the word that ends here, and spaces; 0 at the line's end.
char sign_behind(const std::string &line, size_t end) {
    const size_t at = end_of_space(line, end);
    return at == line.size() ? '\0' : line[at];
}

// __annotations__["name"] = type
bool is_annotation(const std::string &line, size_t bracket) {
    const size_t quote = bracket + 1;
    if (quote >= line.size() || (line[quote] != '"' && line[quote] != '\''))
        return false;
    const size_t end = end_of_string(line, quote);
    return end < line.size() && line[end] == ']' && sign_behind(line, end + 1) == '=';
}

// Lists of names, without a type.
bool is_list_of_names(const std::string &name) {
    static const std::set<std::string> kLists = {"__parameters__", "__buffers__", "__annotations__",
                                                 "__forward_pre_hooks__", "__forward_hooks__"};
    return kLists.count(name) != 0;
}

} // namespace

// "class Name:", "class Name(Base):"
ClassChecker::Kind ClassChecker::kind_of(const std::string &header) {
    const size_t name = std::char_traits<char>::length("class ");
    const size_t end = end_of_word(header, name);
    const std::string base = header.substr(end);
    return base == "(Enum):"         ? Kind::kEnum
           : base == "(NamedTuple):" ? Kind::kNamedTuple
           : base == ":" || base == "(Module):" || base == "(ModuleInterface):" ||
                   base == "(Interface):"
               ? Kind::kModule
               : Kind::kNone;
}

bool ClassChecker::is_attribute(const std::string &line, size_t start) const {
    const size_t end = end_of_word(line, start);
    const std::string name = line.substr(start, end - start);
    const char sign = sign_behind(line, end);
    if (kind_ == Kind::kEnum)
        return sign == '=';
    if (kind_ == Kind::kNamedTuple)
        return sign == ':';
    if (name == "__annotations__" && sign == '[')
        return is_annotation(line, end);
    return sign == (is_list_of_names(name) ? '=' : ':');
}

bool ClassChecker::take(const std::string &line) {
    const size_t start = end_of_space(line, 0);
    if (start == line.size() || line[start] == '#')
        return true;
    if (start == 0) {
        const bool is_class = line.compare(0, 6, "class ") == 0;
        kind_ = is_class ? kind_of(line) : Kind::kNone;
        body_ = 0;
        return !is_class || kind_ != Kind::kNone;
    }
    body_ = body_ == 0 ? start : body_;
    if (kind_ == Kind::kNone || start != body_)
        return true;
    const std::string word = line.substr(start, end_of_word(line, start) - start);
    return word == "def" || word == "pass" || (!word.empty() && is_attribute(line, start));
}

} // namespace neurotap
