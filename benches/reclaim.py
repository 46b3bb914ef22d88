#!/usr/bin/env python3
"""How fast huge data is deleted, what other clients notice of it, and when memory and disk are given back.

Deletion: for each of DEL, UNLINK, overwriting, FLUSHDB and FLUSHALL a server is loaded, the command is timed, and a probe
measures what another client waits meanwhile, until nearly all memory and disk is given back.

Expiry: keys and fields of hashes that all expire within a minute, while a probe measures what another client waits.
"""

import argparse
import os
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from comparison.servers import ROOT, Launcher, build  # noqa: E402
from comparison.wire import Client  # noqa: E402

# Issue 3's target for every command that deletes.
TARGET_MS = 5

# How long memory and disk may take to be given back before the table says that they were not.
GIVE_BACK_SECONDS = 300

# What is left at most: a tenth of what was loaded. The disk's journals, of up to 64 MB each, come on top.
LEFT_SHARE = 0.1
JOURNAL_BYTES = 192 << 20

# What one command of the load adds.
PER_COMMAND = 500

# Fields of one hash that expires field by field; the other half of the fields is in small hashes.
SMALL_HASH_FIELDS = 10


class Probe:
    """Another client that writes and reads a key all the time, each write behind an fsync."""

    def __init__(self, port):
        self.client = Client(port)
        self.seconds = []
        self.stopped = False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        number = 0
        while not self.stopped:
            number += 1
            for command in (("SET", "probe", number), ("GET", "probe")):
                began = time.perf_counter()
                self.client.call(*command)
                self.seconds.append(time.perf_counter() - began)
            time.sleep(0.001)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped = True
        self.thread.join()
        self.client.__exit__()

    def summary(self):
        """Milliseconds: median, p99, worst."""
        times = sorted(self.seconds)
        return tuple(1000 * times[min(int(share * len(times)), len(times) - 1)] for share in (0.5, 0.99, 1))


def disk_bytes(directory):
    """What the files below take."""
    total = 0
    for folder, _, files in os.walk(directory):
        for name in files:
            try:
                total += os.stat(os.path.join(folder, name)).st_blocks * 512
            except FileNotFoundError:
                # Deleted meanwhile.
                pass
    return total


def chunks(count):
    return (range(first, min(first + PER_COMMAND, count)) for first in range(0, count, PER_COMMAND))


def members(nth):
    return b"element:%012d" % nth


def load_set(client, count):
    client.send_all([b"SADD", b"huge", *map(members, chunk)] for chunk in chunks(count))


def load_hash(client, count):
    client.send_all(
        [b"HSET", b"huge", *(part for nth in chunk for part in (members(nth), b"%d" % nth))] for chunk in chunks(count)
    )


def load_zset(client, count):
    client.send_all(
        [b"ZADD", b"huge", *(part for nth in chunk for part in (b"%d" % nth, members(nth)))] for chunk in chunks(count)
    )


def load_list(client, count):
    client.send_all([b"RPUSH", b"huge", *map(members, chunk)] for chunk in chunks(count))


def load_keys(client, count):
    client.send_all(
        [b"MSET", *(part for nth in chunk for part in (members(nth), b"%d" % nth))] for chunk in chunks(count)
    )


CASES = (
    ("DEL of a set", load_set, ("DEL", "huge")),
    ("UNLINK of a hash", load_hash, ("UNLINK", "huge")),
    ("DEL of a sorted set", load_zset, ("DEL", "huge")),
    ("SET over a list", load_list, ("SET", "huge", "small")),
    ("FLUSHDB of keys", load_keys, ("FLUSHDB",)),
    ("FLUSHALL of a hash", load_hash, ("FLUSHALL",)),
)


def settled(server, group, quiet_seconds):
    group.settle(quiet_seconds)
    return server.resident_bytes()[0], disk_bytes(server.directory / "data")


def measure_deletion(launcher, case, options):
    """One row of the table."""
    name, load, command = case
    with launcher.single("tinykv", options.fsync) as group:
        server = group.leader
        empty = settled(server, group, options.quiet_seconds)
        with server.connect() as client:
            load(client, options.elements)
            full = settled(server, group, options.quiet_seconds)
            with Probe(server.port) as probe:
                time.sleep(options.quiet_seconds)
                before = len(probe.seconds)
                began = time.perf_counter()
                client.call(*command)
                took_ms = 1000 * (time.perf_counter() - began)
                back = give_back(server, empty, full, options.give_back_seconds)
                del probe.seconds[:before]
        worst = probe.summary()
        launcher.discard(group)
    print(
        f"{name:<22} {took_ms:>8.2f} {'ok' if took_ms <= TARGET_MS else 'missed':>7}"
        f" {worst[1]:>9.1f} {worst[2]:>9.1f} {full[0] >> 20:>8,} {full[1] >> 20:>8,} {show(back[0])} {show(back[1])}",
        flush=True,
    )


def give_back(server, empty, full, patience_seconds):
    """Seconds after which memory and disk were nearly what they had been; none if they were not in time."""
    limits = [low + (high - low) * LEFT_SHARE for low, high in zip(empty, full)]
    limits[1] += JOURNAL_BYTES
    back, began = [None, None], time.monotonic()
    while None in back and time.monotonic() - began < patience_seconds:
        time.sleep(0.05)
        now = (server.resident_bytes()[0], disk_bytes(server.directory / "data"))
        for nth, (bytes_now, limit) in enumerate(zip(now, limits)):
            if back[nth] is None and bytes_now <= limit:
                back[nth] = time.monotonic() - began
    return back


