#!/usr/bin/env bash
# check-style.sh BUILD_DIR [SINCE]: what no test of behaviour sees. Checks that
# every source file is formatted, and runs clang-tidy on the files that were
# changed since a commit (without one: by the last five, or by as many as there are), at most 20.
# Called by `bootstrap.sh check`; `cmake --build BUILD_DIR --target format` mends the first.
set -euo pipefail
build=$1
cd "$(dirname "$0")/.."

git ls-files '*.cpp' '*.h' '*.c' | grep -v '^test/Inputs/' |
  xargs -P "$(nproc)" -n 50 clang-format-22 --dry-run -Werror
echo "all files are formatted"

# A shallow clone may not have that many commits.
last=$(($(git rev-list --count --first-parent HEAD) - 1))
((last <= 5)) || last=5
since=${2:-HEAD~$last}
# Generated headers must be there and the precompiled one, which saves half of the time; what else a file
# needs is in its compile command.
mapfile -t changed < <(git diff --name-only --diff-filter=AM "$since" HEAD -- 'lib/**.cpp' 'passes/**.cpp' \
  'runtime/**.cpp' 'tools/**.cpp' | head -20)
((${#changed[@]})) || exit 0
cmake --build "$build" --target tools >/dev/null
# Only what was changed is reported: LINES is clang-tidy's list of ranges per file.
lines=$(git diff -U0 "$since" HEAD -- "${changed[@]}" | awk '
  /^\+\+\+ b\// { file = substr($2, 3) }
  /^@@/ { split($3, r, /[+,]/); n = (r[3] == "" ? 1 : r[3]); if (n) ranges[file] = ranges[file] (ranges[file] ? "," : "") "[" r[2] "," r[2] + n - 1 "]" }
  END { for (f in ranges) out = out (out ? "," : "") "{\"name\":\"" f "\",\"lines\":[" ranges[f] "]}"; print "[" out "]" }')
printf '%s\n' "${changed[@]}" |
  xargs -P "$(nproc)" -n 1 clang-tidy-22 --quiet -p "$build" --line-filter="$lines" --warnings-as-errors='*'
echo "clang-tidy is content with ${#changed[@]} files"
