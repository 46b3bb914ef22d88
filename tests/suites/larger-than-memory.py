#!/usr/bin/env python3
"""Loads a data set of all types many times larger than `maxmemory`, reads it by a zipfian load, and watches the server.

usage: larger-than-memory.py PORT PID DATA_MB MAXMEMORY_MB SECONDS

It fails when the resident memory of the server was above 1.25 times `maxmemory` (plus ALLOWED_MB for the program itself:
code, stacks, the files of the engines) at any of the moments looked at, when a probe waited longer than MAX_STALL_MS at
any time, or when a reply is wrong. Latencies are as a client sees them, who shares the machine: what is aimed at is printed beside
them, and only what no busy machine explains is a failure.
"""

import bisect
import multiprocessing
import random
import socket
import sys
import time

RSS_TIMES_MAXMEMORY = 1.25
# The program itself: its code, and what an empty server takes.
ALLOWED_MB = 8
AIMED_STALL_MS, MAX_STALL_MS = 200, 600
AIMED_P99_MS, MAX_P99_MS = 10, 50
# Whole collections are read where they are no larger than this. The bound holds meanwhile where that is an eighth of `maxmemory` at
# most: it and the reply that holds all of it are in memory for a moment.
MAX_WHOLE_MB, WHOLE_PARTS = 32, 8
VALUE_BYTES = 700
BATCH_BYTES = 1 << 18
# Elements of the large collections' share.
ELEMENT_BYTES = 100


