#!/usr/bin/env bash
# A data set of all types that is many times larger than memory: resident memory stays within its bound, nothing stalls, and
# everything is found again. Small by default; the proof in full: larger-than-memory.sh 5120 256 60
. "$(dirname "$0")/lib.sh"

need python3 python3
DATA_MB=${1:-160}
MAXMEMORY_MB=${2:-64}
SECONDS_OF_READS=${3:-5}

start_server --maxmemory "${MAXMEMORY_MB}mb" --appendfsync everysec
python3 "$ROOT/tests/suites/larger-than-memory.py" "$PORT" "$PID" "$DATA_MB" "$MAXMEMORY_MB" "$SECONDS_OF_READS" ||
    fail "a data set of $DATA_MB MB with maxmemory ${MAXMEMORY_MB}mb"
echo "a data set of $DATA_MB MB is served with maxmemory ${MAXMEMORY_MB}mb"
