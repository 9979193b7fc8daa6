#include "choices.h"

#include <cstdlib>
#include <sstream>

#include "fuse_abi.h"

namespace tidemark {
namespace {

struct Feature {
  uint64_t bit;
  const char* name;
};

constexpr Feature kFeatures[] = {
    {FUSE_ASYNC_READ, "async-read"},
    {FUSE_BIG_WRITES, "big-writes"},
    {FUSE_DONT_MASK, "umask"},
    {FUSE_DO_READDIRPLUS, "readdirplus"},
    {FUSE_READDIRPLUS_AUTO, "readdirplus-auto"},
    {FUSE_ASYNC_DIO, "async-dio"},
    {FUSE_WRITEBACK_CACHE, "writeback"},
    {FUSE_PARALLEL_DIROPS, "parallel-dirops"},
    {FUSE_POSIX_ACL, "posix-acl"},
    {FUSE_MAX_PAGES, "max-pages"},
    {FUSE_CACHE_SYMLINKS, "cache-symlinks"},
    {FUSE_EXPLICIT_INVAL_DATA, "explicit-invalidation"},
    {FUSE_HANDLE_KILLPRIV_V2, "killpriv-v2"},
    {FUSE_SETXATTR_EXT, "setxattr-ext"},
    {FUSE_EXPORT_SUPPORT, "export"},
    {FUSE_INIT_EXT, "init-ext"},
    {abi::kHasResend, "resend"},
};

// Where a word leaves something out that is no kernel feature.
bool* choiceOf(Choices& choices, const std::string& word) {
  if (word == "absent-names") return &choices.absentNames;
  if (word == "attributes") return &choices.attributes;
  if (word == "flush") return &choices.flush;
  if (word == "one-reader") return &choices.oneReader;
  if (word == "spinning") return &choices.spinning;
  if (word == "read-ahead") return &choices.readAhead;
  return nullptr;
}

uint64_t featureOf(const std::string& word) {
  for (const Feature& feature : kFeatures)
    if (word == feature.name) return feature.bit;
  return 0;
}

}  // namespace

Choices choicesOfEnvironment() {
  Choices choices;
  for (const Feature& feature : kFeatures) choices.features |= feature.bit;
  const char* left = getenv("TIDEMARK_WITHOUT");
  std::istringstream words(left == nullptr ? "" : left);
  for (std::string word; std::getline(words, word, ',');) {
    const uint64_t feature = featureOf(word);
    bool* choice = choiceOf(choices, word);
    if (choice != nullptr) *choice = false;
    else if (feature != 0) choices.features &= ~feature;
    else choices.unknown = word;
  }
  return choices;
}

std::vector<std::string> featureNames(uint64_t features) {
  std::vector<std::string> names;
  for (const Feature& feature : kFeatures)
    if ((features & feature.bit) != 0) names.emplace_back(feature.name);
  return names;
}

}  // namespace tidemark
