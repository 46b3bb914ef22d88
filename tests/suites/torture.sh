#!/usr/bin/env bash
# Nodes that are killed, stopped, cut off, delayed, replaced, under a load whose history is checked: tests/examples/torture.
#
#   tests/suites/torture.sh [CYCLES [SEED]]
#
# Twelve cycles unless told otherwise; long runs: tests/suites/torture.sh 500 "$RANDOM".
. "$(dirname "$0")/lib.sh"

export TINYKV_BIN
(cd "$ROOT" && cargo build --release --locked --quiet --package tests --example torture)
"$ROOT/target/release/examples/torture" --cycles "${1:-12}" --seed "${2:-1}" --seconds 3600 || fail "see above"
