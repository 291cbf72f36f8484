//===- TemporaryDirectory.h - A directory that goes with the test ---------===//
#ifndef QOPT_TEST_UNIT_SUPPORT_TEMPORARYDIRECTORY_H
#define QOPT_TEST_UNIT_SUPPORT_TEMPORARYDIRECTORY_H

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <unistd.h>

class TemporaryDirectory {
public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "qopt-test-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  TemporaryDirectory(const TemporaryDirectory &) = delete;
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }

  std::string file(std::string_view name) const { return (path / name).string(); }
  std::string write(std::string_view name, std::string_view contents) const {
    std::ofstream(file(name), std::ios::binary) << contents;
    return file(name);
  }
  std::string read(std::string_view name) const {
    std::ifstream stream(file(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  size_t numFiles() const { return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(path), {})); }

private:
  std::filesystem::path path;
};

#endif // QOPT_TEST_UNIT_SUPPORT_TEMPORARYDIRECTORY_H
