//===- Progress.cpp - How far long work is --------------------------------===//
//
// Redrawn some times per second at most, however often it is told.
//
//===----------------------------------------------------------------------===//
#include "qopt/Support/Progress.h"
#include <cstdio>
#include <unistd.h>

using namespace qopt;

Progress::Progress(std::string label, bool isQuiet)
    : label(std::move(label)), isShown(!isQuiet && ::isatty(STDERR_FILENO)) {}

void Progress::update(int64_t done, int64_t total) {
  constexpr int64_t width = 30;
  constexpr auto pause = std::chrono::milliseconds(100); // redrawing faster only costs
  Clock::time_point now = Clock::now();
  if (!isShown || total <= 0 || (isDrawn && done < total && now - lastDrawn < pause))
    return;
  isDrawn = true;
  lastDrawn = now;
  int64_t filled = width * done / total;
  std::string line = "\r" + label + " [" + std::string(static_cast<size_t>(filled), '#') +
                     std::string(static_cast<size_t>(width - filled), '.') + "] " + std::to_string(done) + "/" +
                     std::to_string(total);
  if (double elapsed = std::chrono::duration<double>(now - start).count(); done > 0 && elapsed > 1) {
    int64_t left = static_cast<int64_t>(elapsed * static_cast<double>(total - done) / static_cast<double>(done) + .5);
    char text[48];
    std::snprintf(text, sizeof text, "  %lld:%02lld left", static_cast<long long>(left / 60),
                  static_cast<long long>(left % 60));
    line += text;
  }
  std::fputs((line + "\x1b[K").c_str(), stderr);
}

void Progress::clear() {
  if (isDrawn)
    std::fputs("\r\x1b[K", stderr);
  isDrawn = false;
}
