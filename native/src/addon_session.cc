#include "addon_session.h"

#include <algorithm>

namespace tidemark {
namespace {

constexpr const char* kOperationNames[Session::kOperations] = {
    nullptr,       "lookup",    "forget",  "getattr", "setattr",  "readlink",    "symlink",   nullptr,   "mknod",       "mkdir",    "unlink",      "rmdir",   "rename",
    "link",        "open",      "read",    "write",   "statfs",   "release",     nullptr,     "fsync",   "setxattr",    "getxattr", "listxattr",   "removexattr", "flush",
    "init",        "opendir",   "readdir", "releasedir", "fsyncdir", "getlk",    "setlk",     "setlkw",  "access",      "create",   "interrupt",   "bmap",    "destroy",
    "ioctl",       "poll",      "notify-reply", "batch-forget", "fallocate", "readdirplus", "rename2", "lseek",  "copy-file-range", nullptr, nullptr, "syncfs", "tmpfile", "statx",
};

const char* requestName(SnapshotOperation operation) {
  switch (operation) {
    case SnapshotOperation::kRoot: return "root";
    case SnapshotOperation::kLookup: return "lookup";
    case SnapshotOperation::kGetattr: return "getattr";
    case SnapshotOperation::kReadlink: return "readlink";
    case SnapshotOperation::kList: return "list";
    case SnapshotOperation::kOpen: return "open";
    case SnapshotOperation::kReplan: return "replan";
    case SnapshotOperation::kGetxattr: return "getxattr";
    case SnapshotOperation::kListxattr: return "listxattr";
    default: return "forget";
  }
}

// An OperationLatency of native/types.ts.
Napi::Object fromLatency(Napi::Env env, const char* operation, const LatencyHistogram& latency) {
  Napi::Array buckets = Napi::Array::New(env);
  for (unsigned bucket = 0; bucket < LatencyHistogram::kBuckets; bucket++) {
    const uint64_t count = latency.countIn(bucket);
    if (count == 0) continue;
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("belowUs", static_cast<double>(LatencyHistogram::endNs(bucket)) / 1000);
    entry.Set("count", static_cast<double>(count));
    buckets.Set(buckets.Length(), entry);
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("operation", operation);
  out.Set("totalUs", static_cast<double>(latency.totalNs()) / 1000);
  out.Set("maxUs", static_cast<double>(latency.maxNs()) / 1000);
  out.Set("buckets", buckets);
  return out;
}

bool toNode(const Napi::Object& from, SnapshotNode* node) {
  node->node = toU64(from.Get("node"));
  node->ino = toU64(from.Get("ino"));
  const std::string attributes = toBytes(from.Get("attributes"));
  if (attributes.size() != sizeof(PackedAttributes)) return false;
  memcpy(&node->attributes, attributes.data(), attributes.size());
  node->timeoutMs = from.Get("timeoutMs").As<Napi::Number>().Uint32Value();
  return true;
}

bool toPieces(const Napi::Value& value, std::vector<Piece>* pieces) {
  if (!value.IsTypedArray()) return false;
  const auto numbers = value.As<Napi::BigUint64Array>();
  if (numbers.ElementLength() % 4 != 0) return false;
  const uint64_t* at = numbers.Data();
  for (size_t i = 0; i < numbers.ElementLength(); i += 4) pieces->push_back({at[i], at[i + 1], at[i + 2], at[i + 3]});
  return true;
}

// An entry of replyListing (native/types.ts); its pieces and its name follow.
struct PackedListedNode {
  uint64_t node, ino, plannedAt, planInode;
  uint32_t planGeneration, timeoutMs, nameLength, pieceCount;
  PackedAttributes attributes;
};
static_assert(sizeof(PackedListedNode) == 128, "native/types.ts: 128 bytes before the pieces");
constexpr uint32_t kNoPieces = 0xffffffff;

// Takes one entry off the front; its length, or 0 when the bytes are not an entry.
size_t toListed(const char* bytes, size_t length, SnapshotEntry* entry) {
  PackedListedNode packed;
  if (length < sizeof packed) return 0;
  memcpy(&packed, bytes, sizeof packed);
  const size_t pieceBytes = packed.pieceCount == kNoPieces ? 0 : packed.pieceCount * sizeof(Piece);
  const size_t whole = sizeof packed + pieceBytes + packed.nameLength;
  if (length < whole) return 0;
  entry->node = packed.node;
  entry->ino = packed.ino;
  entry->attributes = packed.attributes;
  entry->timeoutMs = packed.timeoutMs;
  entry->name.assign(bytes + sizeof packed + pieceBytes, packed.nameLength);
  entry->plan = {{packed.planInode, packed.planGeneration}, packed.attributes.size, packed.plannedAt, nullptr};
  if (packed.pieceCount != kNoPieces) {
    auto pieces = std::make_shared<std::vector<Piece>>(packed.pieceCount);
    if (pieceBytes != 0) memcpy(pieces->data(), bytes + sizeof packed, pieceBytes);
    entry->plan.pieces = std::move(pieces);
  }
  return whole;
}

}  // namespace

Napi::FunctionReference SessionWrap::constructor_;

bool toPlan(const Napi::Value& value, Plan* plan, std::string* hint, bool* hasHint) {
  if (!value.IsObject()) return false;
  const auto object = value.As<Napi::Object>();
  if (!toPieces(object.Get("pieces"), &plan->pieces)) return false;
  plan->file = toFileId(object.Get("file"));
  plan->size = toU64(object.Get("size"));
  plan->plannedAt = toU64(object.Get("plannedAt"));
  const Napi::Value path = object.Get("path");
  *hasHint = path.IsTypedArray();
  if (*hasHint) *hint = toBytes(path);
  return true;
}

void SessionWrap::define(Napi::Env env) {
  Napi::Function function = DefineClass(env, "Session",
                                        {InstanceMethod("replyError", &SessionWrap::replyError), InstanceMethod("replyNode", &SessionWrap::replyNode),
                                         InstanceMethod("replyData", &SessionWrap::replyData), InstanceMethod("replyListing", &SessionWrap::replyListing),
                                         InstanceMethod("replyPlan", &SessionWrap::replyPlan), InstanceMethod("invalidateSnapshots", &SessionWrap::invalidateSnapshots),
                                         InstanceMethod("invalidateFile", &SessionWrap::invalidateFile), InstanceMethod("openSnapshotNodes", &SessionWrap::openSnapshotNodes),
                                         InstanceMethod("state", &SessionWrap::state),
                                         InstanceMethod("unmount", &SessionWrap::unmount)});
  constructor_ = Napi::Persistent(function);
  constructor_.SuppressDestruct();
}

SessionWrap::SessionWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SessionWrap>(info) {}

SessionWrap::~SessionWrap() {
  if (endWatcher_.joinable()) endWatcher_.join();
}

void SessionWrap::prepare(Napi::Env env, std::shared_ptr<Volume> volume, const Napi::Object& options) {
  volume_ = std::move(volume);
  SessionOptions made;
  made.mountpoint = options.Get("mountpoint").ToString();
  made.source = options.Get("source").ToString();
  made.writeback = options.Get("writeback").ToBoolean();
  made.intervalMs = std::max(10u, options.Get("intervalMs").As<Napi::Number>().Uint32Value());
  made.keepAwake = options.Get("keepAwake").ToBoolean();
  made.snapshotsVisible = options.Get("snapshotsVisible").ToBoolean();
  made.allowOther = options.Get("allowOther").ToBoolean();
  onSnapshotRequest_ = Napi::Persistent(options.Get("onSnapshotRequest").As<Napi::Function>());
  onEnd_ = Napi::Persistent(options.Get("onEnd").As<Napi::Function>());
  if (options.Get("onAccessChanged").IsFunction()) onAccessChanged_ = Napi::Persistent(options.Get("onAccessChanged").As<Napi::Function>());
  toJs_ = Napi::ThreadSafeFunction::New(env, onSnapshotRequest_.Value(), "tidemark snapshots", 0, 1);
  session_ = std::make_unique<Session>(volume_.get(), std::move(made), this);
}

Napi::Promise SessionWrap::mount(Napi::Env env, std::shared_ptr<Volume> volume, const Napi::Object& options) {
  Napi::Object object = constructor_.New({});
  SessionWrap* wrap = Unwrap(object);
  wrap->prepare(env, std::move(volume), options);
  const std::string mountpoint = options.Get("mountpoint").ToString();
  // Alive until the mount has ended, whether or not JavaScript still holds it.
  wrap->Ref();
  return inBackground(
      env, "cannot mount at " + mountpoint,
      [wrap] {
        const int error = wrap->session_->start(&wrap->message_);
        if (error == 0) wrap->watchEnd();
        else wrap->toJs_.Release();
        return error;
      },
      [wrap](Napi::Env) -> Napi::Value { return wrap->Value(); });
}

void SessionWrap::watchEnd() {
  endWatcher_ = std::thread([this] {
    session_->awaitEnd();
    toJs_.BlockingCall([this](Napi::Env env, Napi::Function) {
      onEnd_.Call({Napi::String::New(env, "unmounted")});
      // The node tables and handles of JavaScript end here; requests can no longer come.
      Unref();
    });
    toJs_.Release();
  });
}

void SessionWrap::deliver(std::unique_ptr<SnapshotEvent> event) {
  SnapshotEvent* raw = event.release();
  const auto status = toJs_.NonBlockingCall(raw, [this](Napi::Env env, Napi::Function, SnapshotEvent* delivered) { callJs(env, delivered); });
  if (status != napi_ok) {
    const uint32_t id = raw->id;
    delete raw;
    if (id != 0) session_->snapshots().replyError(id, EIO);
  }
}

Napi::Object SessionWrap::describe(Napi::Env env, const SnapshotEvent& event) const {
  Napi::Object request = Napi::Object::New(env);
  request.Set("op", requestName(event.operation));
  request.Set("id", Napi::Number::New(env, event.id));
  if (event.operation == SnapshotOperation::kForget) {
    Napi::Array nodes = Napi::Array::New(env, event.nodes.size());
    for (uint32_t i = 0; i < event.nodes.size(); i++) nodes.Set(i, Napi::Number::New(env, static_cast<double>(event.nodes[i])));
    request.Set("nodes", nodes);
    return request;
  }
  if (event.operation == SnapshotOperation::kRoot) request.Set("directory", fromFileId(env, event.directory));
  else request.Set("node", Napi::Number::New(env, static_cast<double>(event.node)));
  if (event.operation == SnapshotOperation::kLookup || event.operation == SnapshotOperation::kGetxattr) request.Set("name", fromBytes(env, event.name.data(), event.name.size()));
  Napi::Object caller = Napi::Object::New(env);
  caller.Set("uid", Napi::Number::New(env, event.uid));
  caller.Set("gid", Napi::Number::New(env, event.gid));
  caller.Set("pid", Napi::Number::New(env, event.pid));
  request.Set("caller", caller);
  return request;
}

void SessionWrap::callJs(Napi::Env env, SnapshotEvent* raw) {
  std::unique_ptr<SnapshotEvent> event(raw);
  if (env == nullptr) return;
  Napi::HandleScope scope(env);
  if (event->operation == SnapshotOperation::kAccessChanged) {
    if (!onAccessChanged_.IsEmpty()) onAccessChanged_.Call({});
    return;
  }
  if (event->operation == SnapshotOperation::kForget) {
    session_->snapshots().keepForgotten(&event->nodes);
    if (event->nodes.empty()) return;
  }
  onSnapshotRequest_.Call({describe(env, *event)});
  // The handler answers its own faults; whatever still escapes must not leave the kernel waiting.
  if (env.IsExceptionPending()) {
    env.GetAndClearPendingException();
    if (event->id != 0) session_->snapshots().replyError(event->id, EIO);
  }
}

Napi::Value SessionWrap::replyError(const Napi::CallbackInfo& info) {
  session_->snapshots().replyError(info[0].As<Napi::Number>().Uint32Value(), errnoOf(info[1].ToString()));
  return info.Env().Undefined();
}

Napi::Value SessionWrap::replyNode(const Napi::CallbackInfo& info) {
  SnapshotNode node;
  const uint32_t id = info[0].As<Napi::Number>().Uint32Value();
  if (info[1].IsObject() && toNode(info[1].As<Napi::Object>(), &node)) session_->snapshots().replyNode(id, node);
  else session_->snapshots().replyError(id, EIO);
  return info.Env().Undefined();
}

Napi::Value SessionWrap::replyData(const Napi::CallbackInfo& info) {
  const std::string bytes = toBytes(info[1]);
  session_->snapshots().replyData(info[0].As<Napi::Number>().Uint32Value(), bytes.data(), bytes.size());
  return info.Env().Undefined();
}

Napi::Value SessionWrap::replyListing(const Napi::CallbackInfo& info) {
  const uint32_t id = info[0].As<Napi::Number>().Uint32Value();
  const auto bytes = info[1].As<Napi::Uint8Array>();
  const char* at = reinterpret_cast<const char*>(bytes.Data());
  std::vector<SnapshotEntry> entries;
  entries.reserve(bytes.ByteLength() / sizeof(PackedListedNode));
  for (size_t left = bytes.ByteLength(); left > 0;) {
    const size_t length = toListed(at, left, &entries.emplace_back());
    if (length == 0) {
      session_->snapshots().replyError(id, EIO);
      return info.Env().Undefined();
    }
    at += length;
    left -= length;
  }
  session_->snapshots().replyListing(id, std::move(entries));
  return info.Env().Undefined();
}

Napi::Value SessionWrap::replyPlan(const Napi::CallbackInfo& info) {
  const uint32_t id = info[0].As<Napi::Number>().Uint32Value();
  Plan plan;
  std::string hint;
  bool hasHint = false;
  if (toPlan(info[1], &plan, &hint, &hasHint)) session_->snapshots().replyPlan(id, std::move(plan), hasHint ? &hint : nullptr);
  else session_->snapshots().replyError(id, EIO);
  return info.Env().Undefined();
}

Napi::Value SessionWrap::invalidateSnapshots(const Napi::CallbackInfo& info) {
  // The notices go out on a thread of their own: the kernel takes the directory's lock for them, and whoever holds that lock may be waiting for this thread's answer.
  const std::vector<uint64_t> roots = session_->snapshots().takeRoots();
  return inBackground(
      info.Env(), "cannot invalidate",
      [this, roots] {
        for (const uint64_t root : roots) session_->invalidateEntry(root, Snapshots::kName);
        return 0;
      },
      nullptr);
}

Napi::Value SessionWrap::invalidateFile(const Napi::CallbackInfo& info) {
  const FileId id = toFileId(info[0]);
  return inBackground(
      info.Env(), "cannot invalidate",
      [this, id] {
        if (InodeRef inode = volume_->inodes->find(id)) session_->invalidateInode(Inodes::nodeOf(inode.get()));
        return 0;
      },
      nullptr);
}

Napi::Value SessionWrap::openSnapshotNodes(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array nodes = Napi::Array::New(env);
  for (const uint64_t node : session_->snapshots().openNodes()) nodes.Set(nodes.Length(), Napi::Number::New(env, static_cast<double>(node)));
  return nodes;
}

Napi::Value SessionWrap::state(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Object out = Napi::Object::New(env);
  out.Set("protocol", session_->protocol());
  Napi::Array features = Napi::Array::New(env);
  for (const std::string& feature : session_->features()) features.Set(features.Length(), feature);
  out.Set("features", features);
  out.Set("knownInodes", Napi::Number::New(env, static_cast<double>(volume_->inodes->count())));
  out.Set("openHandles", Napi::Number::New(env, static_cast<double>(session_->handleCount())));
  Napi::Array operations = Napi::Array::New(env);
  for (unsigned opcode = 0; opcode < Session::kOperations; opcode++) {
    const LatencyHistogram& latency = session_->latency(opcode);
    if (kOperationNames[opcode] != nullptr && latency.count() > 0) operations.Set(operations.Length(), fromLatency(env, kOperationNames[opcode], latency));
  }
  out.Set("operations", operations);
  return out;
}

Napi::Value SessionWrap::unmount(const Napi::CallbackInfo& info) {
  return inBackground(info.Env(), "cannot unmount", [this] { return session_->unmount(); }, nullptr);
}

}  // namespace tidemark
