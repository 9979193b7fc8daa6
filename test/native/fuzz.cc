// Fuzzes what reads bytes from outside: the log at opening, and the parser of kernel requests with all that it calls. Bytes are made from a seed:
// well-formed at first, then cut, flipped and stretched, with checksums put right again so that the inner checks are reached.
//
// Usage: fuzz log|request DIRECTORY SECONDS [SEED]. DIRECTORY is an empty one that may be filled. Exit status 1 and the seed on stderr when
// something that must hold does not; a sanitizer ends it by itself.
//
// 1. It works as an ordinary user, on names without slash or "..": a request that a kernel would never send must not leave DIRECTORY.
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <map>
#include <random>
#include <string>
#include <thread>

#include "../../native/src/crc32c.h"
#include "../../native/src/session.h"
#include "../../native/src/volume.h"

namespace {

using namespace tidemark;

uint64_t seed;

void require(bool holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "does not hold: %s; seed %llu\n", what, static_cast<unsigned long long>(seed));
  _exit(1);
}

class Dice {
 public:
  explicit Dice(uint64_t from) : engine_(from) {}
  uint64_t below(uint64_t limit) { return engine_() % limit; }
  bool oneIn(uint64_t times) { return below(times) == 0; }
  uint64_t number() {
    static constexpr uint64_t edges[] = {0, 1, 47, 48, 49, 4095, 4096, 65536, 1u << 20, 2u << 20, 0xFFFFFFFFu, 1ull << 40, ~0ull};
    return oneIn(2) ? edges[below(sizeof edges / sizeof *edges)] : below(64);
  }
  void flip(std::vector<char>* bytes, size_t from) {
    for (uint64_t count = below(4); count > 0 && bytes->size() > from; count--) (*bytes)[from + below(bytes->size() - from)] ^= static_cast<char>(1 << below(8));
  }

 private:
  std::mt19937_64 engine_;
};

// --- The log ---

void appendRecord(Dice* dice, std::vector<char>* out) {
  RecordHeader header{};
  header.length = static_cast<uint32_t>(dice->oneIn(8) ? dice->number() : sizeof header + dice->below(200));
  header.type = static_cast<uint8_t>(dice->below(13));
  header.flags = static_cast<uint8_t>(dice->below(4));
  header.aux = static_cast<uint16_t>(dice->number());
  header.txid = dice->number();
  header.inode = dice->number();
  header.offset = dice->number();
  header.size = dice->number();
  const size_t start = out->size();
  // What follows the header need not be as long as the header says.
  const size_t length = std::max<size_t>(sizeof header, dice->oneIn(6) ? dice->below(300) : std::min<uint32_t>(header.length, 4096));
  out->resize(start + align8(length));
  for (size_t i = start + sizeof header; i < start + length; i++) (*out)[i] = static_cast<char>(dice->below(256));
  memcpy(out->data() + start, &header, sizeof header);
  if (header.length >= sizeof header && header.length <= length && !dice->oneIn(10)) {
    header.crc = crc32c(out->data() + start + 4, header.length - 4, 0);
    memcpy(out->data() + start, &header, sizeof header.crc);
  }
}

SegmentHeader makeHeader(Dice* dice, const char* magic, const uint8_t (&id)[16]) {
  SegmentHeader header{};
  memcpy(header.magic, magic, sizeof header.magic);
  header.version = dice->oneIn(20) ? 2 : kFormatVersion;
  header.headerBytes = sizeof header;
  memcpy(header.volumeId, id, sizeof id);
  header.openTxid = dice->number();
  return header;
}

std::vector<char> makeSegment(Dice* dice, const uint8_t (&id)[16], uint64_t number, Lsn base) {
  std::vector<char> bytes(sizeof(SegmentHeader));
  SegmentHeader header = makeHeader(dice, kSegmentMagic, id);
  header.number = number;
  header.base = base;
  header.crc = crc32c(&header, offsetof(SegmentHeader, crc), 0);
  memcpy(bytes.data(), &header, sizeof header);
  for (uint64_t count = dice->below(12); count > 0; count--) appendRecord(dice, &bytes);
  if (dice->oneIn(2)) dice->flip(&bytes, dice->oneIn(5) ? 0 : sizeof header);
  if (dice->oneIn(4)) bytes.resize(dice->below(bytes.size() + 1));
  if (dice->oneIn(4)) bytes.resize(bytes.size() + dice->below(5000));
  return bytes;
}

