#!/usr/bin/env bash
# Random commands to tinykv-server and to redis-server side by side: replies and data must be the same. First one node, then three whose
# leader is killed and started again all the while.
#
#   tests/suites/differential.sh [COUNT [SEED [CLUSTER_COUNT]]]
#
# COUNT commands (400,000) go to one node, CLUSTER_COUNT (25,000) to the three; when time runs out before, that is a failure too. The SEED is always
# the same unless another is given, so that a run can be repeated; try others: tests/suites/differential.sh 10000000 "$(date +%s)000"
. "$(dirname "$0")/lib.sh"

need redis-server redis-server
count=${1:-400000}
seed=${2:-1221}
cluster_count=${3:-25000}
export TINYKV_BIN

(cd "$ROOT" && cargo build --release --locked --quiet --package tests --example differential)
program="$ROOT/target/release/examples/differential"
"$program" --seed "$seed" --count "$count" --seconds "$((1200 + count / 400))" || fail "differences from redis-server, seed $seed"
"$program" --seed "$seed" --count "$cluster_count" --seconds "$((300 + cluster_count / 100))" --cluster ||
    fail "differences from redis-server on three nodes, seed $seed"
