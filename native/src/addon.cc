#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "addon_keeper.h"
#include "backing.h"
#include "crc32c.h"
#include "kept_table.h"
#include "tree_scan.h"

namespace tidemark {
namespace {

struct ErrnoName {
  int number;
  const char* name;
};

constexpr ErrnoName kNames[] = {
    {EPERM, "EPERM"},     {ENOENT, "ENOENT"},       {EINTR, "EINTR"},         {EIO, "EIO"},         {ENXIO, "ENXIO"},   {EBADF, "EBADF"},
    {EAGAIN, "EAGAIN"},   {ENOMEM, "ENOMEM"},       {EACCES, "EACCES"},       {EBUSY, "EBUSY"},     {EEXIST, "EEXIST"}, {EXDEV, "EXDEV"},
    {ENODEV, "ENODEV"},   {ENOTDIR, "ENOTDIR"},     {EISDIR, "EISDIR"},       {EINVAL, "EINVAL"},   {ENFILE, "ENFILE"}, {EMFILE, "EMFILE"},
    {EFBIG, "EFBIG"},     {ENOSPC, "ENOSPC"},       {EROFS, "EROFS"},         {EMLINK, "EMLINK"},   {ERANGE, "ERANGE"}, {ENAMETOOLONG, "ENAMETOOLONG"},
    {ENOSYS, "ENOSYS"},   {ENOTEMPTY, "ENOTEMPTY"}, {ELOOP, "ELOOP"},         {ENODATA, "ENODATA"}, {ESTALE, "ESTALE"}, {EOPNOTSUPP, "EOPNOTSUPP"},
    {EDQUOT, "EDQUOT"},   {ENOTCONN, "ENOTCONN"},   {EPROTO, "EPROTO"},       {kFormatError, "EFORMAT"}, {kLockedError, "ELOCKED"},
};

class Background : public Napi::AsyncWorker {
 public:
  Background(Napi::Env env, std::string what, std::function<int()> work, std::function<Napi::Value(Napi::Env)> result)
      : Napi::AsyncWorker(env), deferred_(Napi::Promise::Deferred::New(env)), what_(std::move(what)), work_(std::move(work)), result_(std::move(result)) {}
  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override { error_ = work_(); }
  void OnOK() override {
    Napi::HandleScope scope(Env());
    if (error_ != 0) deferred_.Reject(errnoError(Env(), error_, what_).Value());
    else deferred_.Resolve(result_ ? result_(Env()) : Env().Undefined());
  }