// A packed segment, whose runs need not hold records: `*runs` tells offsets and lengths. It stands for `*packedBytes`.
std::vector<char> makePacked(Dice* dice, const uint8_t (&id)[16], std::vector<std::pair<uint32_t, uint32_t>>* runs, uint32_t* packedBytes) {
  std::vector<char> body;
  uint32_t offset = sizeof(SegmentHeader);
  for (uint64_t count = dice->below(5); count > 0; count--) {
    const size_t start = body.size();
    for (uint64_t records = 1 + dice->below(3); records > 0; records--) appendRecord(dice, &body);
    offset += static_cast<uint32_t>(8 * dice->below(20));
    runs->emplace_back(offset, static_cast<uint32_t>(body.size() - start));
    offset += runs->back().second;
  }
  *packedBytes = offset + static_cast<uint32_t>(8 * dice->below(20));
  SegmentHeader header = makeHeader(dice, kPackedMagic, id);
  header.number = 1;
  header.packedBytes = *packedBytes;
  header.crc = crc32c(&header, offsetof(SegmentHeader, crc), 0);
  const uint32_t count = static_cast<uint32_t>(runs->size());
  const uint32_t head[2] = {count, crc32c(runs->data(), count * sizeof runs->front(), crc32c(&count, sizeof count))};
  std::vector<char> bytes(sizeof header + sizeof head + count * sizeof runs->front());
  memcpy(bytes.data(), &header, sizeof header);
  memcpy(bytes.data() + sizeof header, head, sizeof head);
  if (count > 0) memcpy(bytes.data() + sizeof header + sizeof head, runs->data(), count * sizeof runs->front());
  bytes.insert(bytes.end(), body.begin(), body.end());
  return bytes;
}

void writeFile(int directory, const char* name, const std::vector<char>& bytes) {
  UniqueFd fd(openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC, 0600));
  require(fd.valid() && write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()), "the segment can be written");
}

// Whatever the segment held: opening tells an error or gives a log that can be appended to, and what was repaired stays repaired.
void openTwice(int directory, const uint8_t (&id)[16]) {
  Lsn end = 0;
  {
    Log log;
    LogRecovery found;
    if (log.open(directory, id, &found) != 0) return;
    require(log.end() >= sizeof(SegmentHeader) && log.end() % 8 == 0, "a log ends behind a whole record");
    RecordBatch batch(found.lastSeen + 1);
    batch.note(Note::kMounted, 1);
    require(log.append(batch, &end) == 0, "an opened log takes a batch");
    char bytes[64];
    for (Lsn position : {Lsn{0}, end - 1, end, end + 4096}) require(log.read(position, bytes, sizeof bytes) <= 64, "a read is not longer than asked");
    require(log.waitDurable(end) == 0, "an opened log can be synced");
  }
  Log log;
  LogRecovery found;
  require(log.open(directory, id, &found) == 0, "what was opened opens again");
  require(log.end() == end, "nothing was lost or added in between");
  require(found.tornBytes == 0, "a torn tail is cut off once");
}

// Every position of a sound packed segment is found in its run, or nowhere.
void readPacked(const Log& log, const std::vector<std::pair<uint32_t, uint32_t>>& runs, uint32_t packedBytes) {
  char bytes[100];
  size_t next = 0;
  for (uint32_t at = 0; at < packedBytes; at++) {
    while (next < runs.size() && runs[next].first + runs[next].second <= at) next++;
    const bool isThere = next < runs.size() && runs[next].first <= at;
    const ssize_t expected = isThere ? static_cast<ssize_t>(std::min<size_t>(sizeof bytes, runs[next].first + runs[next].second - at)) : -ENOENT;
    require(log.read(at, bytes, sizeof bytes) == expected, "a read ends with its run, and there is nothing outside");
  }
}

// A packed segment is followed by one that is not, as it always is, or by none.
void fuzzPacked(int directory, const uint8_t (&id)[16], Dice* dice) {
  std::vector<std::pair<uint32_t, uint32_t>> runs;
  uint32_t packedBytes = 0;
  std::vector<char> bytes = makePacked(dice, id, &runs, &packedBytes);
  const std::vector<char> sound = bytes;
  if (dice->oneIn(2)) dice->flip(&bytes, dice->oneIn(5) ? 0 : sizeof(SegmentHeader));
  if (dice->oneIn(4)) bytes.resize(dice->below(bytes.size() + 1));
  writeFile(directory, "0000000000000001.log", bytes);
  if (!dice->oneIn(4)) writeFile(directory, "0000000000000002.log", makeSegment(dice, id, 2, packedBytes));
  {
    Log log;
    LogRecovery found;
    if (bytes == sound && log.open(directory, id, &found) == 0) {
      readPacked(log, runs, packedBytes);
      require(log.replaceSegment(1) == EBUSY, "what recovery reads is not replaced");
    }
  }
  openTwice(directory, id);
}

