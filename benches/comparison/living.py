"""What a cluster costs its clients while it lives: a node that is lost, one that joins, nodes that are far from each other."""

import os
import time
from dataclasses import replace

from .parts import CLUSTER_CASES, CLUSTER_NODES, prepare, say, say_sample
from .servers import until
from .workload import benchmark, measure, rows

# Milliseconds from one node to another, one way.
DELAYS_MS = (0, 1)

# The value of a key that a joining node has to copy.
COPIED_VALUE_BYTES = 1000

# Clients of the leader while a node joins: few, so that their latencies are not those of a queue for the processor.
PROBE_CLIENTS = 4


def _sample(group, row, programs, options):
    return measure(
        programs.benchmark,
        group,
        row.case.sends,
        row.depth,
        row.requests(options.requests),
        options.keys,
        options.quiet_seconds,
    )


def minority(launcher, programs, options):
    """Three nodes, and the same without one of the followers."""
    results = {}
    for number in range(options.rounds):
        for row in rows(options.rows, cases=CLUSTER_CASES, everysec=()):
            samples = results.setdefault(row.name, {"whole": [], "lost": []})
            with launcher.tinykv_cluster(CLUSTER_NODES) as group:
                prepare(group, row, options)
                for name in ("whole", "lost"):
                    group.settle(options.quiet_seconds)
                    sample = _sample(group, row, programs, options)
                    samples[name].append(sample)
                    say_sample(number, options, f"{row.name} {name}", "tinykv", sample)
                    if name == "whole":
                        _lose_follower(group)
                launcher.discard(group)
    return [{"row": row, "samples": samples} for row, samples in results.items()]


def _lose_follower(group):
    follower = next(server for server in group.servers if server is not group.leader)
    follower.stop()
    group.servers.remove(follower)


def delay(launcher, programs, options):
    """Three nodes with delays between them, clients beside the leader."""
    results = {}
    for number in range(options.rounds):
        for row in rows(options.rows, cases=CLUSTER_CASES, everysec=()):
            for ms in DELAYS_MS:
                with launcher.tinykv_cluster(CLUSTER_NODES, ms / 1000) as group:
                    prepare(group, row, options)
                    group.settle(options.quiet_seconds)
                    # Everything waits for the network: fewer requests take long enough.
                    fewer = replace(row, case=replace(row.case, share=row.case.share / (4 if ms else 1)))
                    sample = _sample(group, fewer, programs, options)
                    results.setdefault(row.name, {}).setdefault(ms, []).append(sample)
                    say_sample(number, options, f"{row.name} {ms} ms", "tinykv", sample)
                    launcher.discard(group)
    return [{"row": row, "samples": samples} for row, samples in results.items()]


def joining(launcher, programs, options):
    """Three nodes with much data, alone, and while another one joins them that has a disk of its own, or shares theirs."""
    return [_joining(launcher, programs, options, shares_disk) for shares_disk in (False, True)]


def _joining(launcher, programs, options, shares_disk):
    keys = options.joining_bytes // COPIED_VALUE_BYTES
    with launcher.tinykv_cluster(CLUSTER_NODES) as group:
        say(f"joining: {keys:,} keys of {COPIED_VALUE_BYTES:,} bytes")
        value = os.urandom(COPIED_VALUE_BYTES // 2).hex().encode()
        with group.leader.connect() as client:
            client.send_all([b"SET", b"copied:%d" % number, value] for number in range(keys))
        group.settle(options.quiet_seconds)
        rounds = iter(range(options.joining_rounds))
        alone = _probe(programs, group, options, lambda: next(rounds, None) is not None)
        began = time.monotonic()
        joined = launcher.tinykv_joins(group, shares_disk)
        meanwhile = _probe(programs, group, options, lambda: _voters(group.leader) == CLUSTER_NODES)
        seconds = time.monotonic() - began
        until("the new node has all keys", lambda: _has_all(joined, group.leader), pause_seconds=0.1)
        launcher.discard(group)
    facts = {"shares_disk": shares_disk, "bytes": options.joining_bytes, "seconds": seconds}
    return facts | {"alone": alone, "joining": meanwhile}


def _voters(server):
    with server.connect() as client:
        return int(client.info("raft")["raft_voters"])


def _has_all(joined, leader):
    with joined.connect() as here, leader.connect() as there:
        return True if here.call("DBSIZE") == there.call("DBSIZE") else None


def _probe(programs, group, options, goes_on):
    """Short runs of SET and GET by turns for as long as something goes on."""
    samples = {"set": [], "get": []}
    while goes_on():
        for name, taken in samples.items():
            requests, keys = options.joining_requests, options.keys
            port = group.leader.port
            taken.append(benchmark(programs.benchmark, port, ("-t", name), 1, requests, keys, PROBE_CLIENTS))
        say(f"joining: SET p99 {samples['set'][-1]['p99_ms']:.3f} ms, GET p99 {samples['get'][-1]['p99_ms']:.3f} ms")
    return samples
