// JavaScript's NativeVolume (native/types.ts) over a Volume.
#include <errno.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "addon_session.h"
#include "credentials.h"
#include "failpoint.h"

namespace tidemark {
namespace {

// An entry of readDirectory (native/types.ts); its name follows.
struct PackedEntry {
  uint64_t inode;
  uint32_t generation, nameLength;
  PackedAttributes attributes;
};
static_assert(sizeof(PackedEntry) == 96, "native/types.ts: 96 bytes before the name");

class VolumeWrap : public Napi::ObjectWrap<VolumeWrap> {
 public:
  static void define(Napi::Env env);
  static Napi::FunctionReference constructor_;

  explicit VolumeWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<VolumeWrap>(info), volume_(std::make_shared<Volume>()) {}

  // 0 or an errno (or one of addon.h's).
  int open(const Napi::Object& options);
  void describe(Napi::Env env);

 private:
  Napi::Object logStateOf(Napi::Env env) const;
  // A descriptor of the file behind the first two arguments, or -errno.
  int openFile(const Napi::CallbackInfo& info, int flags);
  Napi::Value fail(const Napi::CallbackInfo& info, int error, const char* what);

  Napi::Value logState(const Napi::CallbackInfo& info) { return logStateOf(info.Env()); }
  Napi::Value settle(const Napi::CallbackInfo& info);
  Napi::Value syncLog(const Napi::CallbackInfo& info);
  Napi::Value packableBelow(const Napi::CallbackInfo& info) { return fromU64(info.Env(), volume_->log.packableBelow()); }
  Napi::Value replaceSegment(const Napi::CallbackInfo& info);
  Napi::Value room(const Napi::CallbackInfo& info);
  Napi::Value answerRoom(const Napi::CallbackInfo& info);
  Napi::Value makeReserve(const Napi::CallbackInfo& info);
  Napi::Value giveReserve(const Napi::CallbackInfo& info);
  Napi::Value holdTransaction(const Napi::CallbackInfo& info);
  Napi::Value releaseTransaction(const Napi::CallbackInfo& info);
  Napi::Value openFollowed(const Napi::CallbackInfo& info);
  Napi::Value endFollowed(const Napi::CallbackInfo& info);
  Napi::Value stopFollowing(const Napi::CallbackInfo& info);
  Napi::Value closePeerGate(const Napi::CallbackInfo& info);
  Napi::Value openPeerGate(const Napi::CallbackInfo& info);
  Napi::Value peerHas(const Napi::CallbackInfo& info);
  Napi::Value waitingForPeer(const Napi::CallbackInfo& info);
  Napi::Value syncTree(const Napi::CallbackInfo& info);
  Napi::Value holdChanges(const Napi::CallbackInfo& info);
  Napi::Value releaseChanges(const Napi::CallbackInfo& info);
  Napi::Value appendPin(const Napi::CallbackInfo& info);
  Napi::Value appendKept(const Napi::CallbackInfo& info);
  Napi::Value appendFloors(const Napi::CallbackInfo& info);
  Napi::Value appendExternal(const Napi::CallbackInfo& info);
  Napi::Value stat(const Napi::CallbackInfo& info);
  Napi::Value readDirectory(const Napi::CallbackInfo& info);
  Napi::Value readLink(const Napi::CallbackInfo& info);
  Napi::Value xattrs(const Napi::CallbackInfo& info);
  Napi::Value lookup(const Napi::CallbackInfo& info);
  Napi::Value isObject(const Napi::CallbackInfo& info);
  Napi::Value access(const Napi::CallbackInfo& info);
  Napi::Value readPlan(const Napi::CallbackInfo& info);
  Napi::Value mount(const Napi::CallbackInfo& info);
  Napi::Value serve(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  std::shared_ptr<Volume> volume_;
  // While the gate is closed (peer_gate.h).
  std::optional<Napi::ThreadSafeFunction> onPeerWait_;
};

Napi::FunctionReference VolumeWrap::constructor_;

// The id that volume.json holds, as 32 hex digits behind "id". false when there is none.
bool readVolumeId(const std::string& directory, uint8_t (&id)[16]) {
  UniqueFd fd(open((directory + "/" + Backing::kStoreName + "/volume.json").c_str(), O_RDONLY | O_CLOEXEC));
  char text[4096];
  const ssize_t length = fd.valid() ? read(fd.get(), text, sizeof text - 1) : -1;
  if (length <= 0) return false;
  text[length] = 0;
  const char* at = strstr(text, "\"id\"");
  at = at == nullptr ? nullptr : strchr(at + 4, '"');
  if (at == nullptr) return false;
  for (size_t i = 0; i < sizeof id; i++) {
    unsigned value;
    if (sscanf(at + 1 + 2 * i, "%2x", &value) != 1) return false;
    id[i] = static_cast<uint8_t>(value);
  }
  return true;
}

void VolumeWrap::define(Napi::Env env) {
  Napi::Function function = DefineClass(
      env, "NativeVolume",
      {InstanceMethod("logState", &VolumeWrap::logState), InstanceMethod("settle", &VolumeWrap::settle), InstanceMethod("syncLog", &VolumeWrap::syncLog),
       InstanceMethod("packableBelow", &VolumeWrap::packableBelow), InstanceMethod("replaceSegment", &VolumeWrap::replaceSegment),
       InstanceMethod("room", &VolumeWrap::room), InstanceMethod("answerRoom", &VolumeWrap::answerRoom),
       InstanceMethod("makeReserve", &VolumeWrap::makeReserve), InstanceMethod("giveReserve", &VolumeWrap::giveReserve),
       InstanceMethod("holdTransaction", &VolumeWrap::holdTransaction), InstanceMethod("releaseTransaction", &VolumeWrap::releaseTransaction),
       InstanceMethod("openFollowed", &VolumeWrap::openFollowed), InstanceMethod("endFollowed", &VolumeWrap::endFollowed),
       InstanceMethod("stopFollowing", &VolumeWrap::stopFollowing), InstanceMethod("syncTree", &VolumeWrap::syncTree),
       InstanceMethod("closePeerGate", &VolumeWrap::closePeerGate), InstanceMethod("openPeerGate", &VolumeWrap::openPeerGate),
       InstanceMethod("peerHas", &VolumeWrap::peerHas), InstanceMethod("waitingForPeer", &VolumeWrap::waitingForPeer),
       InstanceMethod("holdChanges", &VolumeWrap::holdChanges), InstanceMethod("releaseChanges", &VolumeWrap::releaseChanges),
       InstanceMethod("appendPin", &VolumeWrap::appendPin), InstanceMethod("appendKept", &VolumeWrap::appendKept),
       InstanceMethod("appendFloors", &VolumeWrap::appendFloors),
       InstanceMethod("appendExternal", &VolumeWrap::appendExternal), InstanceMethod("stat", &VolumeWrap::stat),
       InstanceMethod("readDirectory", &VolumeWrap::readDirectory), InstanceMethod("readLink", &VolumeWrap::readLink), InstanceMethod("xattrs", &VolumeWrap::xattrs),
       InstanceMethod("lookup", &VolumeWrap::lookup), InstanceMethod("isObject", &VolumeWrap::isObject), InstanceMethod("access", &VolumeWrap::access),
       InstanceMethod("readPlan", &VolumeWrap::readPlan), InstanceMethod("mount", &VolumeWrap::mount), InstanceMethod("serve", &VolumeWrap::serve), InstanceMethod("close", &VolumeWrap::close)});
  constructor_ = Napi::Persistent(function);
  constructor_.SuppressDestruct();
}

int VolumeWrap::open(const Napi::Object& options) {
  VolumeOptions made;
  made.directory = options.Get("backing").ToString();
  const std::string history = options.Get("history").ToString();
  made.strict = history == "strict";
  made.exact = history == "exact";
  made.follows = options.Get("follows").ToBoolean();
  const auto exclude = options.Get("exclude").As<Napi::Array>();
  for (uint32_t i = 0; i < exclude.Length(); i++) made.exclude.push_back(exclude.Get(i).ToString());
  made.resumes = options.Get("resumes").ToBoolean();
  setFailpoint(options.Get("failpoint").ToString());
  uint8_t id[16];
  if (!readVolumeId(made.directory, id)) return kFormatError;
  const int error = volume_->open(made, id);
  return error == EWOULDBLOCK ? kLockedError : error == EILSEQ ? kFormatError : error;
}

void VolumeWrap::describe(Napi::Env env) {
  Napi::Object self = Value();
  const LogRecovery& found = volume_->recovery;
  Napi::Object recovery = Napi::Object::New(env);
  recovery.Set("clean", found.clean);
  recovery.Set("tornBytes", Napi::Number::New(env, static_cast<double>(found.tornBytes)));
  recovery.Set("recoveredCount", Napi::Number::New(env, static_cast<double>(found.recoveredCount)));
  Napi::Array damaged = Napi::Array::New(env);
  for (const Lsn position : found.damagedAt) damaged.Set(damaged.Length(), fromU64(env, position));
  recovery.Set("damagedAt", damaged);
  Napi::Array replayed = Napi::Array::New(env);
  for (const FileId file : volume_->intents->replayed()) replayed.Set(replayed.Length(), fromFileId(env, file));
  recovery.Set("replayed", replayed);
  recovery.Set("lastTimeNs", Napi::BigInt::New(env, found.lastTimeNs));
  self.Set("recovery", recovery);
  self.Set("rootId", fromFileId(env, volume_->backing.rootId()));
}

Napi::Value VolumeWrap::fail(const Napi::CallbackInfo& info, int error, const char* what) {
  errnoError(info.Env(), error, what).ThrowAsJavaScriptException();
  return info.Env().Undefined();
}

Napi::Object VolumeWrap::logStateOf(Napi::Env env) const {
  const EndedPosition ended = volume_->transactions->ended();
  Napi::Object out = Napi::Object::New(env);
  out.Set("end", fromU64(env, volume_->log.end()));
  out.Set("recordCount", Napi::Number::New(env, static_cast<double>(volume_->log.recordCount())));
  out.Set("durable", fromU64(env, volume_->log.durable()));
  out.Set("ended", fromU64(env, ended.txid));
  out.Set("endedTimeNs", Napi::BigInt::New(env, ended.timeNs));
  return out;
}

Napi::Value VolumeWrap::settle(const Napi::CallbackInfo& info) {
  // Most often nothing is open, and then there is nothing to wait for on another thread.
  auto volume = volume_;
  return inBackground(
      info.Env(), "cannot end the transaction", [volume] {
        const int error = volume->transactions->settle(Reason::kQuery);
        // What somebody has seen must be there after a power cut.
        return error == 0 && volume->exact ? volume->log.waitDurable(volume->log.end()) : error;
      }, [this](Napi::Env env) -> Napi::Value { return logStateOf(env); });
}

Napi::Value VolumeWrap::syncLog(const Napi::CallbackInfo& info) {
  auto volume = volume_;
  return inBackground(info.Env(), "cannot sync the log", [volume] { return volume->log.waitDurable(volume->log.end()); }, nullptr);
}

Napi::Value VolumeWrap::replaceSegment(const Napi::CallbackInfo& info) {
  auto volume = volume_;
  const uint64_t number = toU64(info[0]);
  return inBackground(
      info.Env(), "cannot take over segment " + std::to_string(number),
      [volume, number] {
        const int error = volume->log.replaceSegment(number);
        return error == EILSEQ ? kFormatError : error;
      },
      nullptr);
}

Napi::Value VolumeWrap::room(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const uint64_t end = volume_->log.end();
  const RoomState state = volume_->room.state(end - std::min(end, toU64(info[0])));
  Napi::Object out = Napi::Object::New(env);
  const auto set = [&](const char* name, double value) { out.Set(name, Napi::Number::New(env, value)); };
  set("availableBytes", static_cast<double>(state.availableBytes));
  set("totalBytes", static_cast<double>(state.totalBytes));
  set("reserveBytes", static_cast<double>(state.reserveBytes));
  set("reserveWanted", static_cast<double>(state.reserveWanted));
  set("waiting", static_cast<double>(state.waiting));
  set("largestWaiting", static_cast<double>(state.largestWaiting));
  set("refused", static_cast<double>(state.refused));
  out.Set("lacksInodes", state.lacksInodes);
  out.Set("isShort", state.isShort);
  out.Set("isRefusing", state.isRefusing);
  return out;
}

Napi::Value VolumeWrap::answerRoom(const Napi::CallbackInfo& info) {
  volume_->room.answer(static_cast<uint64_t>(info[0].As<Napi::Number>().DoubleValue()));
  return info.Env().Undefined();
}

Napi::Value VolumeWrap::makeReserve(const Napi::CallbackInfo& info) {
  auto volume = volume_;
  return inBackground(info.Env(), "cannot make the reserve", [volume] { return volume->room.makeReserve(); }, nullptr);
}

Napi::Value VolumeWrap::giveReserve(const Napi::CallbackInfo& info) {
  volume_->room.giveReserve();
  return info.Env().Undefined();
}

Napi::Value VolumeWrap::holdTransaction(const Napi::CallbackInfo& info) {
  volume_->transactions->hold();
  return info.Env().Undefined();
}

Actor toActor(const Napi::Value& value, const std::string& command) {
  const auto caller = value.As<Napi::Object>();
  Actor actor;
  actor.uid = caller.Get("uid").As<Napi::Number>().Uint32Value();
  actor.gid = caller.Get("gid").As<Napi::Number>().Uint32Value();
  actor.pid = caller.Get("pid").As<Napi::Number>().Uint32Value();
  snprintf(actor.command, sizeof actor.command, "%s", command.c_str());
  return actor;
}

Napi::Value VolumeWrap::releaseTransaction(const Napi::CallbackInfo& info) {
  volume_->transactions->release(toActor(info[0], info[1].ToString()));
  return info.Env().Undefined();
}

Napi::Value VolumeWrap::openFollowed(const Napi::CallbackInfo& info) {
  auto volume = volume_;
  const Txid txid = toU64(info[0]);
  return inBackground(info.Env(), "cannot open the transaction", [volume, txid] { return volume->transactions->openFollowed(txid); }, nullptr);
}

Napi::Value VolumeWrap::endFollowed(const Napi::CallbackInfo& info) {
  auto volume = volume_;
  const Txid txid = toU64(info[0]);
  const Actor actor = toActor(info[1], info[2].ToString());
  const auto reason = static_cast<Reason>(info[3].As<Napi::Number>().Uint32Value());
  const auto flags = static_cast<uint8_t>(info[4].As<Napi::Number>().Uint32Value());
  const auto timeNs = static_cast<int64_t>(toU64(info[5]));
  return inBackground(
      info.Env(), "cannot end the transaction", [volume, txid, actor, reason, flags, timeNs] { return volume->transactions->endFollowed(txid, actor, reason, flags, timeNs); },
      nullptr);
}

Napi::Value VolumeWrap::stopFollowing(const Napi::CallbackInfo& info) {
  const int error = volume_->transactions->stopFollowing(toU64(info[0]));
  return error == 0 ? info.Env().Undefined() : fail(info, error, "cannot stop following");
}

Napi::Value VolumeWrap::closePeerGate(const Napi::CallbackInfo& info) {
  auto tell = Napi::ThreadSafeFunction::New(info.Env(), info[1].As<Napi::Function>(), "tidemark peer", 0, 1);
  tell.Unref(info.Env());
  // That it is refused means that the process ends.
  volume_->peerGate.close(toU64(info[0]), [tell] { (void)tell.NonBlockingCall(); });
  // From here on nobody calls the one before.
  if (onPeerWait_) onPeerWait_->Release();
  onPeerWait_ = tell;
  return info.Env().Undefined();
}

Napi::Value VolumeWrap::openPeerGate(const Napi::CallbackInfo& info) {
  // From here on nobody calls it.
  volume_->peerGate.open();
  if (onPeerWait_) onPeerWait_->Release();
  onPeerWait_.reset();
  return info.Env().Undefined();
}

Napi::Value VolumeWrap::peerHas(const Napi::CallbackInfo& info) {
  volume_->peerGate.acknowledged(toU64(info[0]));
  return info.Env().Undefined();
}

Napi::Value VolumeWrap::waitingForPeer(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), static_cast<double>(volume_->peerGate.waiting())); }

Napi::Value VolumeWrap::syncTree(const Napi::CallbackInfo& info) {
  auto volume = volume_;
  return inBackground(
      info.Env(), "cannot sync the files", [volume] { return syncfs(volume->backing.storeFd()) == 0 ? 0 : errno; }, nullptr);
}

Napi::Value VolumeWrap::holdChanges(const Napi::CallbackInfo& info) {
  volume_->holdChanges();
  return info.Env().Undefined();
}

Napi::Value VolumeWrap::releaseChanges(const Napi::CallbackInfo& info) {
  volume_->releaseChanges();
  return info.Env().Undefined();
}

Napi::Value VolumeWrap::appendPin(const Napi::CallbackInfo& info) {
  auto volume = volume_;
  const std::string name = toBytes(info[0]);
  const Txid txid = toU64(info[1]);
  const bool removed = info[2].ToBoolean();
  return inBackground(
      info.Env(), "cannot write the pin",
      [volume, name, txid, removed] {
        RecordBatch batch(volume->transactions->ended().txid + 1);
        batch.pin(name, txid, removed, wallClockNs());
        Lsn position;
        if (const int error = volume->log.append(batch, &position)) return error;
        return volume->log.waitDurable(position);
      },
      nullptr);
}

Napi::Value VolumeWrap::appendKept(const Napi::CallbackInfo& info) {
  auto volume = volume_;
  const Txid horizon = toU64(info[0]);
  const auto list = info[1].As<Napi::Array>();
  auto parts = std::make_shared<std::vector<std::string>>();
  for (uint32_t i = 0; i < list.Length(); i++) parts->push_back(toBytes(list.Get(i)));
  return inBackground(
      info.Env(), "cannot write what is kept",
      [volume, horizon, parts] {
        Lsn position = 0;
        for (size_t i = 0; i < parts->size(); i++) {
          RecordBatch batch(volume->transactions->ended().txid + 1);
          batch.kept((*parts)[i], horizon, static_cast<uint16_t>(i), i + 1 < parts->size());
          if (const int error = volume->log.append(batch, &position)) return error;
        }
        return volume->log.waitDurable(position);
      },
      nullptr);
}

Napi::Value VolumeWrap::appendFloors(const Napi::CallbackInfo& info) {
  auto volume = volume_;
  const auto txids = info[0].As<Napi::Array>();
  const auto list = info[1].As<Napi::Array>();
  auto floors = std::make_shared<std::vector<std::pair<Txid, std::string>>>();
  for (uint32_t i = 0; i < list.Length(); i++) floors->emplace_back(toU64(txids.Get(i)), toBytes(list.Get(i)));
  return inBackground(
      info.Env(), "cannot write what is kept of files",
      [volume, floors] {
        constexpr size_t kBatchBytes = 1u << 20;
        Lsn position = 0;
        RecordBatch batch(volume->transactions->ended().txid + 1);
        for (size_t i = 0; i < floors->size(); i++) {
          batch.floor((*floors)[i].second, (*floors)[i].first);
          if (batch.size() < kBatchBytes && i + 1 < floors->size()) continue;
          if (const int error = volume->log.append(batch, &position)) return error;
          batch.clear();
        }
        return volume->log.waitDurable(position);
      },
      nullptr);
}

Napi::Value VolumeWrap::appendExternal(const Napi::CallbackInfo& info) {
  auto volume = volume_;
  const auto list = info[0].As<Napi::Array>();
  auto records = std::make_shared<std::vector<std::string>>();
  for (uint32_t i = 0; i < list.Length(); i++) records->push_back(toBytes(list.Get(i)));
  auto txid = std::make_shared<Txid>(0);
  return inBackground(
      info.Env(), "cannot record the external changes",
      [volume, records, txid] {
        const Actor nobody;
        volume->transactions->barrier(Reason::kQuery);
        *txid = volume->transactions->begin(nobody);
        int error = 0;
        RecordBatch batch(*txid);
        Lsn position;
        for (const std::string& record : *records) {
          if (!batch.encoded(record.data(), record.size())) error = EINVAL;
          if (error == 0 && batch.size() > (1u << 20)) {
            error = volume->log.append(batch, &position);
            batch.clear();
          }
          if (error != 0) break;
        }
        if (error == 0 && !batch.empty()) error = volume->log.append(batch, &position);
        volume->transactions->finish(*txid);
        constexpr uint8_t kFlagExternal = 1;
        volume->transactions->barrier(Reason::kExternal, kFlagExternal);
        return error != 0 ? error : volume->log.waitDurable(volume->log.end());
      },
      [txid](Napi::Env env) -> Napi::Value { return fromU64(env, *txid); });
}

int VolumeWrap::openFile(const Napi::CallbackInfo& info, int flags) {
  const std::string hint = toBytes(info[1]);
  return volume_->openInode(toFileId(info[0]), info[1].IsTypedArray() ? &hint : nullptr, flags);
}

Napi::Value VolumeWrap::stat(const Napi::CallbackInfo& info) {
  UniqueFd fd(openFile(info, O_PATH));
  if (!fd.valid()) return fail(info, -fd.get(), "stat");
  struct stat st;
  if (fstatat(fd.get(), "", &st, AT_EMPTY_PATH) != 0) return fail(info, errno, "stat");
  volume_->backing.hideStore(toFileId(info[0]), &st);
  PackedAttributes attributes = packAttributes(st);
  return fromBytes(info.Env(), &attributes, sizeof attributes);
}

Napi::Value VolumeWrap::readDirectory(const Napi::CallbackInfo& info) {
  UniqueFd path(openFile(info, O_PATH));
  if (!path.valid()) return fail(info, -path.get(), "readdir");
  const int fd = openat(path.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* directory = fd < 0 ? nullptr : fdopendir(fd);
  if (directory == nullptr) return fail(info, errno, "readdir");
  const bool isRoot = toFileId(info[0]) == volume_->backing.rootId();
  // One buffer for all: an object for each entry would cost more than the system calls.
  std::string out;
  while (const dirent* entry = readdir(directory)) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (isRoot && strcmp(entry->d_name, Backing::kStoreName) == 0) continue;
    struct stat st;
    FileId id;
    // Gone since it was listed, or another file system's: neither is an entry of ours.
    if (volume_->backing.identify(fd, entry->d_name, &st, &id) != 0) continue;
    const PackedEntry packed{id.inode, id.generation, static_cast<uint32_t>(strlen(entry->d_name)), packAttributes(st)};
    out.append(reinterpret_cast<const char*>(&packed), sizeof packed);
    out.append(entry->d_name, packed.nameLength);
  }
  closedir(directory);
  return fromBytes(info.Env(), out.data(), out.size());
}

Napi::Value VolumeWrap::readLink(const Napi::CallbackInfo& info) {
  UniqueFd fd(openFile(info, O_PATH));
  if (!fd.valid()) return fail(info, -fd.get(), "readlink");
  char target[PATH_MAX];
  const ssize_t length = readlinkat(fd.get(), "", target, sizeof target);
  return length < 0 ? fail(info, errno, "readlink") : Napi::Value(fromBytes(info.Env(), target, static_cast<size_t>(length)));
}

Napi::Value VolumeWrap::xattrs(const Napi::CallbackInfo& info) {
  UniqueFd fd(openFile(info, O_PATH));
  if (!fd.valid()) return fail(info, -fd.get(), "listxattr");
  const std::string path = Backing::procPath(fd.get());
  Napi::Array out = Napi::Array::New(info.Env());
  std::string names(65536, '\0');
  const ssize_t length = listxattr(path.c_str(), names.data(), names.size());
  if (length < 0 && errno != EOPNOTSUPP) return fail(info, errno, "listxattr");
  std::string value(65536, '\0');
  for (ssize_t at = 0; at < length; at += static_cast<ssize_t>(strlen(&names[static_cast<size_t>(at)])) + 1) {
    const char* name = &names[static_cast<size_t>(at)];
    if (Backing::isOwnXattr(name)) continue;
    const ssize_t size = getxattr(path.c_str(), name, value.data(), value.size());
    if (size < 0) continue;
    Napi::Object entry = Napi::Object::New(info.Env());
    entry.Set("name", fromBytes(info.Env(), name, strlen(name)));
    entry.Set("value", fromBytes(info.Env(), value.data(), static_cast<size_t>(size)));
    out.Set(out.Length(), entry);
  }
  return out;
}

Napi::Value VolumeWrap::lookup(const Napi::CallbackInfo& info) {
  UniqueFd fd(openFile(info, O_PATH));
  if (!fd.valid()) return fail(info, -fd.get(), "lookup");
  const std::string name = toBytes(info[2]);
  struct stat st;
  FileId id;
  const bool hidden = name == Backing::kStoreName && toFileId(info[0]) == volume_->backing.rootId();
  const int error = hidden ? ENOENT : volume_->backing.identify(fd.get(), name.c_str(), &st, &id);
  if (error == ENOENT || error == ENAMETOOLONG || error == EXDEV) return info.Env().Undefined();
  if (error != 0) return fail(info, error, "lookup");
  Napi::Object made = Napi::Object::New(info.Env());
  made.Set("file", fromFileId(info.Env(), id));
  made.Set("type", Napi::Number::New(info.Env(), st.st_mode & S_IFMT));
  return made;
}

Napi::Value VolumeWrap::isObject(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), volume_->backing.isObject(toFileId(info[0]))); }

