#!/usr/bin/env bash
# Nodes that are killed, stopped, cut off, delayed, replaced, under a load whose history is checked: tests/examples/torture. First with
# proxies between the nodes, then, for half as many cycles, with each node in a network namespace and packets that the kernel drops.
#
#   tests/suites/torture.sh [CYCLES [SEED]]
#
# Twelve cycles unless told otherwise; long runs: tests/suites/torture.sh 500 "$RANDOM".
. "$(dirname "$0")/lib.sh"

need ip iproute2
need nft nftables
need unshare util-linux

export TINYKV_BIN
(cd "$ROOT" && cargo build --release --locked --quiet --package tests --example torture)
TORTURE=("$ROOT/target/release/examples/torture" --seed "${2:-1}" --seconds 3600)
CYCLES=${1:-12}
"${TORTURE[@]}" --cycles "$CYCLES" || fail "with proxies, see above"
unshare --net --mount "${TORTURE[@]}" --cycles $((CYCLES / 2)) --namespaces || fail "in namespaces, see above"
