#!/usr/bin/env bash
# Runs fuzzers of build/fuzz, which `cmake --preset fuzz` and `ninja -C build/fuzz
# plain-fuzzers` (or mlir-fuzzers) make.
#
#   test/Fuzz/run.sh MINUTES [FUZZER...]   each so long, on all cores, with a corpus that grows
#   test/Fuzz/run.sh quick [FUZZER...]     a fixed number of runs from a fixed seed, about 20 CPU seconds each
#
# A finding ends the run; its input is in build/fuzz/test/Fuzz/findings.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=build/fuzz/test/Fuzz
time=${1:?usage: test/Fuzz/run.sh MINUTES|quick [FUZZER...]}
shift
fuzzers=("$@")
((${#fuzzers[@]})) || fuzzers=($(cd "$folder" && ls -1 | grep 'Fuzzer$'))

rm -rf "$folder/seeds"
mkdir -p "$folder/findings"
/usr/bin/python3 test/Fuzz/seeds.py test/Inputs "$folder/seeds"
# Debian's libraries are not instrumented: containers that they share with us are not annotated.
export ASAN_OPTIONS=detect_container_overflow=0:detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
common=(-dict=test/Fuzz/words.dict -max_len=16384 -timeout=60 -rss_limit_mb=2048 -artifact_prefix="$folder/findings/")

for fuzzer in "${fuzzers[@]}"; do
  mkdir -p "$folder/corpus/$fuzzer"
  if [[ $time == quick ]]; then
    # Every seed is run as well.
    case $fuzzer in
      CorpusFuzzer) runs=60000 ;;
      ModuleFuzzer) runs=8000 ;;
      OnnxFileFuzzer) runs=25000 ;;
      TensorFuzzer) runs=600000 ;;
      TokenizerFuzzer) runs=6000 ;;
      *) runs=10000 ;;
    esac
    "$folder/$fuzzer" "${common[@]}" -seed=1 -runs=$runs -verbosity=0 "$folder/seeds/$fuzzer"
    echo "$fuzzer: $runs runs without a finding"
  else
    "$folder/$fuzzer" "${common[@]}" -max_total_time=$((time * 60)) -fork="$(nproc)" \
      "$folder/corpus/$fuzzer" "$folder/seeds/$fuzzer"
  fi
done
