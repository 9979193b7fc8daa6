// What saves round trips and wake-ups, each of which can be left out to measure what it is worth (`npm run bench -- --choices`).
//
// TIDEMARK_WITHOUT names what is left out, with commas between: a kernel feature as `tidemark status` shows it, or
//   absent-names  the kernel remembers that a name is not there
//   attributes    the kernel remembers the attributes that replies bring
//   flush         the kernel is told once that it need not tell of each close
//   one-reader    one thread waits for requests at a time
//   spinning      that thread looks for the next request for some microseconds before it sleeps
//   read-ahead    the kernel reads ahead by more than it does by default
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tidemark {

struct Choices {
  bool absentNames = true;
  bool attributes = true;
  bool flush = true;
  bool oneReader = true;
  bool spinning = true;
  bool readAhead = true;
  // Asked of the kernel, as far as it has them.
  uint64_t features = 0;
  // A word that means nothing; empty: none.
  std::string unknown;
};

// All but what the environment leaves out.
Choices choicesOfEnvironment();

// The names of kernel features (bits of INIT's flags and flags2).
std::vector<std::string> featureNames(uint64_t features);

}  // namespace tidemark
