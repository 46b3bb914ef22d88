#!/usr/bin/env bash
# Random commands to tinykv-server and to redis-server side by side: replies and data must be the same. First one node, then three whose
# leader is killed and started again all the while.
#
#   tests/suites/differential.sh [SECONDS [SEED]]
#
# SECONDS, 60 unless given, is the time for each of the two. The seed is of the clock unless given, and printed; see the example for more.
. "$(dirname "$0")/lib.sh"

need redis-server redis-server
seconds=${1:-60}
seed=${2:-$(date +%s)000}
export TINYKV_BIN

(cd "$ROOT" && cargo build --release --locked --quiet --package tests --example differential)
for mode in "" --cluster; do
    # shellcheck disable=SC2086
    "$ROOT/target/release/examples/differential" --seed "$seed" --count 1000000000 --seconds "$seconds" $mode ||
        fail "differences from redis-server, seed $seed $mode"
done