Napi::Value VolumeWrap::access(const Napi::CallbackInfo& info) {
  const FileId id = toFileId(info[0]);
  const auto caller = info[2].As<Napi::Object>();
  const uint32_t uid = caller.Get("uid").As<Napi::Number>().Uint32Value();
  const uint32_t gid = caller.Get("gid").As<Napi::Number>().Uint32Value();
  const uint32_t pid = caller.Get("pid").As<Napi::Number>().Uint32Value();
  const int mask = info[3].As<Napi::Number>().Int32Value();
  UniqueFd fd(openFile(info, O_PATH));
  if (!fd.valid()) return Napi::Number::New(info.Env(), -fd.get());
  int error = accessAs(uid, gid, pid, fd.get(), "", mask, AT_EMPTY_PATH);
  std::string path;
  bool hasPath = info[1].IsTypedArray();
  if (hasPath) path = toBytes(info[1]);
  if (InodeRef known = volume_->inodes->find(id)) hasPath = volume_->inodes->pathOf(known.get(), &path) || hasPath;
  // The way to it, by the caller's own rights: each directory above must let him through today.
  if (error == 0 && hasPath && id != volume_->backing.rootId() && !volume_->backing.isObject(id)) {
    const size_t slash = path.rfind('/');
    const std::string above = slash == std::string::npos ? "." : path.substr(0, slash);
    error = accessAs(uid, gid, pid, volume_->backing.rootFd(), above.c_str(), X_OK, 0);
  }
  return Napi::Number::New(info.Env(), error);
}