 private:
  Napi::Promise::Deferred deferred_;
  std::string what_;
  std::function<int()> work_;
  std::function<Napi::Value(Napi::Env)> result_;
  int error_ = 0;
};

Napi::Value checksum(const Napi::CallbackInfo& info) {
  const auto bytes = info[0].As<Napi::Uint8Array>();
  const uint32_t seed = info.Length() > 1 && info[1].IsNumber() ? info[1].As<Napi::Number>().Uint32Value() : 0;
  return Napi::Number::New(info.Env(), crc32c(bytes.Data(), bytes.ByteLength(), seed));
}

// What a process has mapped of a file counts as its memory, though it is the page cache's. Takes the pages of one file out of
// the shared mappings; whoever needs one again finds it in the page cache.
Napi::Value releaseMapped(const Napi::CallbackInfo& info) {
  struct stat st;
  FILE* maps = stat(info[0].As<Napi::String>().Utf8Value().c_str(), &st) == 0 ? fopen("/proc/self/maps", "re") : nullptr;
  if (maps == nullptr) return info.Env().Undefined();
  char line[4352];
  while (fgets(line, sizeof line, maps) != nullptr) {
    unsigned long from, to, inode;
    unsigned major, minor;
    char sharing;
    const int read = sscanf(line, "%lx-%lx %*3c%c %*s %x:%x %lu", &from, &to, &sharing, &major, &minor, &inode);
    if (read == 6 && sharing == 's' && inode == st.st_ino && makedev(major, minor) == st.st_dev) madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
  }
  fclose(maps);
  return info.Env().Undefined();
}

// Adds up the extents of a file that it has for itself. false where the file system does not tell.
bool addUnshared(int fd, uint64_t* bytes) {
  constexpr uint32_t kAtOnce = 256;
  std::vector<char> room(sizeof(struct fiemap) + kAtOnce * sizeof(struct fiemap_extent));
  auto* map = reinterpret_cast<struct fiemap*>(room.data());
  for (uint64_t start = 0;;) {
    *map = {};
    map->fm_start = start;
    map->fm_length = FIEMAP_MAX_OFFSET - start;
    map->fm_flags = FIEMAP_FLAG_SYNC;
    map->fm_extent_count = kAtOnce;
    if (ioctl(fd, FS_IOC_FIEMAP, map) != 0) return false;
    for (uint32_t i = 0; i < map->fm_mapped_extents; i++) {
      const struct fiemap_extent& extent = map->fm_extents[i];
      if ((extent.fe_flags & FIEMAP_EXTENT_SHARED) == 0) *bytes += extent.fe_length;
      start = extent.fe_logical + extent.fe_length;
      if ((extent.fe_flags & FIEMAP_EXTENT_LAST) != 0) return true;
    }
    if (map->fm_mapped_extents == 0) return true;
  }
}

Napi::Value unsharedBytes(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat st;
  if (!fd.valid() || fstat(fd.get(), &st) != 0) {
    errnoError(info.Env(), errno, "cannot open " + path).ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }
  uint64_t bytes = 0;
  if (!addUnshared(fd.get(), &bytes)) bytes = static_cast<uint64_t>(st.st_blocks) * 512;
  return Napi::Number::New(info.Env(), static_cast<double>(bytes));
}

Napi::Value changedSince(const Napi::CallbackInfo& info) {
  bool lossless;
  const int64_t sinceNs = info[2].As<Napi::BigInt>().Int64Value(&lossless);
  const auto most = static_cast<size_t>(info[3].As<Napi::Number>().Int64Value());
  auto found = std::make_shared<TreeScan>(info[0].As<Napi::String>(), info[1].As<Napi::String>(), sinceNs, most);
  return inBackground(
      info.Env(), "cannot look through the files", [found] { return found->run(); },
      [found](Napi::Env env) -> Napi::Value {
        Napi::Array paths = Napi::Array::New(env, found->paths().size());
        for (size_t i = 0; i < found->paths().size(); i++) paths.Set(static_cast<uint32_t>(i), fromBytes(env, found->paths()[i].data(), found->paths()[i].size()));
        return paths;
      });
}

Napi::Value setThreadIdle(const Napi::CallbackInfo& info) {
  const struct sched_param parameters {};
  sched_setscheduler(info[0].As<Napi::Number>().Int32Value(), info[1].ToBoolean() ? SCHED_IDLE : SCHED_OTHER, &parameters);
  return info.Env().Undefined();
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("openVolume", Napi::Function::New(env, openVolume, "openVolume"));
  exports.Set("connectKeeper", Napi::Function::New(env, KeeperWrap::connect, "connectKeeper"));
  exports.Set("keptLayout", Napi::Number::New(env, kKeptLayout));
  exports.Set("changedSince", Napi::Function::New(env, changedSince, "changedSince"));
  exports.Set("crc32c", Napi::Function::New(env, checksum, "crc32c"));
  exports.Set("releaseMapped", Napi::Function::New(env, releaseMapped, "releaseMapped"));
  exports.Set("setThreadIdle", Napi::Function::New(env, setThreadIdle, "setThreadIdle"));
  exports.Set("unsharedBytes", Napi::Function::New(env, unsharedBytes, "unsharedBytes"));
  exports.Set("files", makeFileCalls(env));
  return exports;
}

}  // namespace

const char* errnoName(int error) {
  for (const ErrnoName& entry : kNames)
    if (entry.number == error) return entry.name;
  return "EIO";
}

int errnoOf(const std::string& name) {
  for (const ErrnoName& entry : kNames)
    if (name == entry.name) return entry.number;
  return EIO;
}

Napi::Error errnoError(Napi::Env env, int error, const std::string& what) {
  const char* reason = error == kLockedError ? "another process has it open" : error == kFormatError ? "its format is not known to this version" : strerror(error);
  Napi::Error made = Napi::Error::New(env, what + ": " + reason);
  made.Set("code", Napi::String::New(env, errnoName(error)));
  return made;
}

Napi::BigInt fromFileId(Napi::Env env, FileId id) {
  const uint64_t words[2] = {id.inode, id.generation};
  return Napi::BigInt::New(env, 0, id.generation != 0 ? 2 : 1, words);
}

FileId toFileId(const Napi::Value& value) {
  uint64_t words[2] = {0, 0};
  if (!value.IsBigInt()) return {};
  int sign = 0;
  size_t count = 2;
  value.As<Napi::BigInt>().ToWords(&sign, &count, words);
  return {words[0], count > 1 ? static_cast<uint32_t>(words[1]) : 0};
}

uint64_t toU64(const Napi::Value& value) {
  if (value.IsNumber()) return static_cast<uint64_t>(value.As<Napi::Number>().Int64Value());
  if (!value.IsBigInt()) return 0;
  bool lossless;
  return value.As<Napi::BigInt>().Uint64Value(&lossless);
}

std::string toBytes(const Napi::Value& value) {
  if (!value.IsTypedArray()) return {};
  const auto bytes = value.As<Napi::Uint8Array>();
  return std::string(reinterpret_cast<const char*>(bytes.Data()), bytes.ByteLength());
}

Napi::Promise inBackground(Napi::Env env, const std::string& what, std::function<int()> work, std::function<Napi::Value(Napi::Env)> result) {
  auto* worker = new Background(env, what, std::move(work), std::move(result));
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

}  // namespace tidemark

static Napi::Object initAddon(Napi::Env env, Napi::Object exports) { return tidemark::init(env, exports); }
NODE_API_MODULE(tidemark, initAddon)
