#!/usr/bin/env bash
# Runs fuzzers, which the target `sanitized` makes.
#
#   test/Fuzz/run.sh MINUTES [FUZZER...]   each so long, on all cores, with a corpus that grows
#   test/Fuzz/run.sh quick [FUZZER...]     a fixed number of runs from a fixed seed, less than 20 CPU seconds each
#
# BUILD: the build folder; build/asan instruments the whole compiler. A finding ends the run; its input is in
# BUILD/test/Fuzz/findings.
set -euo pipefail
time=${1:?usage: test/Fuzz/run.sh MINUTES|quick [FUZZER...]}
shift
source=$(cd "$(dirname "$0")" && pwd)
folder=${BUILD:-$source/../../build/release}/test/Fuzz
fuzzers=("$@")
((${#fuzzers[@]})) || fuzzers=($(cd "$folder" && ls -1 | grep 'Fuzzer$'))

work=$(mktemp -d "${TMPDIR:-/tmp}/fuzz.XXXXXX")
trap 'rm -rf "$work"' EXIT
/usr/bin/python3 "$source/seeds.py" "$source/../Inputs" "$work"
mkdir -p "$folder/findings"
# Debian's libraries are not instrumented: containers that they share with us are not annotated.
export ASAN_OPTIONS=detect_container_overflow=0:detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
common=(-dict="$source/words.dict" -max_len=16384 -timeout=60 -rss_limit_mb=2048 -artifact_prefix="$folder/findings/")

for fuzzer in "${fuzzers[@]}"; do
  if [[ $time == quick ]]; then
    # Every seed is run as well.
    case $fuzzer in
      CorpusFuzzer) runs=60000 ;;
      ModuleFuzzer) runs=8000 ;;
      MlirFuzzer) runs=5000 ;;
      ModelFuzzer) runs=6000 ;;
      OnnxFileFuzzer) runs=100000 ;;
      OptionsFuzzer) runs=20000 ;;
      TensorFuzzer) runs=600000 ;;
      TokenizerFuzzer) runs=6000 ;;
      *) runs=10000 ;;
    esac
    "$folder/$fuzzer" "${common[@]}" -seed=1 -runs=$runs -verbosity=0 "$work/$fuzzer"
    echo "$fuzzer: $runs runs without a finding"
  else
    mkdir -p "$folder/corpus/$fuzzer"
    "$folder/$fuzzer" "${common[@]}" -max_total_time=$((time * 60)) -fork="$(nproc)" \
      "$folder/corpus/$fuzzer" "$work/$fuzzer"
  fi
done
