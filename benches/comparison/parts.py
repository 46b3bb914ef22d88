"""What is compared: one node, large collections, many keys, three nodes, memory, start. Each returns what it measured as plain
data."""

import random
import signal
import sys

from .cases import COLLECTIONS, DEFAULT_RUN, LARGE, MANY, set_keys, words_of
from .wire import Client, key_name
from .workload import DEPTHS, KEY_COMMANDS, PIPELINED_TIMES, benchmark, measure, rows, selects

# Of a cluster only these have targets.
CLUSTER_CASES = tuple(case for case in DEFAULT_RUN if case.name in ("SET", "GET"))

# Large collections are about what a command costs: pipelined, so that fsyncs and changes of threads do not hide it.
LARGE_DEPTH = 16

CLUSTER_NODES = 3

# Memory differs less from start to start than time does.
MEMORY_ROUNDS = 3


def say(text):
    """Progress; the results alone go to standard output."""
    print(text, file=sys.stderr, flush=True)


def preload(group, keys):
    """Sets all keys, so that every GET finds one."""
    with group.leader.connect() as client:
        client.load(keys)
        if (found := client.call("DBSIZE")) != keys:
            raise AssertionError(f"{found} keys after setting {keys}")


def prepare(group, row, options):
    """Makes what a row needs."""
    if row.command in KEY_COMMANDS:
        preload(group, options.keys)
    elif row.case.prepare:
        with group.leader.connect() as client:
            row.case.prepare(client, row.requests(options.requests))


def say_sample(number, options, name, contender, sample):
    """One sample, when it is there."""
    say(
        f"{number + 1}/{options.rounds}  {name:<24} {contender:<9} {sample['rps']:>10,.0f}/s"
        f"  p99 {sample['p99_ms']:7.3f} ms  {sample['cpu_us']:6.2f} us"
    )


def rotated(contenders, by):
    """The contenders in another order each time: none is always the one that finds a warm machine."""
    by %= len(contenders)
    return contenders[by:] + contenders[:by]


def run_rows(launcher, programs, options, contenders, selected):
    """Samples of all rows for all contenders.

    For every sample the contender is started anew, on an empty directory, and loaded: so the contenders of a row follow one
    another within seconds, and a row finds the same whether or not others are selected. `contenders` are pairs of a name and
    a function from the fsync mode to a Group. Returns a list of `{"row": name, "samples": {contender: [sample]}}`, and the
    number of leaders that changed during a row.
    """
    results = {row: {name: [] for name, _ in contenders} for row in selected}
    moved = 0
    for number in range(options.rounds):
        for row in selected:
            for name, start in rotated(contenders, number):
                with start(row.fsync) as group:
                    prepare(group, row, options)
                    group.settle(options.quiet_seconds)
                    sample = measure(
                        programs.benchmark,
                        group,
                        row.case.sends,
                        row.depth,
                        row.requests(options.requests),
                        None if options.literal else options.keys,
                        options.quiet_seconds,
                    )
                    if group.follow_leader():
                        say(f"{row.name}: the leader changed")
                        moved += 1
                    launcher.discard(group)
                results[row][name].append(sample)
                say_sample(number, options, row.name, name, sample)
    table = [
        {"row": row.name, "default": row.is_of_default_run, "samples": samples} for row, samples in results.items()
    ]
    return {"rows": table, "leaders_changed": moved}


def single(launcher, programs, options):
    """One node each."""
    contenders = [(kind, lambda fsync, kind=kind: launcher.single(kind, fsync)) for kind in ("redis", "tinykv")]
    return run_rows(launcher, programs, options, contenders, rows(options.rows))


def large(launcher, programs, options):
    """One collection of each kind with many elements: a server for each, and its rows one after the other."""
    results = {}
    for number in range(options.rounds):
        for kind, (load, cases) in LARGE.items():
            named = [(f"{kind}/{case.name.lower()}", case) for case in cases]
            named = [(name, case) for name, case in named if selects(options.rows, name)]
            if not named:
                continue
            for contender in rotated(["redis", "tinykv"], number):
                with launcher.single(contender) as group:
                    with group.leader.connect() as client:
                        load(client, options.large_elements)
                    group.settle(options.quiet_seconds)
                    for name, case in named:
                        sample = measure(
                            programs.benchmark,
                            group,
                            words_of(case, options.large_elements),
                            LARGE_DEPTH,
                            max(int(options.requests * case.share), 50),
                            options.large_elements,
                            options.quiet_seconds,
                        )
                        row = results.setdefault(name, {"redis": [], "tinykv": []})
                        row[contender].append(sample)
                        say_sample(number, options, name, contender, sample)
                    launcher.discard(group)
    table = [{"row": row, "samples": samples} for row, samples in results.items()]
    return {"elements": options.large_elements, "rows": table}


