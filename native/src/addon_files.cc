// FileCalls of native/types.ts: system calls on ordinary paths that node:fs lacks.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <vector>

#include "addon.h"

namespace tidemark {
namespace {

Napi::Value fail(const Napi::CallbackInfo& info, const std::string& what) {
  errnoError(info.Env(), errno, what).ThrowAsJavaScriptException();
  return info.Env().Undefined();
}

Napi::Value getXattrs(const Napi::CallbackInfo& info) {
  const std::string path = toBytes(info[0]);
  Napi::Array out = Napi::Array::New(info.Env());
  std::string names(65536, '\0');
  const ssize_t length = llistxattr(path.c_str(), names.data(), names.size());
  if (length < 0) return errno == EOPNOTSUPP ? Napi::Value(out) : fail(info, "listxattr " + path);
  std::string value(65536, '\0');
  uint32_t count = 0;
  for (size_t at = 0; at < static_cast<size_t>(length); at += strlen(&names[at]) + 1) {
    const char* name = &names[at];
    const ssize_t size = lgetxattr(path.c_str(), name, value.data(), value.size());
    if (size < 0 && (errno == ENODATA || errno == EPERM || errno == EOPNOTSUPP)) continue;
    if (size < 0) return fail(info, "getxattr " + path);
    Napi::Object entry = Napi::Object::New(info.Env());
    entry.Set("name", fromBytes(info.Env(), name, strlen(name)));
    entry.Set("value", fromBytes(info.Env(), value.data(), static_cast<size_t>(size)));
    out.Set(count++, entry);
  }
  return out;
}

Napi::Value setXattr(const Napi::CallbackInfo& info) {
  const std::string path = toBytes(info[0]);
  const std::string value = toBytes(info[2]);
  if (lsetxattr(path.c_str(), toBytes(info[1]).c_str(), value.data(), value.size(), 0) != 0) return fail(info, "setxattr " + path);
  return info.Env().Undefined();
}

Napi::Value removeXattr(const Napi::CallbackInfo& info) {
  const std::string path = toBytes(info[0]);
  if (lremovexattr(path.c_str(), toBytes(info[1]).c_str()) != 0) return fail(info, "removexattr " + path);
  return info.Env().Undefined();
}

Napi::Value seek(const Napi::CallbackInfo& info, int whence) {
  const off_t found = lseek(info[0].As<Napi::Number>().Int32Value(), static_cast<off_t>(toU64(info[1])), whence);
  if (found < 0 && errno == ENXIO) return info.Env().Undefined();
  if (found < 0) return fail(info, "lseek");
  return fromU64(info.Env(), static_cast<uint64_t>(found));
}

Napi::Value seekData(const Napi::CallbackInfo& info) { return seek(info, SEEK_DATA); }
Napi::Value seekHole(const Napi::CallbackInfo& info) { return seek(info, SEEK_HOLE); }

struct timespec toTime(const Napi::Value& value) {
  bool lossless;
  const int64_t ns = value.As<Napi::BigInt>().Int64Value(&lossless);
  int64_t seconds = ns / 1000000000;
  int64_t rest = ns % 1000000000;
  if (rest < 0) {
    seconds--;
    rest += 1000000000;
  }
  return {seconds, static_cast<long>(rest)};
}

Napi::Value setTimes(const Napi::CallbackInfo& info) {
  const std::string path = toBytes(info[0]);
  const struct timespec times[2] = {toTime(info[1]), toTime(info[2])};
  if (utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) return fail(info, "utimensat " + path);
  return info.Env().Undefined();
}

// Where the file system knows no such flag, or between kinds of them, a second name does it.
Napi::Value moveNew(const Napi::CallbackInfo& info) {
  const std::string source = toBytes(info[0]);
  const std::string target = toBytes(info[1]);
  int result = renameat2(AT_FDCWD, source.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE);
  if (result != 0 && (errno == EINVAL || errno == ENOSYS)) {
    result = link(source.c_str(), target.c_str());
    if (result == 0) result = unlink(source.c_str());
  }
  if (result != 0) return fail(info, "rename " + source + " to " + target);
  return info.Env().Undefined();
}

Napi::Value makeNode(const Napi::CallbackInfo& info) {
  const std::string path = toBytes(info[0]);
  if (mknod(path.c_str(), info[1].As<Napi::Number>().Uint32Value(), toU64(info[2])) != 0) return fail(info, "mknod " + path);
  return info.Env().Undefined();
}

// Who connected, with the groups that he had then: the kernel noted both at connect(2).
Napi::Value peerOf(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  struct ucred credentials;
  socklen_t length = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return fail(info, "getsockopt SO_PEERCRED");
  std::vector<gid_t> groups(65536);
  length = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length) != 0) return fail(info, "getsockopt SO_PEERGROUPS");
  Napi::Array list = Napi::Array::New(info.Env());
  for (uint32_t at = 0; at < length / sizeof(gid_t); at++) list.Set(at, Napi::Number::New(info.Env(), groups[at]));
  Napi::Object peer = Napi::Object::New(info.Env());
  peer.Set("uid", Napi::Number::New(info.Env(), credentials.uid));
  peer.Set("gid", Napi::Number::New(info.Env(), credentials.gid));
  peer.Set("groups", list);
  return peer;
}

}  // namespace

Napi::Object makeFileCalls(Napi::Env env) {
  Napi::Object files = Napi::Object::New(env);
  files.Set("getXattrs", Napi::Function::New(env, getXattrs));
  files.Set("setXattr", Napi::Function::New(env, setXattr));
  files.Set("removeXattr", Napi::Function::New(env, removeXattr));
  files.Set("seekData", Napi::Function::New(env, seekData));
  files.Set("seekHole", Napi::Function::New(env, seekHole));
  files.Set("setTimes", Napi::Function::New(env, setTimes));
  files.Set("peerOf", Napi::Function::New(env, peerOf));
  files.Set("moveNew", Napi::Function::New(env, moveNew));
  files.Set("makeNode", Napi::Function::New(env, makeNode));
  return files;
}

}  // namespace tidemark