char patternAt(Lsn position) { return static_cast<char>(position * 31 >> 3); }

// Every read gives what stands there, or that nothing does; so do reads across positions that are left out.
void readPattern(const Log& log, Dice* dice, uint64_t segmentBytes) {
  char bytes[200];
  for (int reads = 0; reads < 300; reads++) {
    const Lsn position = sizeof(SegmentHeader) + dice->below(segmentBytes - sizeof(SegmentHeader) - sizeof bytes);
    const ssize_t count = log.read(position, bytes, sizeof bytes);
    require(count > 0 || count == -ENOENT, "a position is there or not");
    for (ssize_t i = 0; i < count; i++) require(bytes[i] == patternAt(position + static_cast<Lsn>(i)), "what stands there is what always stood there");
  }
}

// The first of three segments, whole or packed, in which every byte tells its position. The other two are empty.
std::vector<char> makePattern(Dice* dice, const uint8_t (&id)[16], uint32_t segmentBytes, bool isPacked) {
  SegmentHeader header = makeHeader(dice, isPacked ? kPackedMagic : kSegmentMagic, id);
  header.version = kFormatVersion;
  header.number = 1;
  header.packedBytes = isPacked ? segmentBytes : 0;
  header.crc = crc32c(&header, offsetof(SegmentHeader, crc), 0);
  std::vector<uint32_t> runs;
  std::vector<char> body;
  for (uint32_t at = sizeof header; at < segmentBytes;) {
    const uint32_t end = isPacked ? std::min<uint32_t>(segmentBytes, at + 8 + 8 * static_cast<uint32_t>(dice->below(40))) : segmentBytes;
    runs.insert(runs.end(), {at, end - at});
    for (; at < end; at++) body.push_back(patternAt(at));
    at += 8 * static_cast<uint32_t>(dice->below(40));
  }
  const uint32_t count = static_cast<uint32_t>(runs.size() / 2);
  const uint32_t head[2] = {count, crc32c(runs.data(), runs.size() * 4, crc32c(&count, sizeof count))};
  std::vector<char> bytes(reinterpret_cast<char*>(&header), reinterpret_cast<char*>(&header + 1));
  if (isPacked) bytes.insert(bytes.end(), reinterpret_cast<const char*>(head), reinterpret_cast<const char*>(head + 2));
  if (isPacked) bytes.insert(bytes.end(), reinterpret_cast<const char*>(runs.data()), reinterpret_cast<const char*>(runs.data() + runs.size()));
  bytes.insert(bytes.end(), body.begin(), body.end());
  return bytes;
}

// Several threads read a segment while it is replaced again and again.
void replaceInUse(int directory, const uint8_t (&id)[16], Dice* dice) {
  constexpr uint32_t kBytes = 8192;
  constexpr const char* kNames[] = {"0000000000000001.log", "0000000000000002.log", "0000000000000003.log"};
  writeFile(directory, kNames[0], makePattern(dice, id, kBytes, dice->oneIn(2)));
  for (uint64_t number : {2, 3}) {
    SegmentHeader header = makeHeader(dice, kSegmentMagic, id);
    header.version = kFormatVersion;
    header.number = number;
    header.base = kBytes + (number - 2) * sizeof header;
    header.crc = crc32c(&header, offsetof(SegmentHeader, crc), 0);
    writeFile(directory, kNames[number - 1], std::vector<char>(reinterpret_cast<char*>(&header), reinterpret_cast<char*>(&header + 1)));
  }
  Log log;
  LogRecovery found;
  require(log.open(directory, id, &found) == 0 && log.packableBelow() == kBytes, "all but the last two may be packed");
  std::vector<std::thread> readers;
  for (uint64_t reader = 0; reader < 3; reader++) {
    readers.emplace_back([&log, readerSeed = dice->below(1u << 30)] {
      Dice own(readerSeed);
      readPattern(log, &own, kBytes);
    });
  }
  for (int round = 0; round < 5; round++) {
    writeFile(directory, "aside", makePattern(dice, id, kBytes, !dice->oneIn(4)));
    require(renameat(directory, "aside", directory, kNames[0]) == 0 && log.replaceSegment(1) == 0, "a closed segment is replaced");
  }
  require(log.replaceSegment(2) == EBUSY && log.replaceSegment(3) == EBUSY && log.replaceSegment(4) == ENOENT, "others are not");
  for (std::thread& reader : readers) reader.join();
}