def many(launcher, programs, options):
    """The same load on few keys and on many."""
    results = {}
    for number in range(options.rounds):
        for keys in (options.keys, options.many_keys):
            for contender in rotated(["redis", "tinykv"], number):
                with launcher.single(contender) as group:
                    with group.leader.connect() as client:
                        set_keys(client, keys)
                    # What a server puts off until nothing more is written belongs to the load, not to the first row.
                    group.settle(options.rest_seconds)
                    for case, depth in ((case, depth) for case in MANY for depth in DEPTHS):
                        requests = options.requests * (PIPELINED_TIMES if depth > 1 else 1)
                        sample = measure(
                            programs.benchmark, group, case.sends, depth, requests, keys, options.quiet_seconds
                        )
                        name = f"{case.name.lower()}/p{depth}"
                        results.setdefault(name, {}).setdefault(contender, {}).setdefault(keys, []).append(sample)
                        say_sample(number, options, f"{name} {keys:,} keys", contender, sample)
                    launcher.discard(group)
    return {"few": options.keys, "many": options.many_keys, "rows": results}


def cluster(launcher, programs, options):
    """Three nodes of TinyKV; a redis-server primary with two replicas; one redis-server. All on this machine."""
    contenders = [
        ("redis", lambda _: launcher.single("redis")),
        ("replicas", lambda _: launcher.redis_replicas(CLUSTER_NODES)),
        ("tinykv", lambda _: launcher.tinykv_cluster(CLUSTER_NODES)),
    ]
    selected = rows(options.rows, cases=CLUSTER_CASES, everysec=())
    return run_rows(launcher, programs, options, contenders, selected)


def memory(launcher, programs, options):
    """Resident bytes: of a server without keys, after loading, and after as many random SETs again."""
    results = []
    for keys in options.memory_keys:
        samples = {"redis": [], "tinykv": []}
        for number in range(min(options.rounds, MEMORY_ROUNDS)):
            for kind in rotated(list(samples), number):
                say(f"memory: {kind}, {keys:,} keys")
                samples[kind].append(_resident(launcher, programs, options, kind, keys))
        results.append({"keys": keys, "resident_bytes": samples})
    return results


def _resident(launcher, programs, options, kind, keys):
    with launcher.single(kind) as group:
        group.settle(options.rest_seconds)
        empty, _ = group.leader.resident_bytes()
        preload(group, keys)
        group.settle(options.rest_seconds)
        loaded, _ = group.leader.resident_bytes()
        benchmark(programs.benchmark, group.leader.port, ("-t", "set"), 16, keys, keys)
        group.settle(options.rest_seconds)
        overwritten, peak = group.leader.resident_bytes()
        launcher.discard(group)
    return {"empty": empty, "loaded": loaded, "overwritten": overwritten, "peak": peak}


def collections(launcher, programs, options):
    """Resident bytes of many small collections, and of large ones with as many elements."""
    results = []
    count = options.collections
    for name, load, elements in COLLECTIONS:
        samples = {"redis": [], "tinykv": []}
        for number in range(min(options.rounds, MEMORY_ROUNDS)):
            for kind in rotated(list(samples), number):
                say(f"memory: {kind}, {name}, {count:,}")
                samples[kind].append(_resident_of(launcher, options, kind, load, count))
        results.append({"name": name, "elements": count * (elements or 1), "resident_bytes": samples})
    return {"count": count, "rows": results}


def _resident_of(launcher, options, kind, load, count):
    """Of a server without keys, and when it is at rest after loading."""
    with launcher.single(kind) as group:
        group.settle(options.rest_seconds)
        empty, _ = group.leader.resident_bytes()
        with group.leader.connect() as client:
            load(client, count)
        group.settle(options.rest_seconds)
        loaded, peak = group.leader.resident_bytes()
        launcher.discard(group)
    return {"empty": empty, "loaded": loaded, "peak": peak}


def start(launcher, programs, options):
    """Seconds from the start of the process to the first answer, after SIGTERM and after SIGKILL.

    Before each, a tenth of the keys is set again, so that there is a log to replay. The files are in the page cache.
    """
    results = []
    for kind in ("redis", "tinykv"):
        samples = {"SIGTERM": [], "SIGKILL": []}
        with launcher.single(kind) as group:
            preload(group, options.start_keys)
            for number in range(options.rounds):
                for how, seconds in samples.items():
                    seconds.append(_restart(launcher, programs, group, kind, how, options.start_keys))
                    say(f"start {number + 1} of {options.rounds}: {kind} after {how}: {seconds[-1]:.3f} s")
            launcher.discard(group)
        results.append({"keys": options.start_keys, "kind": kind, "seconds": samples})
    return results


def _restart(launcher, programs, group, kind, how, keys):
    benchmark(programs.benchmark, group.leader.port, ("-t", "set"), 16, max(keys // 10, 1), keys)
    key = key_name(random.randrange(keys))
    with Client(group.leader.port) as client:
        expected = client.call("GET", key)
    group.leader.stop(signal.Signals[how])
    group.leader = launcher.start(kind, group.leader.directory)
    group.servers[:] = [group.leader]
    seconds, value = group.leader.first_get(key)
    if value != expected:
        raise AssertionError(f"{kind} answered another value after {how}")
    # The next one begins when everything is loaded.
    group.settle(quiet_seconds=0.2)
    return seconds
