// Checks what native/src/mass_watch.h and sample.h promise, with a clock of its own. Exit status 1 and a line on stderr at the first thing that does not hold.
// Usage: mass-watch [SEED]
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>

#include "../../native/src/mass_watch.h"
#include "../../native/src/sample.h"

using namespace tidemark;

namespace {

constexpr int64_t kSecond = 1000000000;
unsigned seed = 0;

void require(bool holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "does not hold: %s; seed %u\n", what, seed);
  exit(1);
}

Actor actorOf(uint32_t uid, uint32_t session, uint32_t pid = 7) {
  Actor actor;
  actor.uid = uid;
  actor.session = session;
  actor.pid = pid;
  return actor;
}

// A watch, its clock, and what it told.
struct Play {
  std::vector<MassChange> told;
  MassWatch watch{[this](MassChange change) { told.push_back(std::move(change)); }};
  int64_t now = 1000 * kSecond;
  uint64_t inode = 1;
  Txid txid = 100;

  Play() { watch.limit(60); }
  void lose(MassKind kind, unsigned count, const Actor& actor = actorOf(1, 2), int64_t ageNs = 3600 * kSecond, int64_t stepNs = 1000000) {
    for (unsigned i = 0; i < count; i++) {
      now += stepNs;
      watch.note(actor, {kind, {inode++, 0}, txid++, now - ageNs}, now, [] { return std::string("path"); });
      watch.seen(actor.uid, actor.session);
    }
  }
};

void checkLimits() {
  Play overwrites;
  overwrites.lose(MassKind::kOverwritten, 59);
  require(overwrites.told.empty(), "59 overwritten files are not too many");
  overwrites.lose(MassKind::kOverwritten, 1);
  require(overwrites.told.size() == 1 && overwrites.told[0].counts[0] == 60 && overwrites.told[0].firstTxid == 100, "60 are");
  require(overwrites.told[0].examples.size() == 3 && overwrites.told[0].pids.size() == 1, "it tells who and which");
  overwrites.lose(MassKind::kOverwritten, 5000);
  require(overwrites.told.size() == 1 && overwrites.watch.countOf(1, 2) == 5060, "it is told once, and counted on");
  Play removals;
  removals.lose(MassKind::kRemoved, 45);
  removals.lose(MassKind::kRenamed, 44);
  require(removals.told.empty(), "89 removed and renamed files are not too many");
  removals.lose(MassKind::kRemoved, 1);
  require(removals.told.size() == 1, "90 are");
  Play mixed;
  mixed.lose(MassKind::kOverwritten, 30);
  mixed.lose(MassKind::kRemoved, 45);
  require(mixed.told.size() == 1, "half of each is too many");
  Play off;
  off.watch.limit(0);
  off.lose(MassKind::kOverwritten, 1000);
  require(off.told.empty(), "without a limit nothing is told");
}

void checkWindow() {
  Play slow;
  slow.lose(MassKind::kOverwritten, 1000, actorOf(1, 2), 3600 * kSecond, kSecond / 4);
  require(slow.told.empty(), "four in a second are not too many");
  Play split;
  for (uint32_t session = 1; session < 100; session++) split.lose(MassKind::kOverwritten, 50, actorOf(1, session));
  for (uint32_t uid = 1; uid < 100; uid++) split.lose(MassKind::kOverwritten, 50, actorOf(uid, 500));
  require(split.told.empty(), "sessions and users are counted apart");
  Play again;
  again.lose(MassKind::kOverwritten, 100);
  again.now += 30 * kSecond;
  again.lose(MassKind::kOverwritten, 100);
  require(again.told.size() == 1, "half a minute is not quiet enough");
  again.now += 61 * kSecond;
  again.lose(MassKind::kOverwritten, 100);
  require(again.told.size() == 2 && again.told[1].counts[0] == 60, "after a quiet minute it is told again");
  again.watch.allow(1, 2, again.now + 100 * kSecond);
  again.now += 110 * kSecond;
  again.lose(MassKind::kOverwritten, 5000);
  require(again.told.size() == 2, "who was allowed to go on is not told of");
  Play back;
  back.lose(MassKind::kOverwritten, 100);
  back.now -= 3600 * kSecond;
  back.lose(MassKind::kOverwritten, 100);
  require(back.told.size() == 2, "a clock that is set back hides nothing");
}

void checkAge() {
  Play temporary;
  temporary.lose(MassKind::kRemoved, 5000, actorOf(1, 2), kSecond / 10, 5000000);
  require(temporary.told.empty(), "temporary files, a tenth of a second old, are made and removed all the time");
  Play fresh;
  fresh.lose(MassKind::kOverwritten, 60, actorOf(1, 2), kSecond);
  require(fresh.told.size() == 1, "files made a second before it began count");
}

void checkSameFile() {
  Play play;
  const Actor actor = actorOf(1, 2);
  for (unsigned i = 0; i < 1000; i++) play.watch.note(actor, {MassKind::kOverwritten, {5, 0}, play.txid++, 1}, ++play.now, [] { return std::string(); });
  require(play.told.empty(), "one file counts once");
  for (uint64_t i = 0; i < 59; i++) {
    play.watch.note(actor, {MassKind::kRenamed, {100 + i, 0}, play.txid++, 1}, ++play.now, [] { return std::string(); });
    play.watch.note(actor, {MassKind::kOverwritten, {100 + i, 0}, play.txid++, 1}, ++play.now, [] { return std::string(); });
  }
  require(play.told.size() == 1 && play.told[0].counts[0] == 60 && play.told[0].counts[2] == 0, "what is renamed and overwritten counts as overwritten");
}

