#!/usr/bin/env python3
"""Compares tinykv-server with redis-server on this machine, and prints Markdown tables. README.md explains them.

Needs redis-server and redis-benchmark on the PATH, and Linux; of Python nothing but its standard library.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from types import SimpleNamespace

from comparison import living, parts, report, servers
from comparison.workload import (
    CLIENTS,
    JOINING_TARGET_BYTES,
    LARGE_ELEMENTS,
    MANY_KEYS,
    MEMORY_TARGET_KEYS,
    PIPELINED_TIMES,
    START_TARGET_KEYS,
)

PARTS = {
    "single": parts.single,
    "large": parts.large,
    "many": parts.many,
    "cluster": parts.cluster,
    "minority": living.minority,
    "delay": living.delay,
    "joining": living.joining,
    "memory": parts.memory,
    "collections": parts.collections,
    "start": parts.start,
}

# How long a server must have been idle before the next row.
QUIET_SECONDS = 0.4
SMOKE_QUIET_SECONDS = 0.05
# And before its memory is looked at: pauses in writing are used to give memory back.
REST_SECONDS = 3

FSYNC_PROBES = 200


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, choices=(1, 3), help="one node (what runs if nothing is chosen), or three")
    parser.add_argument("--large", action="store_true", help="one collection of each kind with a million elements")
    parser.add_argument("--many", action="store_true", help="SET and GET with few keys and with ten million")
    parser.add_argument("--minority", action="store_true", help="three nodes, and the same without one of the followers")
    parser.add_argument("--delay", action="store_true", help="three nodes with a millisecond from each to each")
    parser.add_argument("--joining", action="store_true", help="the leader's latencies while a node joins that copies 2 GB")
    parser.add_argument("--memory", action="store_true", help="resident bytes per key, and per element of collections")
    parser.add_argument("--start", action="store_true", help="time to the first GET on a directory with many keys")
    parser.add_argument("--all", action="store_true", help="everything above")
    parser.add_argument("--smoke", action="store_true", help="everything, with so few requests that no figure means anything")
    parser.add_argument("--rounds", type=int, help="how often each server is started; 5 unless given")
    parser.add_argument("--rows", default="*", help="of the tables of speed, as patterns: 'set/*,get/p16/always,zset/*'")
    parser.add_argument("--literal", action="store_true", help="redis-benchmark without -r and -d: one key, one member, 3 bytes")
    parser.add_argument("--requests", type=int, help=f"per row at -P 1, {PIPELINED_TIMES} times as many at -P 16; 100000")
    parser.add_argument("--keys", type=int, help="how many keys the rows use; 100000 unless given")
    parser.add_argument("--large-elements", type=int, help=f"for --large: {LARGE_ELEMENTS} unless given")
    parser.add_argument("--many-keys", type=int, help=f"for --many: {MANY_KEYS} unless given")
    parser.add_argument("--joining-bytes", type=int, help=f"for --joining: {JOINING_TARGET_BYTES} unless given")
    parser.add_argument("--collections", type=int, help=f"for --memory: {MEMORY_TARGET_KEYS} small ones, and elements of a large one")
    parser.add_argument("--memory-keys", help="for --memory: 100000,300000,1000000,2000000 unless given")
    parser.add_argument("--start-keys", type=int, help=f"for --start: {START_TARGET_KEYS} unless given")
    parser.add_argument("--binary", type=Path, help="a tinykv-server to take instead of building one")
    parser.add_argument("--dir", type=Path, help="where the servers' data lies meanwhile; in the target folder unless given")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes everything that was measured there")
    return parser.parse_args()


def plan(given):
    """What to run, and how much of it."""
    chosen = {part: getattr(given, part, False) for part in PARTS}
    chosen |= {"single": given.nodes == 1, "cluster": given.nodes == 3, "collections": given.memory}
    if given.all or given.smoke:
        chosen = dict.fromkeys(PARTS, True)
    elif not any(chosen.values()):
        chosen["single"] = True
    few = given.smoke
    memory_keys = given.memory_keys or ("2000" if few else f"100000,300000,{MEMORY_TARGET_KEYS},2000000")
    options = SimpleNamespace(
        rounds=given.rounds or (1 if few else 5),
        rows=given.rows.split(","),
        literal=given.literal,
        requests=given.requests or (500 if few else 100_000),
        keys=given.keys or (1000 if few else 100_000),
        large_elements=given.large_elements or (1000 if few else LARGE_ELEMENTS),
        many_keys=given.many_keys or (3000 if few else MANY_KEYS),
        joining_bytes=given.joining_bytes or (1_000_000 if few else JOINING_TARGET_BYTES),
        joining_requests=200 if few else 10_000,
        joining_rounds=1 if few else 10,
        memory_keys=[int(number) for number in memory_keys.split(",")],
        collections=given.collections or (2000 if few else MEMORY_TARGET_KEYS),
        start_keys=given.start_keys or (2000 if few else START_TARGET_KEYS),
        quiet_seconds=SMOKE_QUIET_SECONDS if few else QUIET_SECONDS,
        rest_seconds=SMOKE_QUIET_SECONDS if few else REST_SECONDS,
    )
    return [part for part in PARTS if chosen[part]], options


def tool(name):
    """Where a program of Redis is."""
    found = shutil.which(name)
    if not found:
        sys.exit(f"compare.py: {name} is not on the PATH; on Debian it is in the packages redis-server and redis-tools")
    return found


def environment(programs, directory):
    """What figures depend on."""
    return {
        "redis": version(programs.redis),
        "tinykv": version(programs.tinykv),
        "system": f"{platform.system()} {platform.release()}, {os.cpu_count()} cores",
        "filesystem": filesystem(directory),
        "fdatasync_us": fdatasync_us(directory),
        "load_before": os.getloadavg()[0],
    }


def version(program):
    """What a server says after "v="."""
    said = subprocess.run([str(program), "--version"], capture_output=True, text=True).stdout
    return said.partition("v=")[2].split()[0]


def filesystem(directory):
    """The kind that the directory is on."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    # The longest mount point that contains it; a later mount hides an earlier one.
    holding = [mount for mount in mounts if directory.resolve().is_relative_to(mount[0])]
    return max(enumerate(holding), key=lambda mount: (len(mount[1][0]), mount[0]))[1][1]


