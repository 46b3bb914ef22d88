#!/usr/bin/env bash
# Random commands to tinykv-server and to redis-server side by side: replies and data must be the same. First one node, then three whose
# leader is killed and started again all the while.
#
#   tests/suites/differential.sh [COUNT [SEED [SECONDS]]]
#
# COUNT commands (400,000) go to one node; the three get commands for SECONDS (60). The SEED is always the same unless another is
# given, so that a run can be repeated; try others: tests/suites/differential.sh 10000000 "$(date +%s)000". About one of a thousand
# other seeds meets what is known to differ: SORT makes a skiplist of a small sorted set in Redis, which then keeps the sign of a
# zero; SORT ALPHA there compares up to the first zero byte; XGROUP CREATE there counts its arguments.
. "$(dirname "$0")/lib.sh"

need redis-server redis-server
count=${1:-400000}
seed=${2:-1221}
seconds=${3:-60}
export TINYKV_BIN

(cd "$ROOT" && cargo build --release --locked --quiet --package tests --example differential)
program="$ROOT/target/release/examples/differential"
"$program" --seed "$seed" --count "$count" --seconds 600 || fail "differences from redis-server, seed $seed"
"$program" --seed "$seed" --count 1000000000 --seconds "$seconds" --cluster ||
    fail "differences from redis-server on three nodes, seed $seed"