class Client:
    """A connection with whole replies only."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb", buffering=1 << 16)

    def reply(self):
        line = self.file.readline()
        if not line:
            raise EOFError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            length = int(rest)
            return None if length < 0 else self.file.read(length + 2)[:-2]
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return rest

    def send(self, commands):
        self.socket.sendall(b"".join(encode(command) for command in commands))
        return [self.reply() for _ in commands]

    def run(self, *command):
        return self.send([command])[0]


def encode(command):
    parts = [b"*%d\r\n" % len(command)]
    for part in command:
        part = part if isinstance(part, bytes) else str(part).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(part), part))
    return b"".join(parts)


def value(number, length=VALUE_BYTES):
    """Bytes that follow from the number, and that no compression makes small."""
    state = random.Random(number)
    return b"%d:" % number + state.randbytes(length - 10)


def watch(port, pid, stop):
    """Resident memory at most, in megabytes, and how long a probe waits at most, in milliseconds, until it is told to stop."""
    client = Client(port)
    resident_mb, slowest_ms, number = 0.0, 0.0, 0
    while not stop.poll(0.01):
        started = time.perf_counter()
        client.run("GET", "probe")
        slowest_ms = max(slowest_ms, (time.perf_counter() - started) * 1000)
        if number % 10 == 0:
            with open(f"/proc/{pid}/status") as file:
                fields = dict(line.split(":", 1) for line in file)
            resident_mb = max(resident_mb, int(fields["VmRSS"].split()[0]) / 1024)
        number += 1
    stop.send((resident_mb, slowest_ms))


class Watch:
    """Watches from a process of its own, so that this one's work does not look like the server's."""

    def __init__(self, port, pid):
        self.stop, end = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=watch, args=(port, pid, end), daemon=True)
        self.process.start()

    def finish(self):
        self.stop.send(None)
        found = self.stop.recv()
        self.process.join()
        return found


def commands_of(data_mb):
    """The load: half of it strings, then small and large collections of every type; and how many strings there are."""
    total = data_mb << 20
    strings = total // 2 // VALUE_BYTES
    small = total // 4 // (4 * 10 * ELEMENT_BYTES)
    large = total // 4 // (5 * ELEMENT_BYTES)
    element = lambda number: value(number, ELEMENT_BYTES)

    def small_ones():
        for number in range(small):
            members = [element(number * 10 + member) for member in range(10)]
            yield ("HSET", f"hash:{number}", *[part for at, one in enumerate(members) for part in (f"field:{at}", one)])
            yield ("SADD", f"set:{number}", *members)
            yield ("ZADD", f"zset:{number}", *[part for at, one in enumerate(members) for part in (at, one)])
            yield ("RPUSH", f"list:{number}", *members)

    def large_ones():
        for number in range(large):
            one = element(number)
            yield ("HSET", "large:hash", f"field:{number}", one)
            yield ("SADD", "large:set", one)
            yield ("ZADD", "large:zset", number, one)
            yield ("RPUSH", "large:list", one)
            yield ("XADD", "large:stream", f"{number + 1}-1", "field", one)

    def string_ones():
        for number in range(strings):
            yield ("SET", f"string:{number}", value(number))

    return strings, small, large, [string_ones, small_ones, large_ones]


def load(client, commands):
    batch, size, sent = [], 0, 0
    for command in commands:
        batch.append(command)
        size += sum(len(part) for part in command if isinstance(part, bytes)) + 60
        if size >= BATCH_BYTES:
            client.send(batch)
            sent, batch, size = sent + size, [], 0
    client.send(batch)
    return sent + size


def zipfian(count, state):
    """Numbers below `count`: the nth most frequent one with a weight of 1/n, spread over the keys."""
    sums, total = [], 0.0
    for rank in range(1, count + 1):
        total += 1.0 / rank
        sums.append(total)
    step = 2654435761
    while step % count == 0:
        step += 2
    while True:
        yield bisect.bisect(sums, state.random() * total) * step % count


def read(client, strings, seconds):
    """GETs, one at a time: latencies in milliseconds."""
    numbers = zipfian(strings, random.Random(1))
    latencies, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        number = next(numbers)
        started = time.perf_counter()
        got = client.run("GET", f"string:{number}")
        latencies.append((time.perf_counter() - started) * 1000)
        if not got.startswith(b"%d:" % number):
            raise AssertionError(f"string:{number} holds {got[:20]}")
    latencies.sort()
    return latencies


def check_collections(client, small, large):
    """Point reads and writes on what is cold."""
    state = random.Random(2)
    wrong = []
    for _ in range(300):
        number, one = state.randrange(small), state.randrange(10)
        member = value(number * 10 + one, ELEMENT_BYTES)
        asked = [
            (("HGET", f"hash:{number}", f"field:{one}"), member),
            (("SISMEMBER", f"set:{number}", member), 1),
            (("ZSCORE", f"zset:{number}", member), b"%d" % one),
            (("LINDEX", f"list:{number}", one), member),
        ]
        number = state.randrange(large)
        member = value(number, ELEMENT_BYTES)
        asked += [
            (("HGET", "large:hash", f"field:{number}"), member),
            (("HLEN", "large:hash"), large),
            (("SISMEMBER", "large:set", member), 1),
            (("SCARD", "large:set"), large),
            (("ZSCORE", "large:zset", member), b"%d" % number),
            (("ZCARD", "large:zset"), large),
            (("ZRANGE", "large:zset", 0, 1), [value(0, ELEMENT_BYTES), value(1, ELEMENT_BYTES)]),
            (("ZREVRANGE", "large:zset", 0, 0, "WITHSCORES"), [value(large - 1, ELEMENT_BYTES), b"%d" % (large - 1)]),
            (("ZRANGEBYSCORE", "large:zset", number, "+inf", "LIMIT", 0, 1), [member]),
            (("ZCOUNT", "large:zset", number, number + 9), min(10, large - number)),
            (("ZRANK", "large:zset", value(number % 1000, ELEMENT_BYTES)), number % 1000),
            (("ZPOPMIN", "large:zset"), [value(0, ELEMENT_BYTES), b"0"]),
            (("ZADD", "large:zset", 0, value(0, ELEMENT_BYTES)), 1),
            (("LLEN", "large:list"), large),
            (("XLEN", "large:stream"), large),
            (("LINDEX", "large:list", 3), value(3, ELEMENT_BYTES)),
            (("LRANGE", "large:list", -1, -1), [value(large - 1, ELEMENT_BYTES)]),
            (("LPOP", "large:list"), value(0, ELEMENT_BYTES)),
            (("LPUSH", "large:list", value(0, ELEMENT_BYTES)), large),
            (("XRANGE", "large:stream", number + 1, number + 1), [[b"%d-1" % (number + 1), [b"field", member]]]),
            (("XREVRANGE", "large:stream", "+", "-", "COUNT", 1), [[b"%d-1" % large, [b"field", value(large - 1, ELEMENT_BYTES)]]]),
        ]
        for command, wanted in asked:
            got = client.run(*command)
            if got != wanted:
                wrong.append(f"{command[0]} {command[1]}: {got!r} instead of {wanted!r}")
    # Far from both ends: the set is loaded if it takes less than half of the memory, else (with 5120 and 256, say) members are counted.
    for number in (large // 2, large // 3):
        member = value(number, ELEMENT_BYTES)
        for command, wanted in [
            (("ZRANK", "large:zset", member), number),
            (("ZREVRANK", "large:zset", member), large - 1 - number),
            (("ZRANGE", "large:zset", number, number), [member]),
            (("ZCOUNT", "large:zset", f"({number}", "+inf"), large - 1 - number),
        ]:
            got = client.run(*command)
            if got != wanted:
                wrong.append(f"{command[0]} {command[1]}: {got!r} instead of {wanted!r}")
    return wrong


def check_wholes(client, large):
    """What needs all of a cold collection gets it, and nobody else waits for that."""
    wrong = []
    for command, wanted in [
        (("LRANGE", "large:list", 0, -1), large),
        (("HGETALL", "large:hash"), 2 * large),
        (("SMEMBERS", "large:set"), large),
        (("ZRANGE", "large:zset", 0, -1), large),
        (("XRANGE", "large:stream", "-", "+"), large),
    ]:
        got = len(client.run(*command))
        if got != wanted:
            wrong.append(f"{command[0]} {command[1]}: {got} elements instead of {wanted}")
    return wrong


def main():
    port, pid, data_mb, maxmemory_mb, seconds = (int(number) for number in sys.argv[1:6])
    client = Client(port)
    client.run("SET", "probe", "1")
    strings, small, large, kinds = commands_of(data_mb)
    bound_mb = maxmemory_mb * RSS_TIMES_MAXMEMORY + ALLOWED_MB
    failures = []

    def phase(name, action, bounded=True):
        watching = Watch(port, pid)
        started = time.monotonic()
        result = action()
        elapsed = time.monotonic() - started
        resident_mb, slowest_ms = watching.finish()
        figures = f"RSS at most {resident_mb:6.1f} MB   slowest probe {slowest_ms:7.1f} ms (aimed at: {AIMED_STALL_MS})"
        print(f"{name:28} {elapsed:7.1f} s   {figures}", flush=True)
        if bounded and resident_mb > bound_mb:
            failures.append(f"{name}: {resident_mb:.1f} MB resident, allowed are {bound_mb:.1f}")
        if slowest_ms > MAX_STALL_MS:
            failures.append(f"{name}: a probe waited for {slowest_ms:.1f} ms")
        return result

    names = ["strings", "small collections", "large collections"]
    for name, commands in zip(names, kinds):
        phase(f"loading {name}", lambda: load(client, commands()))
    failures += phase("collections, point by point", lambda: check_collections(client, small, large))
    if (whole := large * ELEMENT_BYTES) <= MAX_WHOLE_MB << 20:
        bounded = whole * WHOLE_PARTS <= maxmemory_mb << 20
        failures += phase("collections as a whole", lambda: check_wholes(client, large), bounded)
    latencies = phase("GET, zipfian", lambda: read(client, strings, seconds))
    at = lambda part: latencies[min(len(latencies) - 1, int(len(latencies) * part))]
    print(f"{len(latencies)} GETs: p50 {at(0.5):.3f} ms, p99 {at(0.99):.3f} ms (aimed at: {AIMED_P99_MS}), at most {latencies[-1]:.1f} ms")
    if at(0.99) > MAX_P99_MS:
        failures.append(f"the p99 of GET is {at(0.99):.1f} ms")
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
