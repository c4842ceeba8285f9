# SPDX-License-Identifier: Apache-2.0
"""powershell.py NAME… – looks at NAME.ps1 as far as that is possible without a PowerShell: quotes end, brackets match, and
its table holds what bash's holds, command by command."""
import re
import sys

PAIRS = {")": "(", "]": "[", "}": "{"}


def bare(text):
    """The text without what is quoted and without comments. Fails where a quote has no end."""
    out, at = [], 0
    while at < len(text):
        c = text[at]
        if c == "#":
            at = text.index("\n", at)
            continue
        if c in "'\"":
            end = at + 1
            while text[end] != c or text[end + 1:end + 2] == c:
                if text[end] == "\n":
                    raise SystemExit(f"a quote has no end: {text[at:end]}")
                end += 2 if text[end] == c else 1
            at = end + 1
            out.append(" ")
            continue
        out.append(c)
        at += 1
    return "".join(out)


def check_brackets(name, text):
    stack = []
    for c in text:
        if c in "([{":
            stack.append(c)
        elif c in PAIRS:
            if not stack or stack.pop() != PAIRS[c]:
                raise SystemExit(f"{name}: a {c} that nothing opens")
    if stack:
        raise SystemExit(f"{name}: {stack} is not closed")


def words_of_powershell(text):
    table, path = {}, None
    for line in text.splitlines():
        if m := re.match(r"^    '([^']+)' = @\($", line):
            path = table.setdefault(m[1], set())
        elif re.match(r"^    \$globals = @\($", line):
            path = table.setdefault("", set())
        elif m := re.match(r"^        @\{ Word = '([^']+)'; Value = \$(true|false); Text = '.*' \}$", line):
            path.add(m[1])
    return table


def words_of_bash(text):
    table = {}
    for m in re.finditer(r"^    '([^']+)'\) words='([^']*)' flags='([^']*)' ;;$", text, re.M):
        table[m[1]] = set(m[2].split()) | set(m[3].split())
    table[""] = set(re.search(r"^    flags\+='([^']*)'$", text, re.M)[1].split())
    return table


for program in sys.argv[1:]:
    script = open(f"{program}.ps1", encoding="utf-8").read()
    check_brackets(program, bare(script))
    theirs = words_of_powershell(script)
    ours = words_of_bash(open(f"{program}.bash", encoding="utf-8").read())
    if theirs != ours or len(ours) < 4:
        raise SystemExit(f"{program}: {theirs} is not what bash has, {ours}")
    if f"-CommandName '{program}', '{program}.exe'" not in script:
        raise SystemExit(f"{program}: it is registered for another command")
