"""The rows of the comparison: what redis-benchmark sends, and what is to be reached."""

import csv
import subprocess
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .wire import VALUE_BYTES

CLIENTS = 50

COMMANDS = ("SET", "GET", "MSET", "INCR")
DEPTHS = (1, 16)
FSYNCS = ("always", "everysec")

# At -P 16 more requests, or a row would be over in a fraction of a second. An MSET sets ten keys and needs no more.
PIPELINED_TIMES = 5

BENCHMARK_TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    command: str
    depth: int
    fsync: str

    @property
    def name(self):
        """As `--rows` selects it."""
        return f"{self.command.lower()}/p{self.depth}/{self.fsync}"

    def requests(self, base):
        """How many commands to send."""
        return base * PIPELINED_TIMES if self.depth > 1 and self.command != "MSET" else base


# Least ratio of requests per second, one node.
SPEED_TARGETS = {
    "set/p1/always": 1.2,
    "set/p16/always": 1.3,
    "mset/p16/always": 1.2,
    "incr/p16/always": 1.2,
    "get/p1/always": 1.1,
    "get/p16/always": 1.4,
    "set/p1/everysec": 1.0,
    "set/p16/everysec": 1.2,
}

# Least ratio of requests per second, three nodes to a primary with two replicas.
CLUSTER_SPEED_TARGETS = {
    "set/p1/always": 1.5,
    "set/p16/always": 1.5,
    "get/p1/always": 1.1,
    "get/p16/always": 1.1,
}

# Greatest ratio of CPU per command, all three nodes to one redis-server.
CLUSTER_CPU_TARGETS = {"set/p1/always": 2.0, "set/p16/always": 2.5}

# Greatest ratio of resident bytes per key, at this number of keys.
MEMORY_TARGET = 1.2
MEMORY_TARGET_KEYS = 1_000_000

# Most seconds to the first GET, at this number of keys.
START_TARGET_SECONDS = 1.0
START_TARGET_KEYS = 1_000_000


def rows(patterns, fsyncs=FSYNCS, commands=COMMANDS):
    """The rows that one of the shell patterns matches, in the order of the table."""
    every = [Row(command, depth, fsync) for fsync in fsyncs for command in commands for depth in DEPTHS]
    return [row for row in every if any(fnmatchcase(row.name, pattern.lower()) for pattern in patterns)]


def benchmark(program, port, command, depth, requests, keys):
    """Runs redis-benchmark: requests per second, and the latencies of a pipeline's commands in milliseconds."""
    arguments = ["-h", "127.0.0.1", "-p", port, "-c", CLIENTS, "-n", requests, "-d", VALUE_BYTES, "-r", keys]
    arguments += ["-P", depth, "-t", command.lower(), "--csv"]
    ran = subprocess.run(
        [str(program), *map(str, arguments)], capture_output=True, text=True, timeout=BENCHMARK_TIMEOUT_SECONDS
    )
    lines = [line for line in ran.stdout.splitlines() if line.startswith('"')]
    results = list(csv.DictReader(lines))
    if ran.returncode != 0 or len(results) != 1:
        raise RuntimeError(f"redis-benchmark -t {command} failed:\n{ran.stdout}{ran.stderr}")
    columns = {"rps": "rps", "p50_ms": "p50_latency_ms", "p99_ms": "p99_latency_ms", "max_ms": "max_latency_ms"}
    return {name: float(results[0][column]) for name, column in columns.items()}


def measure(program, group, row, base_requests, keys, quiet_seconds):
    """One sample of a row. CPU is counted until the servers are at rest: what they put off belongs to the row, too."""
    requests = row.requests(base_requests)
    before = group.cpu_seconds()
    sample = benchmark(program, group.leader.port, row.command, row.depth, requests, keys)
    group.settle(quiet_seconds)
    sample["cpu_us"] = (group.cpu_seconds() - before) * 1e6 / requests
    for server in group.servers:
        server.check()
    return sample
