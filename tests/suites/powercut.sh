#!/usr/bin/env bash
# Power cuts on real files, at thousands of moments: tests/examples/powercut.
#
#   tests/suites/powercut.sh [POINTS [SEED]]
#
# Fifteen hundred unless told otherwise, and a fifth as many of a cluster; long runs: tests/suites/powercut.sh 20000 "$RANDOM".
. "$(dirname "$0")/lib.sh"

need cc gcc
need redis-cli redis-tools

POINTS=${1:-1500}
SEED=${2:-1}
export TINYKV_BIN
(cd "$ROOT" && cargo build --release --locked --quiet --package tests --example powercut)

cut_power() {
    TMPDIR=$WORK "$ROOT/target/release/examples/powercut" --seed "$SEED" "$@"
}

cut_power --points "$POINTS" || fail "see above"
# Values so long that the node which was away needs a snapshot.
cut_power --points $((POINTS / 5)) --nodes 3 --generations 2 --value-bytes 60000 || fail "see above"
if cut_power --points 300 --generations 1 --ignore-syncs >"$WORK/ignored"; then
    fail "a disk that forgets what was synced is not noticed"
fi
grep -q "^FAILED, cut" "$WORK/ignored" || { cat "$WORK/ignored"; fail "another failure than that"; }
echo "a disk that forgets what was synced is noticed"
