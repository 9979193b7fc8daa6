// Messages of keeper_protocol.h over a socket, with at most one descriptor each. For both ends.
#pragma once

#include <sys/types.h>

#include <string>

#include "keeper_protocol.h"

namespace tidemark {

// `descriptor`: sent along unless negative. false: the other end is gone.
bool sendMessage(int socket, const KeeperMessage& message, int descriptor, const std::string& text);

// Waits for the next one. *descriptor: what came along, owned by the caller from here on, or -1. 0 or an errno (EPIPE: the other end is gone, or speaks another language).
int receiveMessage(int socket, KeeperMessage* message, int* descriptor, std::string* text);

}  // namespace tidemark
