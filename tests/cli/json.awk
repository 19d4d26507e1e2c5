# Reads one JSON document. Prints a line for every value in it: where it is, then what it is, as in
# .layers[0].path "fc1" (containers show as [] or {} if they are empty). Exit status 1 if it is not
# valid JSON.

{ text = text $0 "\n" }

END {
    at = 1
    value("")
    space()
    if (at <= length(text)) fail("more than one document")
}

function fail(what) {
    print "not JSON, character " at ": " what
    exit_status = 1
    exit 1
}

# Takes what a regular expression matches, if it does.
function take(pattern) {
    if (!match(substr(text, at), "^(" pattern ")")) return ""
    at += RLENGTH
    return substr(text, at - RLENGTH, RLENGTH)
}

function space() { take("[ \t\r\n]+") }

function string(plain, escape) {
    plain = "[^\"\\\\\001-\037]"
    escape = "\\\\([\"\\\\/bfnrt]|u[0-9a-fA-F][0-9a-fA-F][0-9a-fA-F][0-9a-fA-F])"
    return take("\"(" plain "|" escape ")*\"")
}

function value(path, token) {
    space()
    token = substr(text, at, 1)
    if (token == "{") return container(path, "}")
    if (token == "[") return container(path, "]")
    token = string()
    if (token == "") token = take("true|false|null|-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)?")
    if (token == "") fail("expected a value")
    print path " " token
}

function container(path, close_with, key, count) {
    ++at
    space()
    if (take("[" (close_with == "]" ? "\\]" : "}") "]") != "") {
        print path " " (close_with == "]" ? "[]" : "{}")
        return
    }
    for (count = 0; ; ++count) {
        key = "[" count "]"
        if (close_with == "}") {
            space()
            key = string()
            if (key == "") fail("expected a key")
            key = "." substr(key, 2, length(key) - 2)
            space()
            if (take(":") == "") fail("expected ':'")
        }
        value(path key)
        space()
        if (take(",") != "") continue
        if (substr(text, at, 1) != close_with) fail("expected ',' or '" close_with "'")
        ++at
        return
    }
}
