# What the suites share: Debian packages, servers, and their end. Source it; it makes the shell strict.
#
#   TINYKV_BIN   the server to test; unless given, the release build of this tree, which is made when it is missing.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE=$ROOT/target/suites
mkdir -p "$CACHE"
WORK=$(mktemp -d)
PIDS=()
# With the ports of nodes below 32768, from where the system takes ports for connections.
NEXT_PORT=$((20000 + $$ % 2000))

clean_up() {
    for pid in "${PIDS[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    for pid in "${PIDS[@]}"; do
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$WORK"
}
trap clean_up EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# holds PATTERN: whether a line of the input is like it. Unlike grep -q it reads to the end: who writes must not be cut off.
holds() {
    local text
    text=$(cat)
    grep -q -e "$1" <<<"$text"
}

# need COMMAND PACKAGE: installs a Debian package when the command is missing.
need() {
    command -v "$1" >/dev/null && return
    echo "installing $2"
    apt-get install -y -q "$2" >"$WORK/apt.log" 2>&1 ||
        { apt-get update -q >>"$WORK/apt.log" 2>&1 && apt-get install -y -q "$2" >>"$WORK/apt.log" 2>&1; } ||
        { tail -5 "$WORK/apt.log" >&2; fail "$1 is needed, and the package $2 cannot be installed"; }
    command -v "$1" >/dev/null || fail "the package $2 brought no $1"
}

# need_redis_py: installs it; sets PYTHON to an interpreter that has it.
need_redis_py() {
    need python3 python3
    if [ ! -x "$CACHE/python/bin/python" ]; then
        python3 -m venv "$CACHE/python" 2>"$WORK/venv" || { need pip3 python3-venv && python3 -m venv "$CACHE/python"; }
    fi
    "$CACHE/python/bin/pip" install -q --disable-pip-version-check redis || fail "redis-py cannot be installed"
    PYTHON=$CACHE/python/bin/python
}

# need_redis_source: Debian's source package of redis; sets REDIS_SOURCE to the archive. Debian's own lists stay as they are.
need_redis_source() {
    local apt=$CACHE/apt
    REDIS_SOURCE=$(ls "$apt"/source/redis_*.orig.tar.gz 2>/dev/null) && return
    mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/archives/partial" "$apt/source"
    local list
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
        [ -e "$list" ] || continue
        sed -e 's/^deb /deb-src /' -e 's/^Types: deb$/Types: deb-src/' "$list" >"$apt/parts/$(basename "$list")"
    done
    local options=(-q -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$apt/parts"
        -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt")
    (cd "$apt/source" && apt-get "${options[@]}" update && apt-get "${options[@]}" source --download-only redis) \
        >"$WORK/source.log" 2>&1 || { tail -5 "$WORK/source.log" >&2; fail "the source package of redis cannot be fetched"; }
    REDIS_SOURCE=$(ls "$apt"/source/redis_*.orig.tar.gz)
}

# need_node_clients: installs ioredis and node-redis, and makes node find them.
need_node_clients() {
    need node nodejs
    need npm npm
    mkdir -p "$CACHE/node"
    (cd "$CACHE/node" && npm install --silent --no-audit --no-fund --no-save ioredis redis >"$WORK/npm" 2>&1) ||
        { tail -5 "$WORK/npm" >&2; fail "ioredis and node-redis cannot be installed"; }
    export NODE_PATH=$CACHE/node/node_modules
}

if [ -z "${TINYKV_BIN:-}" ]; then
    (cd "$ROOT" && cargo build --release --locked --quiet --package tinykv-server)
    TINYKV_BIN=$ROOT/target/release/tinykv-server
fi

# free_port: sets PORT to a port that is free, and so is the one that a node adds to it.
free_port() {
    while :; do
        NEXT_PORT=$((NEXT_PORT + 1))
        (exec 3<>"/dev/tcp/127.0.0.1/$NEXT_PORT") 2>/dev/null && continue
        (exec 3<>"/dev/tcp/127.0.0.1/$((NEXT_PORT + 10000))") 2>/dev/null && continue
        PORT=$NEXT_PORT
        return
    done
}

# launch PORT NAME OPTIONS...: starts a server; sets PID.
launch() {
    local port=$1 name=$2
    shift 2
    "$TINYKV_BIN" --bind 127.0.0.1 --port "$port" --dir "$WORK/$name" "$@" >>"$WORK/$name.log" 2>&1 &
    PID=$!
    PIDS+=("$PID")
}

# await PORT NAME: waits until it answers with its data.
await() {
    for _ in $(seq 600); do
        [ "$(redis-cli -p "$1" ping 2>/dev/null)" = PONG ] && return
        sleep 0.1
    done
    cat "$WORK/$2.log" >&2
    fail "no server answers on port $1"
}

# start_server OPTIONS...: a single node; sets PORT and PID.
start_server() {
    need redis-cli redis-tools
    free_port
    launch "$PORT" "node-$PORT" "$@"
    await "$PORT" "node-$PORT"
}

# start_cluster OPTIONS...: three nodes; sets PORTS, LEADER and FOLLOWER (ports).
start_cluster() {
    need redis-cli redis-tools
    local id peers="" list=()
    for id in 1 2 3; do
        free_port
        list+=("$PORT")
        peers="$peers${peers:+,}$id@127.0.0.1:$PORT"
    done
    for id in 1 2 3; do
        launch "${list[id - 1]}" "cluster-$id" --node-id "$id" --cluster-secret suites --cluster-peers "$peers" "$@"
    done
    for id in 1 2 3; do
        await "${list[id - 1]}" "cluster-$id"
    done
    PORTS=("${list[@]}")
    LEADER=""
    for _ in $(seq 600); do
        for port in "${PORTS[@]}"; do
            if redis-cli -p "$port" info raft | holds "^raft_role:leader"; then
                LEADER=$port
            else
                FOLLOWER=$port
            fi
        done
        [ -n "$LEADER" ] && return
        sleep 0.1
    done
    fail "the three nodes elect no leader"
}

# leader_now [NOT]: prints the id of the node that leads, if one does that is another one than NOT.
leader_now() {
    local id
    for id in 1 2 3; do
        [ "$id" = "${1:-}" ] && continue
        if timeout 1 redis-cli -p "${LIST[$id]}" info raft 2>/dev/null | holds "^raft_role:leader"; then
            echo "$id"
            return
        fi
    done
    return 1
}

# leader [NOT]: the same, once there is one.
leader() {
    for _ in $(seq 300); do
        leader_now "${1:-}" && return
        sleep 0.1
    done
    fail "no leader but ${1:-none}"
}

# replicas_agree: waits until the nodes of LIST have the same data.
replicas_agree() {
    local digests
    for _ in $(seq 300); do
        digests=$(for id in 1 2 3; do redis-cli -p "${LIST[$id]}" raft.digest | tr '\n' ' '; echo; done | sort -u | wc -l)
        [ "$digests" = 1 ] && return
        sleep 0.1
    done
    fail "the replicas differ"
}
