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
    case SnapshotOperation::kRestore: return "restore";
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

uint32_t numberOf(const Napi::Value& value) { return value.As<Napi::Number>().Uint32Value(); }

// A MassChange of native/session-types.ts.
Napi::Object fromMassChange(Napi::Env env, const MassChange& change) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("uid", Napi::Number::New(env, change.uid));
  out.Set("session", Napi::Number::New(env, change.session));
  out.Set("pid", Napi::Number::New(env, change.last.pid));
  out.Set("command", fromBytes(env, change.last.command, strnlen(change.last.command, sizeof change.last.command)));
  out.Set("overwritten", Napi::Number::New(env, change.counts[static_cast<unsigned>(MassKind::kOverwritten)]));
  out.Set("removed", Napi::Number::New(env, change.counts[static_cast<unsigned>(MassKind::kRemoved)]));
  out.Set("renamed", Napi::Number::New(env, change.counts[static_cast<unsigned>(MassKind::kRenamed)]));
  out.Set("firstTxid", Napi::BigInt::New(env, change.firstTxid));
  out.Set("firstNs", Napi::BigInt::New(env, change.firstNs));
  out.Set("lastNs", Napi::BigInt::New(env, change.lastNs));
  Napi::Array pids = Napi::Array::New(env, change.pids.size());
  for (uint32_t i = 0; i < change.pids.size(); i++) pids.Set(i, Napi::Number::New(env, change.pids[i]));
  out.Set("pids", pids);
  Napi::Array examples = Napi::Array::New(env, change.examples.size());
  for (uint32_t i = 0; i < change.examples.size(); i++) examples.Set(i, fromBytes(env, change.examples[i].data(), change.examples[i].size()));
  out.Set("examples", examples);
  return out;
}

bool toNode(const Napi::Object& from, SnapshotNode* node) {
  node->node = toU64(from.Get("node"));
  node->ino = toU64(from.Get("ino"));
  const std::string attributes = toBytes(from.Get("attributes"));
  if (attributes.size() != sizeof(PackedAttributes)) return false;
  memcpy(&node->attributes, attributes.data(), attributes.size());
  node->timeoutMs = from.Get("timeoutMs").As<Napi::Number>().Uint32Value();
  const Napi::Value file = from.Get("file");
  if (file.IsBigInt()) node->file = toFileId(file);
  const Napi::Value snapshot = from.Get("snapshot");
  node->isList = !snapshot.IsBigInt();
  if (!node->isList) node->snapshot = toU64(snapshot);
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
  uint64_t node, ino, plannedAt, inode;
  uint32_t generation, timeoutMs, nameLength, pieceCount;
  PackedAttributes attributes;
  uint64_t snapshot;
};
static_assert(sizeof(PackedListedNode) == 136, "native/types.ts: 136 bytes before the pieces");
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
  entry->snapshot = packed.snapshot;
  entry->file = {packed.inode, packed.generation};
  entry->plan = {entry->file, packed.attributes.size, packed.plannedAt, nullptr};
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
                                         InstanceMethod("openSnapshotNodes", &SessionWrap::openSnapshotNodes),
                                         InstanceMethod("watchMassChanges", &SessionWrap::watchMassChanges), InstanceMethod("massChangeSeen", &SessionWrap::massChangeSeen),
                                         InstanceMethod("allowMassChange", &SessionWrap::allowMassChange), InstanceMethod("massChangeCount", &SessionWrap::massChangeCount),
                                         InstanceMethod("state", &SessionWrap::state),
                                         InstanceMethod("call", &SessionWrap::call), InstanceMethod("attach", &SessionWrap::attach), InstanceMethod("abandon", &SessionWrap::abandon),
                                         InstanceMethod("handOver", &SessionWrap::handOver), InstanceMethod("unmount", &SessionWrap::unmount)});
  constructor_ = Napi::Persistent(function);
  constructor_.SuppressDestruct();
}

SessionWrap::SessionWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SessionWrap>(info) {}

SessionWrap::~SessionWrap() {
  if (endWatcher_.joinable()) endWatcher_.join();
}

void SessionWrap::prepare(Napi::Env env, std::shared_ptr<Volume> volume, const Napi::Object& options, bool serves) {
  volume_ = std::move(volume);
  SessionOptions made;
  made.mountpoint = options.Get("mountpoint").ToString();
  made.source = options.Get("source").ToString();
  made.everyWrite = !options.Get("writeback").ToBoolean();
  made.writeback = !serves && !made.everyWrite;
  made.intervalMs = std::max(10u, options.Get("intervalMs").As<Napi::Number>().Uint32Value());
  made.keepAwake = !serves && options.Get("keepAwake").ToBoolean();
  made.snapshotsVisible = options.Get("snapshotsVisible").ToBoolean();
  made.allowOther = options.Get("allowOther").ToBoolean();
  if (options.Get("keeper").IsObject()) keeper_ = KeeperWrap::Unwrap(options.Get("keeper").As<Napi::Object>())->link();
  made.keeper = keeper_.get();
  onSnapshotRequest_ = Napi::Persistent(options.Get("onSnapshotRequest").As<Napi::Function>());
  onEnd_ = Napi::Persistent(options.Get("onEnd").As<Napi::Function>());
  if (options.Get("onAccessChanged").IsFunction()) onAccessChanged_ = Napi::Persistent(options.Get("onAccessChanged").As<Napi::Function>());
  if (options.Get("onMassChange").IsFunction()) {
    onMassChange_ = Napi::Persistent(options.Get("onMassChange").As<Napi::Function>());
    made.onMassChange = [this](MassChange change) { tellMassChange(std::move(change)); };
  }
  toJs_ = Napi::ThreadSafeFunction::New(env, onSnapshotRequest_.Value(), "tidemark snapshots", 0, 1);
  session_ = std::make_unique<Session>(volume_.get(), std::move(made), this);
}

