// The calls of JavaScript's CallSession (native/call-types.ts): a session that answers calls instead of a connection of its own.
#pragma once

#include "addon.h"
#include "calls.h"
#include "connection_watch.h"

namespace tidemark {

class CallsWrap {
 public:
  // On the JavaScript thread. `session` has begun to serve.
  CallsWrap(Napi::Env env, Session* session, Volume* volume);

  void call(const Napi::CallbackInfo& info);
  // The mount stands: its end will be the session's. 0 or an errno.
  int attach();
  // There will be no mount.
  void abandon();

 private:
  struct Pending;
  // On the JavaScript thread.
  static void finish(Napi::Env env, std::unique_ptr<Call> call, Pending* pending);
  // No more calls come: those under way end first, then the session. On any thread but JavaScript's.
  void end();

  Session* const session_;
  Napi::ThreadSafeFunction toJs_;
  Calls calls_;
  ConnectionWatch watch_;
};

}  // namespace tidemark