def fdatasync_us(directory):
    """The median time of appending 4 KB and making it durable."""
    path = directory / "fsync-probe"
    with open(path, "wb", buffering=0) as file:
        seconds = []
        for _ in range(FSYNC_PROBES):
            file.write(b"x" * 4096)
            before = time.perf_counter()
            os.fdatasync(file.fileno())
            seconds.append(time.perf_counter() - before)
    path.unlink()
    return median(seconds) * 1e6


def preface(facts, options, smoke):
    """What was compared with what, and how."""
    lines = [
        "# TinyKV and Redis in one run",
        "",
        f"tinykv-server {facts['tinykv']}, redis-server {facts['redis']}. {facts['system']}, {facts['filesystem']}, an fdatasync of 4 KB takes "
        f"{facts['fdatasync_us']:.0f} µs, load before {facts['load_before']:.2f}.",
        "",
        f"redis-benchmark, {CLIENTS} clients, values of 64 bytes, {options.keys:,} keys, {options.requests:,} requests at -P 1 "
        f"and {PIPELINED_TIMES} times as many at -P 16 (ranges and MSET fewer), medians of {options.rounds} round(s); R is Redis, "
        "T TinyKV.",
    ]
    if facts["filesystem"] in ("tmpfs", "ramfs"):
        lines += ["", "**The data lay in memory: fsync cost nothing. Choose another --dir.**"]
    if smoke:
        lines += ["", "**A smoke run: it shows that everything works, and no figure means anything.**"]
    return "\n".join(lines)


def main():
    given = arguments()
    chosen, options = plan(given)
    # The servers end with this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("compare.py: stopped"))
    programs = SimpleNamespace(redis=tool("redis-server"), benchmark=tool("redis-benchmark"))
    programs.tinykv = given.binary.resolve() if given.binary else servers.build()
    base = given.dir or Path(os.environ.get("CARGO_TARGET_DIR", servers.ROOT / "target")) / "compare"
    results = {"options": vars(options)}
    with servers.Launcher(programs.redis, programs.tinykv, base.resolve()) as launcher:
        results["environment"] = environment(programs, launcher.base)
        print(preface(results["environment"], options, given.smoke), flush=True)
        for part in chosen:
            results[part] = PARTS[part](launcher, programs, options)
            print("\n" + getattr(report, part)(results[part], judged=not given.smoke), flush=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
