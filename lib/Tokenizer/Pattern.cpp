//===- Pattern.cpp - Literal and regular patterns -------------------------===//
//
// PCRE2 with its just-in-time compiler, under limits: a pattern from a file must not take
// exponential time or memory on a text from another file.
//
//===----------------------------------------------------------------------===//
#define PCRE2_CODE_UNIT_WIDTH 8
#include "Pattern.h"
#include "OnigurumaSyntax.h"
#include "Unicode.h"
#include "qopt/Support/Utf8.h"
#include <algorithm>
#include <cassert>
#include <chrono>
#include <cmath>
#include <cstring>
#include <ctime>
#include <optional>
#include <pcre2.h>

using namespace qopt;
using namespace qopt::tokenizer;

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

/// PCRE2's words for an error.
static std::string pcreMessage(int code) {
  char text[256];
  pcre2_get_error_message_8(code, reinterpret_cast<PCRE2_UCHAR8 *>(text), sizeof text);
  return text;
}

/// Compiled code is shared by copies of a Pattern and is read only.
static Result<std::shared_ptr<const pcre2_code_8>> compile(std::string_view pcre) {
  std::shared_ptr<pcre2_compile_context_8> context(pcre2_compile_context_create_8(nullptr),
                                                   pcre2_compile_context_free_8);
  pcre2_set_newline_8(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_max_pattern_length_8(context.get(), 1 << 20);
  int error;
  PCRE2_SIZE offset;
  pcre2_code_8 *code =
      pcre2_compile_8(reinterpret_cast<PCRE2_SPTR8>(pcre.data()), pcre.size(),
                      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT,
                      &error, &offset, context.get());
  if (!code)
    return Error{pcreMessage(error) + " at byte " + std::to_string(offset)};
  // Where there is no just-in-time compiler, PCRE2 interprets.
  pcre2_jit_compile_8(code, PCRE2_JIT_COMPLETE);
  return std::shared_ptr<const pcre2_code_8>(code, pcre2_code_free_8);
}

Pattern Pattern::parse(const Field &field) {
  if (std::optional<Field> text = field.find("String"))
    return literal(text->string());
  std::optional<Field> regex = field.find("Regex");
  if (!regex)
    field.failExpected("'String' or 'Regex'");
  Result<std::string> pcre = translateOniguruma(regex->string());
  if (!pcre)
    regex->fail("regex '" + printable(regex->string().substr(0, 64)) + "': " + pcre.error().message);
  Result<std::shared_ptr<const pcre2_code_8>> code = compile(*pcre);
  if (!code)
    regex->fail("regex '" + printable(regex->string().substr(0, 64)) + "' does not compile: " + code.error().message);
  Pattern pattern;
  pattern.code = std::move(*code);
  return pattern;
}

Pattern Pattern::regex(std::string_view pcre) {
  Result<std::shared_ptr<const pcre2_code_8>> code = compile(pcre);
  assert(code && "our own pattern does not compile");
  Pattern pattern;
  pattern.code = std::move(*code);
  return pattern;
}

Pattern Pattern::literal(std::string_view text) {
  Pattern pattern;
  pattern.text = text;
  return pattern;
}

//===----------------------------------------------------------------------===//
// Matching
//===----------------------------------------------------------------------===//

namespace {
/// The processor time that a pattern may take: two hundredths of a second and a second for
/// each 500 KB, twenty times what real patterns need. PCRE2's own limits are for
/// one place in the text; a pattern may look at the rest of the text from each.
class Allowance {
public:
  void add(size_t bytes) { seconds += 2e-6 * static_cast<double>(bytes); }
  double total() const { return seconds; }
  /// The time on the clock is never less and is read faster.
  bool isSpent() const {
    return std::chrono::duration<double>(Clock::now() - start).count() > seconds && used() - usedBefore > seconds;
  }

private:
  using Clock = std::chrono::steady_clock;
  static double used() {
    timespec time = {};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }
  double seconds = 0.02, usedBefore = used();
  Clock::time_point start = Clock::now();
};
} // namespace

/// What a match writes to. Each Matcher has its own, so patterns can be used by several
/// threads.
struct Matcher::State {
  explicit State(const pcre2_code_8 *code)
      : data(pcre2_match_data_create_from_pattern_8(code, nullptr)), context(pcre2_match_context_create_8(nullptr)),
        stack(pcre2_jit_stack_create_8(32 << 10, 8 << 20, nullptr)) {
    pcre2_set_heap_limit_8(context, /*KiB=*/256 << 10);
    pcre2_set_depth_limit_8(context, 1 << 20);
    if (stack)
      pcre2_jit_stack_assign_8(context, nullptr, stack);
  }
  ~State() {
    pcre2_match_data_free_8(data);
    pcre2_match_context_free_8(context);
    pcre2_jit_stack_free_8(stack);
  }
  pcre2_match_data_8 *data;
  pcre2_match_context_8 *context;
  pcre2_jit_stack_8 *stack;
  Allowance allowance;
};

Matcher::Matcher(const Pattern &pattern) : pattern(pattern) {
  if (pattern.code)
    state = std::make_unique<State>(pattern.code.get());
}

Matcher::~Matcher() = default;

Status Matcher::find(std::string_view text, std::vector<Span> &matches) {
  matches.clear();
  if (pattern.code)
    return findRegex(text, matches);
  const std::string &wanted = pattern.text;
  if (wanted.empty())
    return {};
  // memmem, unlike string_view::find, takes linear time for every text.
  for (size_t at = 0; at < text.size();) {
    const void *found = ::memmem(text.data() + at, text.size() - at, wanted.data(), wanted.size());
    if (!found)
      break;
    size_t begin = static_cast<size_t>(static_cast<const char *>(found) - text.data());
    at = begin + wanted.size();
    matches.push_back({begin, at});
  }
  return {};
}

Status Matcher::findRegex(std::string_view text, std::vector<Span> &matches) {
  constexpr size_t window = 256; // places to begin at in one call: time is looked at between calls
  constexpr int callsPerLook = 16;
  // Stepping back through one long run of spaces is honest work: allow for it.
  uint64_t steps = 1'000'000 + 16 * static_cast<uint64_t>(text.size());
  pcre2_set_match_limit_8(state->context, static_cast<uint32_t>(std::min<uint64_t>(steps, UINT32_MAX)));
  state->allowance.add(text.size());
  const auto *subject = reinterpret_cast<PCRE2_SPTR8>(text.data());
  auto giveUp = [](size_t at, const std::string &why) {
    return Error{"regex gave up at byte " + std::to_string(at) + " of the text: " + why};
  };
  std::optional<size_t> lastEnd;
  int calls = 0;
  for (size_t at = 0; at <= text.size();) {
    if (++calls % callsPerLook == 0 && state->allowance.isSpent())
      return giveUp(at, "it takes more than " + std::to_string(std::lround(1000 * state->allowance.total())) + " ms");
    size_t last = std::min(at + window, text.size());
    pcre2_set_offset_limit_8(state->context, last);
    int result =
        pcre2_match_8(pattern.code.get(), subject, text.size(), at, PCRE2_NO_UTF_CHECK, state->data, state->context);
    if (result == PCRE2_ERROR_NOMATCH) {
      for (at = last + 1; at < text.size() && isContinuation(text[at]);)
        ++at;
      continue;
    }
    if (result < 0)
      return giveUp(at, pcreMessage(result));
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer_8(state->data);
    size_t begin = bounds[0];
    size_t end = bounds[1];
    if (begin > end || end < at) // \K inside a lookaround may do that
      return Error{"regex moves backwards at byte " + std::to_string(at) + " of the text"};
    // An empty match right behind another one would be found for ever: a character on.
    if (begin == end && lastEnd == end) {
      at += at < text.size() ? characterLength(text[at]) : 1;
      continue;
    }
    matches.push_back({begin, end});
    at = end;
    lastEnd = end;
  }
  return {};
}

Result<std::string> qopt::tokenizer::replaceAll(std::string_view text, Matcher &matcher, std::string_view content,
                                                size_t limit) {
  std::vector<Span> matches;
  if (Status status = matcher.find(text, matches); !status)
    return status.error();
  // The length of the result is known before it is built, so the limit costs no memory.
  size_t removed = 0;
  for (Span match : matches)
    removed += match.end - match.begin;
  size_t kept = text.size() - removed;
  if (kept > limit || (!content.empty() && matches.size() > (limit - kept) / content.size()))
    return Error{"replacing makes the text longer than " + std::to_string(limit) + " bytes"};
  std::string result;
  result.reserve(kept + matches.size() * content.size());
  size_t copied = 0;
  for (Span match : matches) {
    result.append(text, copied, match.begin - copied).append(content);
    copied = match.end;
  }
  return result.append(text, copied);
}
