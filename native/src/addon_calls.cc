#include "addon_calls.h"

namespace tidemark {

// What of JavaScript's has to live while a call is under way.
struct CallsWrap::Pending {
  Napi::FunctionReference done;
  // The memory of Call::data and Call::target.
  Napi::ObjectReference data, target;
};

CallsWrap::CallsWrap(Napi::Env env, Session* session, Volume* volume) : session_(session), calls_(session, &volume->requestCount) {
  toJs_ = Napi::ThreadSafeFunction::New(env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}), "tidemark calls", 0, 1);
}

void CallsWrap::call(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  auto* pending = new Pending;
  pending->done = Napi::Persistent(info[1].As<Napi::Function>());
  auto call = std::make_unique<Call>();
  call->opcode = request.Get("opcode").As<Napi::Number>().Uint32Value();
  const Napi::Value node = request.Get("node");
  if (node.IsBigInt()) call->node = toU64(node);
  else call->path = toBytes(request.Get("path"));
  const Napi::Value other = request.Get("otherPath");
  call->hasOther = other.IsTypedArray();
  if (call->hasOther) call->otherPath = toBytes(other);
  call->body = toBytes(request.Get("body"));
  const Napi::Value data = request.Get("data");
  if (data.IsTypedArray()) {
    auto bytes = data.As<Napi::Uint8Array>();
    call->data = reinterpret_cast<const char*>(bytes.Data());
    call->dataLength = bytes.ByteLength();
    pending->data = Napi::Persistent(data.As<Napi::Object>());
  }
  const Napi::Value target = request.Get("target");
  if (target.IsTypedArray()) {
    auto bytes = target.As<Napi::Uint8Array>();
    call->target = reinterpret_cast<char*>(bytes.Data());
    call->targetLength = bytes.ByteLength();
    pending->target = Napi::Persistent(target.As<Napi::Object>());
  }
  call->holds = request.Get("holds").ToBoolean();
  call->done = [this, pending](std::unique_ptr<Call> ended) {
    Call* raw = ended.release();
    const auto status = toJs_.NonBlockingCall(raw, [pending](Napi::Env env, Napi::Function, Call* finished) { finish(env, std::unique_ptr<Call>(finished), pending); });
    // The environment is gone, and what was pending with it.
    if (status != napi_ok) delete raw;
  };
  if (calls_.add(&call)) return;
  call->error = ENODEV;
  finish(info.Env(), std::move(call), pending);
}

void CallsWrap::finish(Napi::Env env, std::unique_ptr<Call> call, Pending* pending) {
  const std::unique_ptr<Pending> owned(pending);
  if (env == nullptr) return;
  Napi::HandleScope scope(env);
  const bool hasAnswer = call->error == 0 && call->target == nullptr;
  owned->done.Call({Napi::Number::New(env, call->error), Napi::Number::New(env, static_cast<double>(call->answerLength)),
                    hasAnswer ? Napi::Value(fromBytes(env, call->answer.data(), call->answer.size())) : env.Undefined(), fromU64(env, call->heldNode)});
}

int CallsWrap::attach() {
  return watch_.start([this] { end(); });
}

void CallsWrap::abandon() { end(); }

void CallsWrap::end() {
  calls_.stop();
  toJs_.Release();
  session_->connectionEnded();
}

}  // namespace tidemark
