#!/usr/bin/env bash
# Client libraries in their newest versions: redis-py, ioredis and node-redis, against one node and a follower of three,
# through a restart of the server.
. "$(dirname "$0")/lib.sh"

need_redis_py
need_node_clients

# run_clients PORT: each program ends with status 0 when all went well.
run_clients() {
    timeout 60 "$PYTHON" "$ROOT/tests/suites/clients/redis_py.py" "$1" || fail "redis-py"
    for library in ioredis node_redis; do
        timeout 60 node "$ROOT/tests/suites/clients/$library.js" "$1" || fail "$library"
    done
}

start_server
run_clients "$PORT"
echo "one node: redis-py, ioredis and node-redis work"
start_cluster
run_clients "$FOLLOWER"
echo "a follower of three: redis-py, ioredis and node-redis work"

# A restart: the libraries connect again by themselves.
start_server
for library in "$PYTHON $ROOT/tests/suites/clients/reconnect.py" "node $ROOT/tests/suites/clients/reconnect.js"; do
    # shellcheck disable=SC2086
    timeout 60 $library "$PORT" "$WORK/ready" "$WORK/restarted" &
    client=$!
    for _ in $(seq 300); do
        [ -e "$WORK/ready" ] && break
        sleep 0.1
    done
    [ -e "$WORK/ready" ] || fail "the client does not connect"
    kill "$PID"
    wait "$PID" || true
    launch "$PORT" "node-$PORT"
    await "$PORT" "node-$PORT"
    touch "$WORK/restarted"
    wait "$client" || fail "a client that connects again: $library"
    rm "$WORK/ready" "$WORK/restarted"
done
echo "a restart: redis-py and ioredis connect again"
