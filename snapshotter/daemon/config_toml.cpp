// SPDX-License-Identifier: Apache-2.0
// config_toml.cpp – toml++ behind config_toml.h.

// The whole parser in this file: what is shipped needs no library of it, and a fuzzer sees into it.
#undef TOML_HEADER_ONLY
#undef TOML_SHARED_LIB
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "daemon/config_toml.h"

#include <cerrno>
#include <exception>
#include <new>
#include <string>
#include <vector>

namespace
{

// Deeper nesting than any key of ours; the parser itself stops at 256.
constexpr size_t depth_max = 16;

class walker
{
  public:
    walker(const toml_visitor &visitor, bool is_lossy, struct err *err)
        : visitor_(visitor), is_lossy_(is_lossy), err_(err)
    {
    }

    int table(const toml::table &table)
    {
        for (const auto &[key, node] : table) {
            int rc = child(std::string(key.str()), node);
            if (rc < 0)
                return rc;
        }
        return 0;
    }

  private:
    const toml_visitor &visitor_;
    const bool is_lossy_; // something in the text is not ASCII
    struct err *err_;
    std::vector<std::string> path_;

    int child(const std::string &name, const toml::node &node)
    {
        if (path_.size() >= depth_max)
            return err_set(err_, -EINVAL, "toml: line %u: nested too deep", line_of(node));
        if (name.find('\0') != std::string::npos)
            return err_set(err_, -EINVAL, "toml: line %u: a NUL in a key", line_of(node));
        path_.push_back(name);
        int rc = any(node);
        path_.pop_back();
        return rc;
    }

    int any(const toml::node &node)
    {
        if (const auto *t = node.as_table()) {
            int rc = leaf(node, TOML_TABLE);
            return rc != 0 ? rc : table(*t);
        }
        if (const auto *a = node.as_array()) {
            int rc = leaf(node, TOML_ARRAY);
            return rc != 0 ? rc : array(*a);
        }
        if (node.is_boolean())
            return leaf(node, TOML_BOOL);
        if (node.is_integer())
            return leaf(node, TOML_INTEGER);
        if (node.is_string())
            return leaf(node, TOML_STRING);
        return leaf(node, TOML_OTHER);
    }

    int array(const toml::array &array)
    {
        size_t i = 0;

        for (const auto &node : array) {
            int rc = child(std::to_string(i++), node);
            if (rc < 0)
                return rc;
        }
        return 0;
    }

    int leaf(const toml::node &node, toml_kind kind)
    {
        toml_value value = {};
        std::string text;

        value.kind = kind;
        value.line = line_of(node);
        if (kind == TOML_BOOL)
            value.boolean = node.as_boolean()->get();
        if (kind == TOML_INTEGER)
            value.integer = node.as_integer()->get();
        if (kind == TOML_STRING) {
            text = node.as_string()->get();
            if (text.find('\0') != std::string::npos)
                return err_set(err_, -EINVAL, "toml: line %u: a NUL in a string", value.line);
            value.string = text.c_str();
            value.is_lossy = is_lossy_ && text.find('?') != std::string::npos;
        }
        return visit(value);
    }

    int visit(const toml_value &value)
    {
        std::vector<const char *> names;

        for (const auto &name : path_)
            names.push_back(name.c_str());
        return visitor_.value(visitor_.self, names.data(), names.size(), &value, err_);
    }

    static unsigned line_of(const toml::node &node)
    {
        return node.source().begin.line;
    }
};

// toml++ 3.3 has undefined behaviour on most characters beyond ASCII where only white space may be
// (its test for white space ends in "unreachable"). No name or value that counts here holds any, so
// each becomes a question mark: harmless in strings and comments, and the syntax error that it is
// anywhere else.
std::string ascii_only(std::string_view utf8)
{
    std::string ascii;

    if (utf8.substr(0, 3) == "\xEF\xBB\xBF") // a byte order mark
        utf8.remove_prefix(3);
    ascii.reserve(utf8.size());
    for (char c : utf8) {
        const auto byte = static_cast<unsigned char>(c);

        if (byte < 0x80)
            ascii += c;
        else if (byte >= 0xC0) // the first byte of a character
            ascii += '?';
    }
    return ascii;
}

int walk(std::string_view text, const toml_visitor &visitor, struct err *err)
{
    const std::string ascii = ascii_only(text);
    toml::parse_result result = toml::parse(std::string_view(ascii));

    if (!result) {
        const toml::parse_error &error = result.error();
        const std::string what(error.description());

        return err_set(err, -EINVAL, "toml: line %u, column %u: %s", error.source().begin.line,
                       error.source().begin.column, what.c_str());
    }
    return walker(visitor, ascii.size() != text.size(), err).table(result.table());
}

} // namespace

extern "C" int toml_walk(const char *text, size_t len, const struct toml_visitor *visitor,
                         struct err *err)
{
    try {
        return walk(len == 0 ? std::string_view() : std::string_view(text, len), *visitor, err);
    } catch (const std::bad_alloc &) {
        return err_set(err, -ENOMEM, "toml: out of memory");
    } catch (const std::exception &e) {
        return err_set(err, -EINVAL, "toml: %s", e.what());
    } catch (...) {
        return err_set(err, -EINVAL, "toml: unknown failure");
    }
}
