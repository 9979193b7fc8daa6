#include "keeper_link.h"

#include <errno.h>

#include "keeper_socket.h"

namespace tidemark {

int KeeperLink::open(int fd) {
  socket_.reset(fd);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  for (;;) {
    KeeperMessage message{};
    std::string text;
    int kept = -1;
    if (const int error = receiveMessage(fd, &message, &kept, &text)) return error;
    alive_ = true;
    if (message.word == KeeperWord::kGo) {
      start_ = message;
      return 0;
    }
    if (kept < 0) return EPROTO;
    kept_[{message.kind, message.number}].reset(kept);
  }
}

UniqueFd KeeperLink::take(KeptKind kind, uint64_t* number) {
  const auto found = kept_.lower_bound({kind, 0});
  if (found == kept_.end() || found->first.first != kind) return {};
  if (number != nullptr) *number = found->first.second;
  UniqueFd fd = std::move(found->second);
  kept_.erase(found);
  return fd;
}

void KeeperLink::send(const KeeperMessage& message, int fd, const std::string& text) {
  if (!sendMessage(socket_.get(), message, fd, text)) alive_ = false;
}

void KeeperLink::keep(KeptKind kind, uint64_t number, int fd) {
  KeeperMessage message{};
  message.word = KeeperWord::kKept;
  message.kind = kind;
  message.number = number;
  send(message, fd, {});
}

void KeeperLink::drop(KeptKind kind, uint64_t number) {
  KeeperMessage message{};
  message.word = KeeperWord::kDropped;
  message.kind = kind;
  message.number = number;
  send(message, -1, {});
}

void KeeperLink::say(KeeperWord word, const std::string& text) {
  KeeperMessage message{};
  message.word = word;
  send(message, -1, text);
}

}  // namespace tidemark
