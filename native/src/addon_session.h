// JavaScript's Session object (native/types.ts) over a Session, and the way of snapshot events to JavaScript.
#pragma once

#include "addon.h"
#include "addon_calls.h"
#include "addon_keeper.h"
#include "session.h"

namespace tidemark {

class SessionWrap : public Napi::ObjectWrap<SessionWrap>, public SnapshotSink {
 public:
  static void define(Napi::Env env);
  // Resolves with the Session object once the mount stands.
  static Napi::Promise mount(Napi::Env env, std::shared_ptr<Volume> volume, const Napi::Object& options);
  // A CallSession, whose mount is somebody else's.
  static Napi::Value serve(Napi::Env env, std::shared_ptr<Volume> volume, const Napi::Object& options);

  explicit SessionWrap(const Napi::CallbackInfo& info);
  ~SessionWrap() override;

  void deliver(std::unique_ptr<SnapshotEvent> event) override;

 private:
  static Napi::FunctionReference constructor_;

  void prepare(Napi::Env env, std::shared_ptr<Volume> volume, const Napi::Object& options, bool serves);
  void watchEnd();
  void tellMassChange(MassChange change);
  // On the JavaScript thread.
  void callJs(Napi::Env env, SnapshotEvent* event);
  Napi::Object describe(Napi::Env env, const SnapshotEvent& event) const;
  Napi::Array describeRestored(Napi::Env env, const SnapshotEvent& event) const;

  Napi::Value replyError(const Napi::CallbackInfo& info);
  Napi::Value replyNode(const Napi::CallbackInfo& info);
  Napi::Value replyData(const Napi::CallbackInfo& info);
  Napi::Value replyListing(const Napi::CallbackInfo& info);
  Napi::Value replyPlan(const Napi::CallbackInfo& info);
  Napi::Value invalidateSnapshots(const Napi::CallbackInfo& info);
  Napi::Value openSnapshotNodes(const Napi::CallbackInfo& info);
  Napi::Value state(const Napi::CallbackInfo& info);
  Napi::Value watchMassChanges(const Napi::CallbackInfo& info);
  Napi::Value massChangeSeen(const Napi::CallbackInfo& info);
  Napi::Value allowMassChange(const Napi::CallbackInfo& info);
  Napi::Value massChangeCount(const Napi::CallbackInfo& info);
  Napi::Value unmount(const Napi::CallbackInfo& info);
  Napi::Value handOver(const Napi::CallbackInfo& info);
  Napi::Value call(const Napi::CallbackInfo& info);
  Napi::Value attach(const Napi::CallbackInfo& info);
  Napi::Value abandon(const Napi::CallbackInfo& info);

  std::shared_ptr<Volume> volume_;
  std::shared_ptr<KeeperLink> keeper_;
  std::unique_ptr<Session> session_;
  // Of a CallSession only.
  std::unique_ptr<CallsWrap> calls_;
  Napi::FunctionReference onSnapshotRequest_;
  Napi::FunctionReference onEnd_;
  Napi::FunctionReference onAccessChanged_;
  Napi::FunctionReference onMassChange_;
  Napi::ThreadSafeFunction toJs_;
  std::thread endWatcher_;
  std::string message_;
};

// A plan as JavaScript describes it; *hint is set when the plan has a path. false when it makes no sense.
bool toPlan(const Napi::Value& value, Plan* plan, std::string* hint, bool* hasHint);

}  // namespace tidemark
