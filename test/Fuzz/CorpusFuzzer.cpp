//===- CorpusFuzzer.cpp - Texts and ids of every form ---------------------===//
//
// The first byte says which ending the file has and how text is cut; windows are made and
// drawn of what was read.
//
//===----------------------------------------------------------------------===//
#include "qopt/Tokenizer/TokenWindows.h"
#include "qopt/Tokenizer/Tokenizer.h"
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <unistd.h>

using namespace qopt;

static const char *const kTokenizer = R"({"model": {"type": "BPE", "unk_token": "<unk>", "merges": [["a", "b"]],
  "vocab": {"<unk>": 0, "a": 1, "b": 2, "ab": 3, " ": 4, "\n": 5}},
  "added_tokens": [{"id": 6, "content": "<|endoftext|>", "special": true}]})";

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const std::unique_ptr<Tokenizer> tokenizer = std::move(*Tokenizer::parse(kTokenizer));
  static const std::string stem =
      (std::filesystem::temp_directory_path() / ("fuzz-corpus-" + std::to_string(::getpid()))).string();
  constexpr const char *endings[] = {".txt", ".jsonl", ".tokens", ".npy"};
  constexpr DocumentRule rules[] = {DocumentRule::Automatic, DocumentRule::Whole, DocumentRule::BlankLines,
                                    DocumentRule::EndOfText, DocumentRule::Lines};
  if (size == 0)
    return 0;
  std::string path = stem + endings[data[0] % 4];
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char *>(data + 1), std::streamsize(size - 1));
  Result<Corpus> corpus = readCorpus(path, tokenizer.get(), 7, {rules[data[0] / 4 % 5], data[0] / 20 % 2 == 0});
  std::filesystem::remove(path);
  if (!corpus)
    return 0;
  for (const std::vector<int32_t> &document : corpus->documents)
    for (int32_t id : document)
      if (id < 0 || id >= 7)
        std::abort();
  for (int64_t length : {1, 5}) {
    Result<TokenWindows> windows = makeWindows(*corpus, length);
    if (!windows)
      continue;
    (void)pickEvenly(*windows, 3);
    if (drawWindows(*windows, 2, size).count() > 2 && windows->count() > 2)
      std::abort();
  }
  return 0;
}
