// JavaScript's Keeper object (native/types.ts) over a KeeperLink.
#pragma once

#include <memory>

#include "addon.h"
#include "keeper_link.h"

namespace tidemark {

class KeeperWrap : public Napi::ObjectWrap<KeeperWrap> {
 public:
  static void define(Napi::Env env);
  // connectKeeper of native/types.ts.
  static Napi::Value connect(const Napi::CallbackInfo& info);

  explicit KeeperWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<KeeperWrap>(info), link_(std::make_shared<KeeperLink>()) {}

  std::shared_ptr<KeeperLink> link() const { return link_; }

 private:
  static Napi::FunctionReference constructor_;

  Napi::Value isAlive(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), link_->isAlive()); }
  Napi::Value downForMs(const Napi::CallbackInfo& info);
  Napi::Value say(const Napi::CallbackInfo& info);

  std::shared_ptr<KeeperLink> link_;
  UniqueFd root_;
};

}  // namespace tidemark
