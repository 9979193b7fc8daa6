// Labelled steps at which a crash test lets the daemon kill itself.
//
// Labels, in the order a change passes them: "after-undo" (the undo records are in the log, the change is not made),
// "after-act" (the change is made, its transaction has no END), "before-end", "after-end", "log-append" (half of a batch
// is written), "segment-roll" (a new segment exists, nothing in it), "object-move" (before an inode moves into objects/),
// "rename-exchange" (names are swapped, the replaced inode has not left the tree).
#pragma once

#include <string>

namespace tidemark {

// "label" or "label:n" for its n-th passing; "" for none. Called once, before any thread runs.
void setFailpoint(const std::string& label);

// true when `label` is armed at all.
bool armedFailpoint(const char* label);

// Kills the process with SIGKILL when `label` is armed and its turn has come.
void failpoint(const char* label);

}  // namespace tidemark
