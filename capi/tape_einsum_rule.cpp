// The rule for einsum of two values, as a product of matrices.
#include "tape_recorder.hpp"

#include <algorithm>
#include <cctype>

namespace neurotap {
namespace {

using torch::jit::Node;

// "ab,bc->ac": a letter for each dimension.
struct Equation {
    std::string a, b, result;
};

Equation read_equation(std::string text) {
    text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
    const size_t comma = text.find(',');
    const size_t arrow = text.find("->");
    require(comma != std::string::npos && arrow != std::string::npos && comma < arrow);
    Equation equation{text.substr(0, comma), text.substr(comma + 1, arrow - comma - 1),
                      text.substr(arrow + 2)};
    for (const std::string &letters : {equation.a, equation.b, equation.result}) {
        std::string sorted = letters;
        std::sort(sorted.begin(), sorted.end());
        require(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end());
        require(std::all_of(letters.begin(), letters.end(),
                            [](unsigned char letter) { return std::isalpha(letter) != 0; }));
    }
    return equation;
}

bool has(const std::string &letters, char letter) { return letters.find(letter) != letters.npos; }

// The letters by their part in the product; every one has to have one.
struct Parts {
    std::string shared, rows, inner, columns;
};

Parts sort_letters(const Equation &e) {
    Parts parts;
    for (const char letter : e.a) {
        const bool in_b = has(e.b, letter);
        const bool in_result = has(e.result, letter);
        require(in_b || in_result);
        (in_b ? in_result ? parts.shared : parts.inner : parts.rows) += letter;
    }
    for (const char letter : e.b)
        if (!has(e.a, letter))
            parts.columns += letter;
    for (const char letter : parts.columns)
        require(has(e.result, letter));
    require(e.result.size() == parts.shared.size() + parts.rows.size() + parts.columns.size());
    for (const char letter : e.result)
        require(has(e.a, letter) || has(e.b, letter));
    return parts;
}

std::vector<int64_t> places(const std::string &letters, const std::string &in) {
    std::vector<int64_t> order;
    for (const char letter : letters)
        order.push_back(static_cast<int64_t>(in.find(letter)));
    return order;
}

Sizes sizes_of_letters(const std::string &letters, const std::string &in, const Sizes &sizes) {
    Sizes result;
    for (const int64_t place : places(letters, in))
        result.push_back(sizes.at(static_cast<size_t>(place)));
    return result;
}

// An operand with its letters in that order, the last two groups of them as one dimension each.
Seen as_matrices(TapeRecorder &r, const Seen &seen, const std::string &letters,
                 const std::string &shared, const std::string &rows, const std::string &columns) {
    require(letters.size() == seen.layout.sizes.size());
    const Seen ordered = add_permutation(r, seen, places(shared + rows + columns, letters));
    Sizes sizes = sizes_of_letters(shared, letters, seen.layout.sizes);
    sizes.push_back(product_of(sizes_of_letters(rows, letters, seen.layout.sizes)));
    sizes.push_back(product_of(sizes_of_letters(columns, letters, seen.layout.sizes)));
    return r.see(ordered, reshaped(ordered.layout, sizes));
}

} // namespace

// equation, operands, maybe path
void einsum(TapeRecorder &r, const Node *node) {
    require(node->inputs().size() < 3 || r.constant(node->input(2)).isNone());
    const Equation equation = read_equation(r.constant(node->input(0)).toStringRef());
    const auto &operands = r.items(node->input(1));
    require(operands.size() == 2);
    const Seen a = r.seen(operands[0]);
    const Seen b = r.seen(operands[1]);
    const Parts parts = sort_letters(equation);
    require(!parts.shared.empty()); // the examples are there
    const Seen product =
        add_product(r, as_matrices(r, a, equation.a, parts.shared, parts.rows, parts.inner),
                    as_matrices(r, b, equation.b, parts.shared, parts.inner, parts.columns));
    const std::string letters = parts.shared + parts.rows + parts.columns;
    Sizes sizes = sizes_of_letters(parts.shared + parts.rows, equation.a, a.layout.sizes);
    for (const int64_t size : sizes_of_letters(parts.columns, equation.b, b.layout.sizes))
        sizes.push_back(size);
    const Seen whole = r.see(product, reshaped(product.layout, sizes));
    r.put_new(node->output(), add_permutation(r, whole, places(equation.result, letters)));
}

} // namespace neurotap
