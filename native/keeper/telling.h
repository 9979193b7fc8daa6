// What the keeper says: lines of the daemon's log, and words to systemd.
#pragma once

#include <cstdint>
#include <string>

namespace tidemark {

// A line of the daemon's log (standard error). `level`: as pino's: 30 info, 50 error, 60 fatal. `text`: without quotation marks.
void say(int level, const std::string& text);

// Why a daemon ended (`why` of keeper_protocol.h), as the rest of a sentence about it.
std::string describeEnd(int32_t why);

// As sd_notify(3) does; nothing where systemd has not begun this process.
void tellSystemd(const char* text);

uint64_t clockNs(int clock);

}  // namespace tidemark
