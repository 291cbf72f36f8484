#!/usr/bin/env bash
# Sets up, builds, tests and shows qopt on Debian 12. Needs only bash and apt.
#
#   ./bootstrap.sh build   install what is missing, configure, build
#   ./bootstrap.sh test    the same, then all tests
#   ./bootstrap.sh demo    the same as build, then quantizes the embedded model
#                          with every scheme and prints one table
set -euo pipefail
cd "$(dirname "$0")"
build=build/release

packages=(
  clang-22 lld-22 llvm-22-dev llvm-22-tools libmlir-22-dev mlir-22-tools liblld-22-dev libclang-rt-22-dev
  cmake ninja-build ccache g++ libstdc++-12-dev zlib1g-dev
  libprotobuf-dev protobuf-compiler libopenblas-pthread-dev liblapacke-dev nlohmann-json3-dev libpcre2-dev libicu-dev
  libgtest-dev libgmock-dev
  python3 python3-numpy python3-onnx   # tests only
)

install_packages() {
  local missing=() package
  for package in "${packages[@]}"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true) == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  echo "installing: ${missing[*]}"
  local sudo=()
  ((EUID == 0)) || sudo=(sudo)
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

build_all() {
  [[ -f $build/build.ninja ]] || cmake --preset release
  cmake --build "$build"
}

case ${1:-} in
  build)
    install_packages
    build_all
    ;;
  test)
    install_packages
    build_all
    ctest --test-dir "$build" --output-on-failure --parallel "$(nproc)"
    ;;
  demo)
    install_packages
    build_all
    exec test/demo.sh "$build/bin"
    ;;
  *)
    echo "usage: ./bootstrap.sh build|test|demo" >&2
    exit 2
    ;;
esac
