# shellcheck shell=bash disable=SC1090,SC2206
# SPDX-License-Identifier: Apache-2.0
# ask.bash LINE – what bash would offer behind LINE, one a line. Words are taken apart as readline does it: at = too.
for file in ./*.bash; do . "$file"; done
line=${1//=/ = }
COMP_WORDS=($line)
[[ $1 != *' ' ]] || COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
COMP_LINE=$1
COMP_POINT=${#1}
function=$(complete -p "${COMP_WORDS[0]}" | sed 's/.*-F \([^ ]*\).*/\1/')
"$function"
printf '%s\n' "${COMPREPLY[@]}"