void fuzzLog(const std::string& path, Dice* dice) {
  const uint8_t id[16] = {7};
  UniqueFd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY));
  if (dice->oneIn(3)) {
    replaceInUse(directory.get(), id, dice);
  } else if (dice->oneIn(2)) {
    fuzzPacked(directory.get(), id, dice);
  } else {
    writeFile(directory.get(), "0000000000000001.log", makeSegment(dice, id, 1, 0));
    openTwice(directory.get(), id);
  }
  for (const char* name : {"0000000000000001.log", "0000000000000002.log", "0000000000000003.log"}) unlinkat(directory.get(), name, 0);
}

// --- Requests ---

// Remembers questions; they are answered between requests, as JavaScript would.
class Collector : public SnapshotSink {
 public:
  void deliver(std::unique_ptr<SnapshotEvent> event) override {
    std::lock_guard<std::mutex> guard(mutex_);
    if (event->operation != SnapshotOperation::kForget && event->operation != SnapshotOperation::kAccessChanged) ids_.push_back(event->id);
  }
  size_t unanswered() {
    std::lock_guard<std::mutex> guard(mutex_);
    return ids_.size();
  }
  void answerAll(Session* session) {
    std::vector<uint32_t> ids;
    {
      std::lock_guard<std::mutex> guard(mutex_);
      ids.swap(ids_);
    }
    for (const uint32_t id : ids) session->snapshots().replyError(id, ENOENT);
  }

 private:
  std::mutex mutex_;
  std::vector<uint32_t> ids_;
};

size_t makeRequest(Dice* dice, uint64_t unique, char* bytes) {
  static constexpr uint32_t frequent[] = {FUSE_LOOKUP, FUSE_CREATE, FUSE_MKDIR, FUSE_WRITE, FUSE_READ, FUSE_OPEN, FUSE_RENAME2, FUSE_SETATTR, FUSE_SETXATTR, FUSE_LINK, FUSE_OPENDIR, FUSE_READDIRPLUS};
  fuse_in_header header{};
  header.opcode = dice->oneIn(2) ? frequent[dice->below(sizeof frequent / sizeof *frequent)] : static_cast<uint32_t>(dice->below(56));
  // INIT starts reading the device, which is no device here.
  if (header.opcode == FUSE_INIT) header.opcode = FUSE_GETATTR;
  header.unique = unique;
  header.nodeid = dice->oneIn(10) ? dice->number() : dice->oneIn(10) ? Snapshots::kNodeBit | dice->below(4) : 1 + dice->below(6);
  header.uid = header.gid = getuid();
  header.pid = static_cast<uint32_t>(getpid());
  size_t at = sizeof header;
  for (uint64_t words = dice->below(17); words > 0; words--, at += 4) {
    const uint32_t word = static_cast<uint32_t>(dice->number());
    memcpy(bytes + at, &word, sizeof word);
  }
  for (uint64_t names = dice->below(3); names > 0; names--) {
    for (uint64_t length = 1 + dice->below(dice->oneIn(20) ? 300 : 2); length > 0; length--) bytes[at++] = static_cast<char>('a' + dice->below(4));
    bytes[at++] = 0;
  }
  for (uint64_t extra = dice->below(64); extra > 0; extra--) bytes[at++] = static_cast<char>(dice->below(256));
  for (size_t i = sizeof header; i < at; i++) {
    if (bytes[i] == '/' || bytes[i] == '.') bytes[i] = '_';
  }
  if (header.opcode == FUSE_FALLOCATE && at >= sizeof header + sizeof(fuse_fallocate_in)) memset(bytes + sizeof header + 19, 0, 5);
  header.len = static_cast<uint32_t>(at);
  memcpy(bytes, &header, sizeof header);
  return at;
}