Napi::Promise SessionWrap::mount(Napi::Env env, std::shared_ptr<Volume> volume, const Napi::Object& options) {
  Napi::Object object = constructor_.New({});
  SessionWrap* wrap = Unwrap(object);
  wrap->prepare(env, std::move(volume), options, false);
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

Napi::Value SessionWrap::serve(Napi::Env env, std::shared_ptr<Volume> volume, const Napi::Object& options) {
  Napi::Object object = constructor_.New({});
  SessionWrap* wrap = Unwrap(object);
  wrap->prepare(env, std::move(volume), options, true);
  wrap->Ref();
  wrap->session_->serve(options.Get("protocolMinor").As<Napi::Number>().Uint32Value());
  wrap->calls_ = std::make_unique<CallsWrap>(env, wrap->session_.get(), wrap->volume_.get());
  wrap->watchEnd();
  return object;
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

Napi::Array SessionWrap::describeRestored(Napi::Env env, const SnapshotEvent& event) const {
  Napi::Array nodes = Napi::Array::New(env, event.restored.size());
  for (uint32_t i = 0; i < event.restored.size(); i++) {
    const RestoredNode& restored = event.restored[i];
    Napi::Object node = Napi::Object::New(env);
    node.Set("node", Napi::Number::New(env, static_cast<double>(restored.node)));
    node.Set("parent", Napi::Number::New(env, static_cast<double>(restored.parent)));
    node.Set("file", fromFileId(env, restored.file));
    node.Set("size", Napi::Number::New(env, static_cast<double>(restored.size)));
    node.Set("name", fromBytes(env, restored.name.data(), restored.name.size()));
    if (!restored.isList) node.Set("snapshot", fromU64(env, restored.snapshot));
    nodes.Set(i, node);
  }
  return nodes;
}

Napi::Object SessionWrap::describe(Napi::Env env, const SnapshotEvent& event) const {
  Napi::Object request = Napi::Object::New(env);
  request.Set("op", requestName(event.operation));
  request.Set("id", Napi::Number::New(env, event.id));
  if (event.operation == SnapshotOperation::kRestore) {
    request.Set("nodes", describeRestored(env, event));
    return request;
  }
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
  session_->snapshots().forgetRoots();
  return info.Env().Undefined();
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
  out.Set("isKept", session_->isKept());
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

void SessionWrap::tellMassChange(MassChange change) {
  auto* raw = new MassChange(std::move(change));
  const auto status = toJs_.NonBlockingCall(raw, [this](Napi::Env env, Napi::Function, MassChange* told) {
    std::unique_ptr<MassChange> owned(told);
    if (env == nullptr) return;
    Napi::HandleScope scope(env);
    onMassChange_.Call({fromMassChange(env, *owned)});
  });
  if (status != napi_ok) delete raw;
}

Napi::Value SessionWrap::watchMassChanges(const Napi::CallbackInfo& info) {
  session_->massWatch().limit(numberOf(info[0]));
  return info.Env().Undefined();
}

Napi::Value SessionWrap::massChangeSeen(const Napi::CallbackInfo& info) {
  session_->massWatch().seen(numberOf(info[0]), numberOf(info[1]));
  return info.Env().Undefined();
}

Napi::Value SessionWrap::allowMassChange(const Napi::CallbackInfo& info) {
  session_->massWatch().allow(numberOf(info[0]), numberOf(info[1]), wallClockNs());
  return info.Env().Undefined();
}

Napi::Value SessionWrap::massChangeCount(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), session_->massWatch().countOf(numberOf(info[0]), numberOf(info[1])));
}

Napi::Value SessionWrap::handOver(const Napi::CallbackInfo& info) {
  const auto list = info[0].As<Napi::Array>();
  std::string program;
  for (uint32_t i = 0; i < list.Length(); i++) program += list.Get(i).ToString().Utf8Value() + '\0';
  return inBackground(info.Env(), "cannot hand the mount over", [this, program] { return session_->handOver(program); }, nullptr);
}

Napi::Value SessionWrap::call(const Napi::CallbackInfo& info) {
  if (calls_ != nullptr) calls_->call(info);
  else errnoError(info.Env(), ENOTSUP, "this session has a connection of its own").ThrowAsJavaScriptException();
  return info.Env().Undefined();
}

Napi::Value SessionWrap::attach(const Napi::CallbackInfo& info) {
  const int error = calls_ == nullptr ? ENOTSUP : calls_->attach();
  if (error != 0) errnoError(info.Env(), error, "the mount's connection cannot be watched").ThrowAsJavaScriptException();
  return info.Env().Undefined();
}

Napi::Value SessionWrap::abandon(const Napi::CallbackInfo& info) {
  return inBackground(info.Env(), "cannot end", [this] {
    if (calls_ != nullptr) calls_->abandon();
    return 0;
  }, nullptr);
}

Napi::Value SessionWrap::unmount(const Napi::CallbackInfo& info) {
  return inBackground(info.Env(), "cannot unmount", [this] { return session_->unmount(); }, nullptr);
}

}  // namespace tidemark
