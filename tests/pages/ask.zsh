# SPDX-License-Identifier: Apache-2.0
# ask.zsh DIR LINE – what zsh would offer behind LINE, one a line, with the functions in DIR: a second zsh on a terminal of
# its own, whose Tab prints the matches.
zmodload zsh/zpty
zpty asked zsh -f -i
setup='
PS1=; unsetopt zle_bracketed_paste 2>/dev/null
fpath=('$1' $fpath)
autoload -Uz compinit; compinit -u -D
compadd () {
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return $?; fi
    local -a found
    builtin compadd -A found "$@"
    local prefix="$IPREFIX"
    local at=${@[(i)-p]}
    (( at <= $# )) && prefix+=${@[at+1]}
    at=${@[(i)-W]}
    local where=""
    (( at <= $# )) && where=${@[at+1]}
    for match in $found; do
        if [[ -n $where && -d $where/$match ]]; then match+=/; elif [[ $* == *-f* && -d $prefix$match ]]; then match+=/; fi
        print -r -- "MATCH:$prefix$match"
    done
}
list () { print BEGIN; _main_complete; print END; exit 0 }
zle -C list complete-word list
bindkey "^I" list
print READY
'
zpty -w asked "$setup"
zpty -r -m asked line '*READY*'
zpty -n -w asked "$2"$'\t'
zpty -r -m asked answer '*END*'
print -r -- "$answer" | tr -d '\r' | sed -n '/BEGIN/,/END/s/.*MATCH://p'
zpty -d asked
