// Writes a file's intents again after a power cut: what the file then holds is what the newest of them say, and what has come through untouched stays so. Times, too:
// who looks at a moment after the newest intent sees the file's own.
//
// Invariants:
// 1. Bytes that are there already are not written. (A write would give the file another mtime, which no record of history has.)
// 2. When nothing newer than the newest intent of an mtime had to be written, the file's mtime is that one, or a later one that it had.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "log.h"
#include "types.h"

namespace tidemark {

class IntentReplay {
 public:
  IntentReplay(const Log& log, int fd) : log_(log), fd_(fd) {}

  // `intents`: all of the file, oldest first. 0 or an errno.
  int run(const std::vector<LoggedIntent>& intents);

 private:
  int writeParts(const LoggedIntent& intent, const std::string& body);
  int writePart(const char* bytes, uint64_t offset, uint64_t length);
  int readBody(const LoggedIntent& intent, std::string* body) const;
  int setMtime(const std::string& body, bool isNewest, const struct timespec& before);

  const Log& log_;
  const int fd_;
  // Ends of the ranges that newer intents have, by their starts; none touches the next.
  std::map<uint64_t, uint64_t> covered_;
  bool wrote_ = false;
};

}  // namespace tidemark
