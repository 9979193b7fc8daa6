#!/bin/sh
# Debian's FTP servers conflict with each other, so they are unpacked instead of installed: ftp-packages.sh DIRECTORY. What is there is not fetched again.
set -eu
target=$1
if [ -e "$target/complete" ]; then exit 0; fi
mkdir -p "$target/packages" "$target/root"
target=$(cd "$target" && pwd)
cd "$target/packages"
apt-get download -q pure-ftpd pure-ftpd-common vsftpd proftpd-core proftpd-mod-crypto libwrap0 libhiredis0.14 libmemcached11 libmemcachedutil2 libhashkit2 libsodium23 libpcre2-posix3
for package in *.deb; do dpkg -x "$package" "$target/root"; done
# What one of them needs besides has to be on the machine.
libraries="$target/root/usr/lib/x86_64-linux-gnu:$target/root/lib/x86_64-linux-gnu"
if LD_LIBRARY_PATH=$libraries ldd "$target"/root/usr/sbin/pure-ftpd "$target"/root/usr/sbin/vsftpd "$target"/root/usr/sbin/proftpd | grep 'not found' >&2; then exit 1; fi
touch "$target/complete"
