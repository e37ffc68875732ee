#!/usr/bin/env bash
# nft 1.0.6 (Debian 12: nftables 1.0.6-2+deb12u2) refuses a rule for a map that it has accepted itself. A table with a map
# `typeof … : ip daddr . th dport` and a rule `meta l4proto { tcp, udp } dnat ip addr . port to … map @m` loads from one
# file. The same rule, added later to the table with its map, ends with
#   Error: conflicting protocols specified: tcp vs. th
# without a line or column (internal:0:0-0), although the rule's text and the kernel's objects are the same. `th dport` in
# the map's value is what matters: `tcp dport` there, for tcp alone, is accepted at both times, and so is a map that names
# its types (`type ipv4_addr . inet_service : ipv4_addr . inet_service`). A map with an index in its key, such as
# `numgen random mod 2`, has no name for that type and must be a typeof map.
# It hurts programs that keep one table and add rules to it, as service proxies do: the first load works, each later one fails.
# What avoids it: add all rules that name such a map in the transaction that creates the table, or use `type` maps.
# Needs Debian 12 with apt (packages are downloaded and unpacked in a temporary folder, none is installed), Linux with
# nf_tables, and root for a network namespace of its own. Exits with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -q -q nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 libmnl0=1.0.4-3 \
  libjansson4=2.14-2 libedit2=3.1-20221030-2 libxtables12=1.8.9-2 libgmp10=2:6.2.1+dfsg1-1.1 >/dev/null 2>&1
for package in *.deb; do dpkg-deb -x "$package" root; done
libraries=$(dirname "$(find root -name 'libnftables.so.1' | head -1)")
export LD_LIBRARY_PATH=$work/$libraries NFT=$work/root/usr/sbin/nft

cat >try.sh <<'SH'
# Arguments: the map's definition, the rule, "together" or "later". Prints "accepted", or nft's message.
table="table ip t { map m { $1; }; chain c { type nat hook prerouting priority -100;"
if [ "$3" = together ]; then
  printf '%s %s; }; }\n' "$table" "$2" >file
else
  printf '%s }; }\n' "$table" | "$NFT" -f -
  printf 'add rule ip t c %s\n' "$2" >file
fi
if "$NFT" -f file 2>message; then echo accepted; else grep -o 'Error: .*' message; fi
SH

try() { unshare --net bash try.sh "$@"; }
failed=0
expect() {
  local wanted=$1 got
  shift
  got=$(try "$@")
  printf '%-9s %s: %s\n' "$3" "$1" "$got"
  [ "$got" = "$wanted" ] || failed=1
}

either='meta l4proto { tcp, udp } dnat ip addr . port to ip daddr . th dport map @m'
tcp='dnat ip addr . port to ip daddr . tcp dport map @m'
refused='Error: conflicting protocols specified: tcp vs. th'
expect accepted 'typeof ip daddr . th dport : ip daddr . th dport' "$either" together
expect "$refused" 'typeof ip daddr . th dport : ip daddr . th dport' "$either" later
expect "$refused" 'typeof ip daddr . tcp dport : ip daddr . th dport' "$tcp" later
expect accepted 'typeof ip daddr . tcp dport : ip daddr . tcp dport' "$tcp" later
expect accepted 'type ipv4_addr . inet_service : ipv4_addr . inet_service' "$either" later
exit "$failed"