// Reads the answers that were written to the file: every request but FORGETs has one, and none has two.
void checkAnswers(int answers, const std::map<uint64_t, uint32_t>& asked) {
  std::map<uint64_t, int> seen;
  fuse_out_header header;
  off_t at = 0;
  while (pread(answers, &header, sizeof header, at) == static_cast<ssize_t>(sizeof header)) {
    require(header.len >= sizeof header && header.error <= 0 && header.error > -4096, "an answer's header makes sense");
    seen[header.unique]++;
    at += header.len;
  }
  for (const auto& [unique, opcode] : asked) {
    const int expected = opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT ? 0 : 1;
    if (seen[unique] == expected || (expected == 0 && opcode == FUSE_INTERRUPT)) continue;
    fprintf(stderr, "request %llu, opcode %u: %d answers\n", static_cast<unsigned long long>(unique), opcode, seen[unique]);
    require(false, "every request has its one answer");
  }
}

uint64_t recorded(const Session& session) {
  uint64_t all = 0;
  for (unsigned opcode = 0; opcode < Session::kOperations; opcode++) all += session.latency(opcode).count();
  return all;
}

// Answers questions until every request has been counted. Parked writes are answered, and then counted, by the log's own thread.
void finishAll(Session* session, Collector* collector, uint64_t count) {
  for (int poll = 0; poll < 10000; poll++) {
    collector->answerAll(session);
    if (recorded(*session) >= count) break;
    usleep(1000);
  }
  require(recorded(*session) == count, "every request is counted once");
}

void fuzzRequests(const std::string& path, Dice* dice) {
  UniqueFd answers(open((path + "/../answers").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600));
  const uint8_t id[16] = {7};
  Volume volume;
  VolumeOptions options;
  options.directory = path;
  options.strict = dice->oneIn(2);
  require(volume.open(options, id) == 0, "the volume opens");
  std::map<uint64_t, uint32_t> asked;
  {
    Collector collector;
    SessionOptions sessionOptions;
    sessionOptions.writeback = false;  // With it an LSEEK waits for the kernel's dirty pages, and here is no kernel.
    Session session(&volume, sessionOptions, &collector);
    RequestBuffer buffer(new char[kRequestBytes]);
    constexpr uint64_t kRequests = 400;
    for (uint64_t unique = 1; unique <= kRequests; unique++) {
      if (!buffer) buffer.reset(new char[kRequestBytes]);  // A parked request took it along.
      const size_t length = makeRequest(dice, unique, buffer.get());
      const uint32_t opcode = reinterpret_cast<fuse_in_header*>(buffer.get())->opcode;
      asked[unique] = opcode;
      // A copy of exactly the length, so that the sanitizer sees every step beyond it.
      RequestBuffer exact(new char[length]);
      memcpy(exact.get(), buffer.get(), length);
      Request request(answers.get(), &exact, length);
      session.dispatch(request);
      require(recorded(session) + collector.unanswered() <= unique, "a question is not counted before it is answered");
      collector.answerAll(&session);
    }
    require(volume.log.waitDurable(volume.log.end()) == 0, "the log can be synced");
    finishAll(&session, &collector, kRequests);
  }
  checkAnswers(answers.get(), asked);
  require(volume.close() == 0, "the volume closes");
}

void becomeOrdinary(const char* directory) {
  if (geteuid() != 0) return;
  require(chown(directory, 65534, 65534) == 0 && setgroups(0, nullptr) == 0 && setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0, "an ordinary user can be become");
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 4) {
    fprintf(stderr, "usage: fuzz log|request DIRECTORY SECONDS [SEED]\n");
    return 2;
  }
  const struct rlimit limit = {192u << 20, 192u << 20};
  setrlimit(RLIMIT_FSIZE, &limit);
  signal(SIGXFSZ, SIG_IGN);
  becomeOrdinary(arguments[2]);
  uint64_t next = count > 4 ? strtoull(arguments[4], nullptr, 10) : static_cast<uint64_t>(time(nullptr)) << 20;
  const time_t end = time(nullptr) + atoi(arguments[3]);
  uint64_t rounds = 0;
  do {
    seed = next++;
    Dice dice(seed);
    const std::string path = std::string(arguments[2]) + "/round";
    require(mkdir(path.c_str(), 0700) == 0, "the directory is empty");
    if (strcmp(arguments[1], "log") == 0) fuzzLog(path, &dice);
    else fuzzRequests(path, &dice);
    require(system(("chmod -R u+rwX " + path + " 2>/dev/null; rm -rf " + path).c_str()) == 0, "what was made can be removed");
    rounds++;
  } while (time(nullptr) < end);
  printf("%s: %llu rounds\n", arguments[1], static_cast<unsigned long long>(rounds));
  return 0;
}
