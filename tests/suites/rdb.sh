#!/usr/bin/env bash
# RDB files that old versions of Redis wrote, from the tests in Debian's source package of redis: what --import makes of them is what
# redis-server loads.
. "$(dirname "$0")/lib.sh"

need redis-server redis-server
need redis-cli redis-tools
need python3 python3
need_redis_source

ASSETS=$WORK/assets
mkdir "$ASSETS"
tar -xf "$REDIS_SOURCE" -C "$ASSETS" --strip-components=3 --wildcards '*/tests/assets/*.rdb'

# content PORT: all keys and values, in an order that does not depend on the server.
content() {
    local key type
    redis-cli -p "$1" --scan | sort | while read -r key; do
        type=$(redis-cli -p "$1" type "$key")
        echo "== $key: $type, expires at $(redis-cli -p "$1" pexpiretime "$key")"
        case $type in
            string) redis-cli -p "$1" --no-raw get "$key" ;;
            list) redis-cli -p "$1" --no-raw lrange "$key" 0 -1 ;;
            set) redis-cli -p "$1" --no-raw sort "$key" alpha ;;
            zset) redis-cli -p "$1" --no-raw zrange "$key" 0 -1 withscores ;;
            hash) redis-cli -p "$1" hgetall "$key" | paste - - | sort ;;
            stream) redis-cli -p "$1" --no-raw xrange "$key" - + ;;
        esac
    done
}

# as_version_6 FILE: TinyKV reads files of version 6 on. The values of older files are the same; they have no checksum, for which
# eight zeros stand.
as_version_6() {
    python3 - "$1" "$WORK/import.rdb" <<'END'
import sys
content = open(sys.argv[1], "rb").read()
if content[5:9] < b"0005":
    content = content[:5] + b"0006" + content[9:] + bytes(8)
open(sys.argv[2], "wb").write(content)
END
}

# imports FILE: what both servers have of it must be the same.
imports() {
    local name=$1 theirs
    mkdir "$WORK/redis-$name"
    cp "$ASSETS/$name.rdb" "$WORK/redis-$name/dump.rdb"
    free_port
    theirs=$PORT
    redis-server --bind 127.0.0.1 --port "$theirs" --save "" --dir "$WORK/redis-$name" >"$WORK/redis-$name.log" 2>&1 &
    PIDS+=("$!")
    await "$theirs" "redis-$name"
    as_version_6 "$ASSETS/$name.rdb"
    start_server --import "$WORK/import.rdb"
    content "$theirs" >"$WORK/theirs"
    content "$PORT" >"$WORK/ours"
    diff "$WORK/theirs" "$WORK/ours" >"$WORK/difference" || { cat "$WORK/difference" >&2; fail "$name.rdb is imported as something else"; }
    echo "$name.rdb: $(grep -c '^==' "$WORK/ours" || true) keys, as in redis-server"
}

# refuses FILE: one that is broken is refused with a word about the key, and nothing is served.
refuses() {
    free_port
    launch "$PORT" "broken-$1" --import "$ASSETS/$1.rdb"
    ! wait "$PID" || fail "$1.rdb was imported"
    holds 'key ".*" of database 0: ERR Bad data format' <"$WORK/broken-$1.log" || { cat "$WORK/broken-$1.log" >&2; fail "$1.rdb"; }
    echo "$1.rdb: refused"
}

for file in encodings hash-ziplist hash-zipmap list-quicklist zset-ziplist; do
    imports "$file"
done
for file in corrupt_empty_keys corrupt_ziplist; do
    refuses "$file"
done
