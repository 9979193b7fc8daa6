#!/usr/bin/env bash
# What `npm start` and `npm test` run: sets up what is missing on this machine and in this clone, then starts or tests.
#
#   setup.sh start [DIR] [options]     mounts DIR (or a demo directory) in the foreground
#   setup.sh test [part of a path…]    runs all tests, or those whose path contains one of the words
#
# 1. What is there already is not touched, and nothing is downloaded when nothing is missing.
# 2. A step that takes long says so in one line; its output is shown only when it fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD

# One list for each purpose: what is looked for, and the Debian package that has it.
build_needs=(g++:g++ make:make python3:python3)
mount_needs=(fusermount3:fuse3)
test_needs=(sqlite3:sqlite3 git:git rsync:rsync vim:vim gcc:gcc setfacl:acl setfattr:attr bindfs:bindfs fio:fio strace:strace mkfs.ext4:e2fsprogs mkfs.xfs:xfsprogs mkfs.btrfs:btrfs-progs
  '/usr/lib/postgresql/*/bin/initdb:postgresql' '/usr/sbin/smbd:samba' smbclient:smbclient openssl:openssl '/usr/lib/*/samba/vfs/shadow_copy2.so:samba-vfs-modules'
  radosgw:radosgw ceph-mon:ceph-mon ceph-osd:ceph-osd)

fail() {
  printf 'tidemark: %s\n' "$1" >&2
  exit 1
}

# step TEXT COMMAND…: runs it quietly; on failure shows what it printed and returns its status.
step() {
  local text=$1 output status=0
  shift
  output=$(mktemp)
  printf '%s …\n' "$text" >&2
  "$@" >"$output" 2>&1 </dev/null || status=$?
  if [ "$status" -ne 0 ]; then
    cat "$output" >&2
    printf 'tidemark: %s failed (status %s)\n' "$text" "$status" >&2
  fi
  rm -f "$output"
  return "$status"
}

is_there() {
  case $1 in
    /*) compgen -G "$1" >/dev/null ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

# Prints the packages of the needs that are not met.
missing_packages() {
  local need
  for need in "$@"; do
    is_there "${need%:*}" || printf '%s\n' "${need##*:}"
  done
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# Runs a command that installs packages, and starts no server that comes with one: tests start their own.
without_services() {
  local policy=/usr/sbin/policy-rc.d
  if [ -e $policy ]; then "$@"; return; fi
  (
    trap "as_root rm -f $policy" EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null && as_root chmod 755 $policy && "$@"
  )
}

install_packages() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
    without_services as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" || return
  # Nor is one to share anything after the machine's next start.
  case " $* " in
    *' samba '*) if command -v systemctl >/dev/null; then as_root systemctl disable --quiet smbd nmbd samba-ad-dc || true; fi ;;
  esac
  case " $* " in
    *' radosgw '*) if command -v systemctl >/dev/null; then as_root systemctl disable --quiet ceph.target ceph-crash ceph-mon.target ceph-osd.target ceph-radosgw.target || true; fi ;;
  esac
}

# need_packages required|optional NEEDS…
need_packages() {
  local kind=$1 packages
  shift
  mapfile -t packages < <(missing_packages "$@")
  [ ${#packages[@]} -eq 0 ] && return 0
  local advice="install these packages: apt-get install ${packages[*]}"
  if command -v apt-get >/dev/null && { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }; then
    step "installing ${packages[*]}" install_packages "${packages[@]}" && return 0
  fi
  [ "$kind" = required ] && fail "something is missing; $advice"
  printf 'tidemark: tests that need more are skipped; to run them, %s\n' "$advice" >&2
}

# newer_than FILE PATHS…: true when FILE is missing or something below PATHS is newer.
newer_than() {
  local reference=$1
  shift
  [ ! -e "$reference" ] || [ -n "$(find "$@" -newer "$reference" -not -type d -print -quit 2>/dev/null)" ]
}

check_node() {
  command -v node >/dev/null || fail 'Node.js is not installed; install version 20.19 or later (https://nodejs.org)'
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
    fail "Node.js $(node --version) is too old; install version 20.19 or later (https://nodejs.org)"
}

install_modules() {
  if newer_than node_modules/.package-lock.json package-lock.json; then
    # `npm --silent` reaches down to here and would hide why it failed.
    npm_config_loglevel=error step 'installing Node packages' npm ci --no-audit --no-fund
    touch node_modules/.package-lock.json
    node -e 'require("fuse-native")' >/dev/null 2>&1 ||
      printf 'tidemark: the driver fuse-native is not to be had on this platform; all else works without it\n' >&2
  fi
}

build_native() {
  if newer_than native/build/Release/tidemark.node native/src native/keeper native/binding.gyp; then
    # Node's own headers, where they came with it, save a download.
    local prefix
    prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
    if [ -f "$prefix/include/node/node_api.h" ]; then export npm_config_nodedir=$prefix; fi
    JOBS=max step 'building the addon' node_modules/.bin/node-gyp --directory=native configure build
    touch native/build/Release/tidemark.node
  fi
}

build_typescript() {
  newer_than dist/.tsbuildinfo tsconfig.json native/index.ts native/types.ts engine fs replica tools test bench || return 0
  # What has no source any more must not run as a test.
  local compiled source
  while IFS= read -r compiled; do
    source=${compiled#dist/}
    [ -e "${source%.js}.ts" ] || rm -f "$compiled" "$compiled.map"
  done < <(find dist -name '*.js' 2>/dev/null)
  step 'compiling' node_modules/.bin/tsc --build
  touch dist/.tsbuildinfo
}

start() {
  # npm runs this in the clone; a relative DIR means the directory where it was typed.
  cd "${INIT_CWD:-$root}"
  exec node "$root/dist/tools/main.js" start "$@"
}

run_tests() {
  local files=() file word
  while IFS= read -r file; do
    [ $# -eq 0 ] && files+=("$file")
    for word in "$@"; do
      case ${file#dist/} in *"${word%.ts}"*) files+=("$file"); break ;; esac
    done
  done < <(find dist/test -name '*.test.js' | sort)
  [ ${#files[@]} -gt 0 ] || fail "no test has \"$*\" in its path"
  # The status is tap's or, when that is satisfied, the reporter's; the reporter's last line counts the checks.
  local statuses
  set +e
  node_modules/.bin/tap run --reporter=tap "${files[@]}" </dev/null | node dist/tools/report-tests.js
  statuses=("${PIPESTATUS[@]}")
  set -e
  if [ "${statuses[0]}" -ne 0 ]; then return "${statuses[0]}"; fi
  return "${statuses[1]}"
}

main() {
  local what=${1:-}
  [ $# -gt 0 ] && shift
  case $what in start | test) ;; *) fail 'say `npm start [-- DIR]` or `npm test [-- PART-OF-A-PATH]`' ;; esac
  [ "$(uname -s)" = Linux ] || fail 'this version runs on Linux only'
  check_node
  need_packages required "${build_needs[@]}" "${mount_needs[@]}"
  if [ "$what" = test ]; then need_packages optional "${test_needs[@]}"; fi
  install_modules
  build_native
  build_typescript
  if [ "$what" = start ]; then start "$@"; else run_tests "$@"; fi
}

main "$@"
