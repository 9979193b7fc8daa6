#include "keeper_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace tidemark {

bool sendMessage(int socket, const KeeperMessage& message, int descriptor, const std::string& text) {
  struct iovec parts[2] = {{const_cast<KeeperMessage*>(&message), sizeof message}, {const_cast<char*>(text.data()), text.size()}};
  char control[CMSG_SPACE(sizeof(int))] = {};
  struct msghdr header {};
  header.msg_iov = parts;
  header.msg_iovlen = text.empty() ? 1 : 2;
  if (descriptor >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    struct cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof descriptor);
    memcpy(CMSG_DATA(rights), &descriptor, sizeof descriptor);
  }
  for (;;) {
    if (sendmsg(socket, &header, MSG_NOSIGNAL) >= 0) return true;
    if (errno != EINTR) return false;
  }
}

int receiveMessage(int socket, KeeperMessage* message, int* descriptor, std::string* text) {
  char bytes[kLongestText];
  struct iovec parts[2] = {{message, sizeof *message}, {bytes, sizeof bytes}};
  char control[CMSG_SPACE(sizeof(int))];
  struct msghdr header {};
  header.msg_iov = parts;
  header.msg_iovlen = 2;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t length;
  do length = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  while (length < 0 && errno == EINTR);
  if (length < static_cast<ssize_t>(sizeof *message)) return length < 0 ? errno : EPIPE;
  *descriptor = -1;
  const struct cmsghdr* rights = CMSG_FIRSTHDR(&header);
  if (rights != nullptr && rights->cmsg_type == SCM_RIGHTS) memcpy(descriptor, CMSG_DATA(rights), sizeof *descriptor);
  text->assign(bytes, static_cast<size_t>(length) - sizeof *message);
  return 0;
}

}  // namespace tidemark