Napi::Value VolumeWrap::readPlan(const Napi::CallbackInfo& info) {
  auto volume = volume_;
  auto plan = std::make_shared<Plan>();
  std::string hint;
  bool hasHint = false;
  if (!toPlan(info[0], plan.get(), &hint, &hasHint)) return fail(info, EINVAL, "plan");
  const uint64_t offset = toU64(info[1]);
  auto bytes = std::make_shared<std::vector<char>>(info[2].As<Napi::Number>().Uint32Value());
  return inBackground(
      info.Env(), "cannot read",
      [volume, plan, bytes, offset, hint, hasHint] {
        PlannedFile file;
        if (const int error = file.open(volume.get(), *plan, hasHint ? &hint : nullptr)) return error;
        const ssize_t count = file.read(bytes->data(), bytes->size(), offset);
        if (count < 0) return static_cast<int>(-count);
        bytes->resize(static_cast<size_t>(count));
        return 0;
      },
      [bytes](Napi::Env env) -> Napi::Value { return fromBytes(env, bytes->data(), bytes->size()); });
}

Napi::Value VolumeWrap::serve(const Napi::CallbackInfo& info) { return SessionWrap::serve(info.Env(), volume_, info[0].As<Napi::Object>()); }

Napi::Value VolumeWrap::mount(const Napi::CallbackInfo& info) { return SessionWrap::mount(info.Env(), volume_, info[0].As<Napi::Object>()); }

Napi::Value VolumeWrap::close(const Napi::CallbackInfo& info) {
  auto volume = volume_;
  return inBackground(info.Env(), "cannot close the volume", [volume] { return volume->close(); }, nullptr);
}

}  // namespace

Napi::Value openVolume(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (VolumeWrap::constructor_.IsEmpty()) {
    VolumeWrap::define(env);
    SessionWrap::define(env);
  }
  const auto options = info[0].As<Napi::Object>();
  Napi::Object object = VolumeWrap::constructor_.New({});
  VolumeWrap* wrap = VolumeWrap::Unwrap(object);
  if (const int error = wrap->open(options)) {
    errnoError(env, error, "cannot open the volume at " + std::string(options.Get("backing").ToString())).ThrowAsJavaScriptException();
    return env.Undefined();
  }
  wrap->describe(env);
  return object;
}

}  // namespace tidemark
