#!/bin/bash
# Runs the addon's sources under a sanitizer: sanitize.sh address|thread.
#
# Builds, without Node, a daemon (standalone.cc) and a fuzzer (fuzz.cc), fuzzes log and requests, then mounts a directory and lets the POSIX
# cases and random load loose on it from several processes at once. Any report of the sanitizer, any difference and any exit status but 0 fail.
# FUZZ_SECONDS (20 each) and LOAD_STEPS (400 a tree) make it longer. Needs g++, and `npm run build:ts` before; mounting needs root or fusermount3.
set -euo pipefail

kind=${1:-}
case $kind in
  address) flags="-fsanitize=address,undefined -fno-sanitize-recover=all" ;;
  thread) flags="-fsanitize=thread" ;;
  *) echo "usage: sanitize.sh address|thread" >&2; exit 2 ;;
esac
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$root/native/build-$kind
place=$(mktemp -d "${TMPDIR:-/var/tmp}/tidemark-sanitize-XXXXXX")
daemon=

clean() {
  [ -n "$daemon" ] && kill -9 "$daemon" 2>/dev/null || true
  if [ "$(id -u)" = 0 ]; then umount -l "$place/mounted" 2>/dev/null || true; else fusermount3 -uz "$place/mounted" 2>/dev/null || true; fi
  rm -rf --one-file-system "$place"
}
trap clean EXIT

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=66
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=0:exitcode=66:second_deadlock_stack=1

compile() {
  mkdir -p "$build"
  local common="-std=c++17 -O1 -g -fno-omit-frame-pointer -fno-exceptions -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 $flags"
  # The addon proper (addon*.cc) needs Node; everything else does not.
  find "$root/native/src" -name '*.cc' ! -name 'addon*' | xargs -P "$(nproc)" -I{} sh -c 'g++ $1 -c "$2" -o "$3/$(basename "$2").o"' sh "$common" {} "$build"
  for program in standalone fuzz; do
    g++ $common "$root/test/native/$program.cc" "$build"/*.o -o "$build/$program" -lpthread
  done
  g++ -std=c++17 -O1 -g -D_GNU_SOURCE $flags "$root"/native/keeper/*.cc "$root/native/src/keeper_socket.cc" -o "$build/keeper"
  gcc -std=gnu11 -O1 -o "$build/posix" "$root"/test/posix/*.c
}

fuzz() {
  for target in log request; do
    mkdir "$place/fuzz-$target"
    chmod 755 "$place"
    "$build/fuzz" "$target" "$place/fuzz-$target" "${FUZZ_SECONDS:-20}"
  done
}

# Kills the keeper's daemon, which is its only child, a few seconds after it has begun to serve, and the next one.
killing() {
  for ((kills = 1; ; kills++)); do
    while [ "$(grep -c ready "$place/said")" -lt "$kills" ]; do sleep 0.2; done
    sleep 3
    kill -9 $(cat "/proc/$1/task/$1/children") 2>/dev/null || true
  done
}

# `$1`: what begins the daemon: nothing, or a keeper; then the daemon is killed now and then, and the load must not notice. The rest: the daemon's options.
mounted() {
  local keeper=$1
  shift
  mkdir "$place/protected" "$place/mounted" "$place/load"
  $keeper "$build/standalone" "$place/protected" "$place/mounted" "$@" >"$place/said" 2>"$place/report" &
  daemon=$!
  for _ in $(seq 200); do grep -q ready "$place/said" && break; sleep 0.1; done
  grep -q ready "$place/said" || { cat "$place/report" >&2; exit 1; }
  mkdir "$place/mounted/one" "$place/mounted/two"
  "$build/posix" "$place/mounted/one" >"$place/posix" &
  local posix=$!
  local killer=
  [ -z "$keeper" ] || { killing "$daemon" & killer=$!; }
  local loaded=0
  node "$root/dist/test/native/load.js" "$place/mounted" "$place/load" "${LOAD_STEPS:-400}" || loaded=$?
  # What a case says is judged by the POSIX test; here it is load. Its crash would be told by the shell.
  wait $posix || true
  [ -z "$killer" ] || { kill "$killer" 2>/dev/null || true; wait "$killer" 2>/dev/null || true; }
  echo "$(grep -c '^ok' "$place/posix") cases, ${keeper:+kept and killed $(grep -c ready "$place/said") times} $* mount"
  kill -TERM "$daemon" 2>/dev/null || true
  local status=0
  wait "$daemon" || status=$?
  daemon=
  cat "$place/report" >&2
  [ $loaded = 0 ] || { echo "the load ended with status $loaded, the daemon with $status" >&2; exit 1; }
  [ $status = 0 ] || { echo "the daemon ended with status $status" >&2; exit 1; }
  rm -rf "$place/protected" "$place/mounted" "$place/load"
}

compile
fuzz
mounted ""
mounted "" relaxed every-write
# Only who may open inodes by their numbers goes on with a mount.
[ "$(id -u)" != 0 ] || mounted "$build/keeper"
echo "$kind: nothing found"
