#include "addon_keeper.h"

namespace tidemark {
namespace {

// What JavaScript may say; the rest a Session says.
bool wordOf(const std::string& text, KeeperWord* word) {
  if (text == "ready") *word = KeeperWord::kReady;
  else if (text == "served") *word = KeeperWord::kServed;
  else if (text == "alive") *word = KeeperWord::kAlive;
  else if (text == "ended") *word = KeeperWord::kEnded;
  else return false;
  return true;
}

std::string describe(int32_t why) {
  switch (why) {
    case kWhyUpgrade: return "upgrade";
    case kWhyUpgradeFailed: return "the program of an upgrade did not start";
    case kWhyHung: return "it gave no sign of life";
    case kWhyUnknown: return "it died";
    default: return why >= kWhyExit ? "it ended with status " + std::to_string(why - kWhyExit) : signalName(why);
  }
}

}  // namespace

Napi::FunctionReference KeeperWrap::constructor_;

void KeeperWrap::define(Napi::Env env) {
  Napi::Function function = DefineClass(
      env, "Keeper", {InstanceMethod("isAlive", &KeeperWrap::isAlive), InstanceMethod("downForMs", &KeeperWrap::downForMs), InstanceMethod("say", &KeeperWrap::say)});
  constructor_ = Napi::Persistent(function);
  constructor_.SuppressDestruct();
}

Napi::Value KeeperWrap::connect(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (constructor_.IsEmpty()) define(env);
  Napi::Object object = constructor_.New({});
  KeeperWrap* wrap = Unwrap(object);
  if (const int error = wrap->link_->open(info[0].As<Napi::Number>().Int32Value())) {
    errnoError(env, error, "cannot ask the keeper").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const KeeperMessage& start = wrap->link_->start();
  wrap->root_ = wrap->link_->take(KeptKind::kRoot);
  object.Set("pid", Napi::Number::New(env, start.keeper));
  object.Set("resumes", wrap->link_->resumes());
  if (wrap->root_.valid()) object.Set("root", Napi::Number::New(env, wrap->root_.get()));
  object.Set("restarts", Napi::Number::New(env, start.restarts));
  object.Set("downAtMs", Napi::Number::New(env, static_cast<double>(start.downAtNs / 1000000)));
  object.Set("why", start.restarts == 0 ? std::string() : describe(start.why));
  return object;
}

Napi::Value KeeperWrap::downForMs(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(monotonicNs() - link_->start().downSinceNs) / 1e6);
}

Napi::Value KeeperWrap::say(const Napi::CallbackInfo& info) {
  KeeperWord word;
  if (wordOf(info[0].ToString(), &word)) link_->say(word);
  return info.Env().Undefined();
}

}  // namespace tidemark
