# completion.sh SCRIPT TOOL WORDS...: what bash offers for the last word of a command line.
source "$1"
shift
tool=$(basename "$1") # lit gives paths
COMP_WORDS=("$tool" "${@:2}")
COMP_CWORD=$(($# - 1))
complete -p "$tool" >/dev/null || exit 1
"_${tool//-/_}"
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
