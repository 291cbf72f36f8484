#!/usr/bin/env bash
# Sets up, builds, tests and shows qopt on Debian 12. Needs only bash and apt.
#
#   ./bootstrap.sh build      install what is missing, configure, build the tools
#   ./bootstrap.sh test       build everything, then run all tests
#   ./bootstrap.sh sanitize   build what is tested with sanitizers and the fuzzers,
#                             and run them for a short while
#   ./bootstrap.sh demo       the same as build, then quantize the embedded model
#                             with the main schemes and print one table
#   ./bootstrap.sh check      check formatting, and run clang-tidy on the lines that
#                             the last commits changed (SINCE=commit: since then)
set -euo pipefail
cd "$(dirname "$0")"
build=build/release

packages=(
  clang-22 lld-22 llvm-22-dev llvm-22-tools libmlir-22-dev mlir-22-tools liblld-22-dev libclang-rt-22-dev
  cmake ninja-build ccache dpkg-dev file g++ libstdc++-12-dev zlib1g-dev
  libprotobuf-dev protobuf-compiler libopenblas-pthread-dev liblapacke-dev nlohmann-json3-dev libpcre2-dev libicu-dev
  libgtest-dev libgmock-dev
  python3 python3-numpy python3-onnx   # configuring looks for them; tests run them
  python3-jsonschema zsh               # only tests run them
)
check_packages=(git clang-format-22 clang-tidy-22)

# install_packages NAME...: those that are missing.
install_packages() {
  local missing=() package
  for package in "$@"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true) == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  echo "installing: ${missing[*]}"
  local sudo=()
  ((EUID == 0)) || sudo=(sudo)
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# build TARGET: `tools` or `all`.
build() {
  [[ -f $build/build.ninja ]] || cmake --preset release
  cmake --build "$build" --target "$1"
}

case ${1:-} in
  build)
    install_packages "${packages[@]}"
    build tools
    ;;
  test)
    install_packages "${packages[@]}"
    build all
    ctest --test-dir "$build" --output-on-failure --parallel "$(nproc)"
    ;;
  sanitize)
    install_packages "${packages[@]}"
    build sanitized
    ctest --test-dir "$build" -C sanitized -L sanitized --output-on-failure --parallel "$(nproc)"
    ;;
  demo)
    install_packages "${packages[@]}"
    build tools
    exec test/demo.sh "$build/bin"
    ;;
  check)
    install_packages "${packages[@]}" "${check_packages[@]}"
    [[ -f $build/build.ninja ]] || cmake --preset release
    test/check-style.sh "$build" "${SINCE:-}"
    ;;
  *)
    echo "usage: ./bootstrap.sh build|test|sanitize|demo|check" >&2
    exit 2
    ;;
esac
