#include "intent_replay.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>

#include "file_io.h"

namespace tidemark {

int IntentReplay::run(const std::vector<LoggedIntent>& intents) {
  struct stat before;
  if (fstat(fd_, &before) != 0) return errno;
  std::string mtime;
  bool isNewest = false, isKnown = false;
  for (auto intent = intents.rbegin(); intent != intents.rend(); ++intent) {
    std::string body;
    if (const int error = readBody(*intent, &body)) return error;
    if (intent->kind == IntentKind::kBytes) {
      if (const int error = writeParts(*intent, body)) return error;
    } else if (intent->kind != IntentKind::kMtime) {
      return EILSEQ;
    } else if (mtime.empty()) {
      mtime = body;
      isNewest = intent == intents.rbegin();
      // What is written to lower places from here on had that mtime afterwards.
      isKnown = !wrote_;
    }
  }
  return isKnown ? setMtime(mtime, isNewest, before.st_mtim) : 0;
}

int IntentReplay::readBody(const LoggedIntent& intent, std::string* body) const {
  body->assign(intent.size, '\0');
  const ssize_t count = log_.read(intent.position + sizeof(RecordHeader), body->data(), body->size());
  if (count == static_cast<ssize_t>(body->size())) return 0;
  return count < 0 ? static_cast<int>(-count) : EIO;
}

int IntentReplay::writeParts(const LoggedIntent& intent, const std::string& body) {
  const uint64_t end = intent.offset + intent.size;
  uint64_t start = intent.offset, stop = end;
  // The range before, if it reaches here, and those that begin inside.
  auto next = covered_.upper_bound(intent.offset);
  if (next != covered_.begin() && std::prev(next)->second >= intent.offset) --next;
  for (uint64_t at = intent.offset; at < end;) {
    const bool isLast = next == covered_.end() || next->first > end;
    const uint64_t until = isLast ? end : next->first;
    if (at < until) {
      if (const int error = writePart(body.data() + (at - intent.offset), at, until - at)) return error;
    }
    if (isLast) break;
    start = std::min(start, next->first);
    stop = std::max(stop, next->second);
    at = next->second;
    next = covered_.erase(next);
  }
  covered_[start] = stop;
  return 0;
}

int IntentReplay::writePart(const char* bytes, uint64_t offset, uint64_t length) {
  std::string there(length, '\0');
  const ssize_t count = readFully(fd_, there.data(), length, offset);
  if (count < 0) return static_cast<int>(-count);
  if (static_cast<uint64_t>(count) == length && memcmp(there.data(), bytes, length) == 0) return 0;
  wrote_ = true;
  return writeFully(fd_, bytes, length, offset);
}

int IntentReplay::setMtime(const std::string& body, bool isNewest, const struct timespec& before) {
  MtimeBody told;
  if (body.size() != sizeof told) return EILSEQ;
  memcpy(&told, body.data(), sizeof told);
  struct timespec times[2] = {{0, UTIME_OMIT}, {told.seconds, static_cast<long>(told.nanoseconds)}};
  const bool wasLater = before.tv_sec > told.seconds || (before.tv_sec == told.seconds && before.tv_nsec > times[1].tv_nsec);
  if (!isNewest && wasLater) times[1] = before;
  return futimens(fd_, times) == 0 ? 0 : errno;
}

}  // namespace tidemark