void checkNamesMadeAgain() {
  Play play;
  const Actor actor = actorOf(1, 2);
  for (uint64_t i = 0; i < 1000; i++) {
    const uint64_t name = MassWatch::nameOf({1, 0}, "name " + std::to_string(i));
    play.watch.note(actor, {MassKind::kRemoved, {10 + i, 0}, play.txid++, 1, name, true}, ++play.now, [] { return std::string(); });
    require(play.watch.hasRemovals(), "a removal is remembered");
    const Emptied emptied = play.watch.takeBack(name, ++play.now);
    require(emptied.bornNs == 1 && emptied.txid == 100 + i && !play.watch.hasRemovals(), "and taken back");
  }
  require(play.told.empty(), "what is made again was not removed");
  require(play.watch.takeBack(MassWatch::nameOf({1, 0}, "other"), play.now).bornNs == 0, "another name takes nothing back");
}

void checkBrake() {
  MassWatch watch([](MassChange) {});
  watch.limit(10);
  const Actor actor = actorOf(1, 2);
  for (uint64_t i = 0; i < 10; i++) watch.note(actor, {MassKind::kOverwritten, {i, 0}, 1, 1}, 1000 * kSecond, [] { return std::string(); });
  require(watch.isBraking(), "who was told of waits");
  watch.awaitSeen(actorOf(1, 3));
  const uint64_t start = monotonicNs();
  std::thread javascript([&watch] { watch.seen(1, 2); });
  watch.awaitSeen(actor);
  javascript.join();
  require(!watch.isBraking(), "until it was seen to");
  MassWatch unseen([](MassChange) {});
  unseen.limit(10);
  for (uint64_t i = 0; i < 10; i++) unseen.note(actor, {MassKind::kOverwritten, {i, 0}, 1, 1}, 1000 * kSecond, [] { return std::string(); });
  unseen.awaitSeen(actor);
  require(monotonicNs() - start >= MassWatch::kLongestBrakeNs && !unseen.isBraking(), "or for half a second");
}

// Several threads, as the readers of a session; what is counted must come out whole.
void checkThreads() {
  std::atomic<unsigned> told{0};
  MassWatch watch([&told](MassChange) { told++; });
  watch.limit(60);
  std::vector<std::thread> threads;
  for (uint32_t session = 1; session <= 4; session++) {
    threads.emplace_back([&watch, session] {
      const Actor actor = actorOf(1, session);
      for (uint64_t i = 0; i < 2000; i++) {
        const uint64_t name = MassWatch::nameOf({session, 0}, std::to_string(i % 700));
        watch.note(actor, {MassKind::kRemoved, {i, session}, i + 1, 1, name, true}, 1000 * kSecond, [] { return std::string("path"); });
        if (i % 4 == 0) watch.takeBack(name, 1000 * kSecond);
        if (watch.isBraking()) watch.awaitSeen(actor);
        if (i % 16 == 0) watch.allow(1, session % 4 + 1, 1000 * kSecond);
        watch.seen(1, session % 4 + 1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  require(!watch.isBraking() && told <= 4, "each is told of once, and nothing goes on waiting");
  require(watch.countOf(1, 1) == 1500, "what was not taken back is counted");
}

void checkSamples() {
  std::mt19937_64 random(seed);
  const std::string text = "The quick brown fox jumps over the lazy dog, and then it goes home and has its supper; nobody knows what the dog did. ";
  static const char* const base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  unsigned missed = 0, wrong = 0;
  for (unsigned round = 0; round < 2000; round++) {
    const size_t length = 64 + random() % 100000;
    std::string noise(length, 0), encoded(length, 0), words;
    for (char& byte : noise) byte = static_cast<char>(random());
    for (char& byte : encoded) byte = base64[random() % 64];
    for (size_t at = random() % text.size(); words.size() < std::min<size_t>(length, 4096);) words += text.substr(at), at = 0;
    Sample ofNoise, ofEncoded, ofWords;
    ofNoise.add(noise.data(), noise.size(), nullptr, Sample::kMost);
    ofEncoded.add(encoded.data(), encoded.size());
    ofWords.add(words.data(), words.size());
    missed += !ofNoise.looksRandom() + (length >= 256 && !ofEncoded.looksRandom());
    wrong += ofWords.looksRandom();
  }
  require(missed <= 20, "noise and base64 are noticed, all but one in a few hundred");
  require(wrong == 0, "text is not");
  Sample partly, none;
  const std::string zeros(4096, 0);
  std::string changed = zeros;
  changed.replace(100, 50, std::string(50, 'x'));
  partly.add(changed.data(), changed.size(), zeros.data());
  require(!partly.rewrites(), "a small change is no rewriting");
  require(!none.looksRandom() && !none.isConstant(), "nothing looks like nothing");
  Sample wiped;
  wiped.add(zeros.data(), zeros.size(), std::string(4096, 'x').data());
  require(wiped.isConstant() && wiped.rewrites() && !wiped.looksRandom(), "zeros are one byte all over");
}

}  // namespace

int main(int count, char** arguments) {
  seed = count > 1 ? static_cast<unsigned>(strtoul(arguments[1], nullptr, 10)) : std::random_device()();
  checkLimits();
  checkWindow();
  checkAge();
  checkSameFile();
  checkNamesMadeAgain();
  checkBrake();
  checkThreads();
  checkSamples();
  printf("the mass watch holds\n");
  return 0;
}
