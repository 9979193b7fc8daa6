// Between JavaScript and C++: conversions and errors. Everything here runs on the JavaScript thread.
#pragma once

#include <napi.h>

#include <functional>

#include "types.h"

namespace tidemark {

// A JavaScript Error whose `code` is the errno's name.
Napi::Error errnoError(Napi::Env env, int error, const std::string& what);
// The name of an errno ("ENOENT"), and back (EIO for names that are not known).
const char* errnoName(int error);
int errnoOf(const std::string& name);

Napi::BigInt fromFileId(Napi::Env env, FileId id);
FileId toFileId(const Napi::Value& value);
uint64_t toU64(const Napi::Value& value);
inline Napi::BigInt fromU64(Napi::Env env, uint64_t value) { return Napi::BigInt::New(env, value); }
inline Napi::Buffer<char> fromBytes(Napi::Env env, const void* bytes, size_t length) { return Napi::Buffer<char>::Copy(env, static_cast<const char*>(bytes), length); }
std::string toBytes(const Napi::Value& buffer);

// Faults that have no errno: above all of them.
constexpr int kFormatError = 100001;
constexpr int kLockedError = 100002;

// Runs `work` (0 or an errno) on a worker thread, then settles the promise with what `result` makes, or an error about `what`.
Napi::Promise inBackground(Napi::Env env, const std::string& what, std::function<int()> work, std::function<Napi::Value(Napi::Env)> result);

Napi::Object makeFileCalls(Napi::Env env);
Napi::Value openVolume(const Napi::CallbackInfo& info);

}  // namespace tidemark