def show(seconds):
    return f"{'never':>9}" if seconds is None else f"{seconds:>8.1f}s"


def deletions(launcher, options):
    print(f"Deletion of {options.elements:,} elements, appendfsync {options.fsync}; the target is {TARGET_MS} ms")
    print(
        f"{'':<22} {'took, ms':>8} {'':>7} {'probe p99':>9} {'worst, ms':>9} {'RSS, MB':>8} {'disk, MB':>8}"
        f" {'RSS back':>9} {'disk back':>9}"
    )
    for case in CASES:
        measure_deletion(launcher, case, options)


def spread(nth, count, options, start_ms):
    """When the nth expires: evenly over the window, after all are loaded."""
    return start_ms + nth * options.window_seconds * 1000 // count


def load_expiring_keys(client, count, options, start_ms):
    def commands():
        for nth in range(count):
            yield [b"SET", members(nth), b"v", b"PXAT", b"%d" % spread(nth, count, options, start_ms)]

    client.send_all(commands())


def load_expiring_fields(client, count, options, start_ms):
    """Half of them in one large hash, the others in small ones."""

    def commands():
        for chunk in chunks(count // 2):
            fields = [members(nth) for nth in chunk]
            yield [b"HSET", b"large", *(part for field in fields for part in (field, b"v"))]
            at_ms = b"%d" % spread(chunk[0], count // 2, options, start_ms)
            yield [b"HPEXPIREAT", b"large", at_ms, b"FIELDS", b"%d" % len(fields), *fields]
        for first in range(0, count // 2, SMALL_HASH_FIELDS):
            key = b"small:%d" % first
            fields = [members(nth) for nth in range(first, first + SMALL_HASH_FIELDS)]
            yield [b"HSET", key, *(part for field in fields for part in (field, b"v"))]
            at_ms = b"%d" % spread(first, count // 2, options, start_ms)
            yield [b"HPEXPIREAT", key, at_ms, b"FIELDS", b"%d" % len(fields), *fields]

    client.send_all(commands())


def measure_expiry(launcher, name, load, counter, options):
    with launcher.single("tinykv", options.fsync) as group:
        server = group.leader
        with server.connect() as client:
            start_ms = int(1000 * (time.time() + options.load_seconds))
            load(client, options.expiring, options, start_ms)
            late = time.time() - start_ms / 1000
            if late > 0:
                print(f"{name}: loading took {late:.0f} s longer than --load-seconds; begin again with more")
            time.sleep(max(-late, 0))
            with Probe(server.port) as probe:
                lag = follow(client, counter, options, start_ms)
        median, p99, worst = probe.summary()
        launcher.discard(group)
    print(
        f"{name:<22} {median:>9.2f} {p99:>9.1f} {worst:>9.1f} {lag:>12,}"
        f" {'' if lag <= options.expiring / 50 else 'does not keep up'}",
        flush=True,
    )


def follow(client, counter, options, start_ms):
    """Waits until all are gone; the most that had expired and was not removed at any moment."""
    most = 0
    while True:
        removed = int(client.info("stats")[counter])
        elapsed = min(time.time() - start_ms / 1000, options.window_seconds)
        due = int(options.expiring * elapsed / options.window_seconds)
        most = max(most, due - removed)
        if removed >= options.expiring or time.time() - start_ms / 1000 > options.window_seconds + GIVE_BACK_SECONDS:
            return most
        time.sleep(0.1)


def expiries(launcher, options):
    print(
        f"\n{options.expiring:,} expirations within {options.window_seconds} s, appendfsync {options.fsync};"
        " the probe is a client that sets and gets"
    )
    print(f"{'':<22} {'median ms':>9} {'p99 ms':>9} {'worst ms':>9} {'most overdue':>12}")
    measure_expiry(launcher, "keys", load_expiring_keys, "expired_keys", options)
    measure_expiry(launcher, "fields of hashes", load_expiring_fields, "expired_subkeys", options)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--elements", type=int, default=10_000_000, help="elements of what is deleted")
    parser.add_argument("--expiring", type=int, default=1_000_000, help="keys, and fields, that expire")
    parser.add_argument("--window-seconds", type=int, default=60, help="within which they do")
    parser.add_argument("--load-seconds", type=int, default=60, help="what loading them may take")
    parser.add_argument("--fsync", default="always", choices=["always", "everysec", "no"])
    parser.add_argument("--give-back-seconds", type=int, default=GIVE_BACK_SECONDS, help="how long memory and disk are waited for")
    parser.add_argument("--only", choices=["deletion", "expiry"])
    parser.add_argument("--smoke", action="store_true", help="few elements: shows that it works, and no more")
    parser.add_argument("--binary", type=Path, help="a tinykv-server to measure instead of building one")
    parser.add_argument("--dir", type=Path, default=ROOT / "target" / "benches", help="where the data lies meanwhile")
    options = parser.parse_args()
    options.quiet_seconds = 1.0
    if options.smoke:
        options.elements, options.expiring = 20_000, 2_000
        options.window_seconds, options.load_seconds = 3, 10
        options.quiet_seconds, options.give_back_seconds = 0.2, 2
    return options


def main():
    options = arguments()
    binary = options.binary or build()
    with Launcher("redis-server", binary, options.dir) as launcher:
        if options.only != "expiry":
            deletions(launcher, options)
        if options.only != "deletion":
            expiries(launcher, options)


if __name__ == "__main__":
    main()
