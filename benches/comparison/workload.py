"""The rows of the comparison: what redis-benchmark sends, and what is to be reached."""

import csv
import subprocess
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .cases import DEFAULT_RUN, WHOLE, Case
from .wire import VALUE_BYTES

CLIENTS = 50

DEPTHS = (1, 16)

# Of the default run, what is measured with `appendfsync everysec` too.
EVERYSEC_COMMANDS = ("SET", "GET", "MSET", "INCR")

# These find every key that they may name.
KEY_COMMANDS = ("SET", "GET", "MSET", "INCR")

# At -P 16 more requests, or a row would be over in a fraction of a second.
PIPELINED_TIMES = 5

BENCHMARK_TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    case: Case
    depth: int
    fsync: str

    @property
    def command(self):
        """What is sent."""
        return self.case.name

    @property
    def name(self):
        """As `--rows` selects it."""
        return f"{self.command.lower()}/p{self.depth}/{self.fsync}"

    def requests(self, base):
        """How many commands to send."""
        times = PIPELINED_TIMES if self.depth > 1 and self.case.is_short else 1
        return max(int(base * self.case.share * times), CLIENTS)

    @property
    def is_of_default_run(self):
        """Whether it counts for the geometric mean."""
        return self.fsync == "always" and self.case in DEFAULT_RUN


# Least ratio of requests per second of any row, one node; most that its p99 may be of Redis's, and that of the rows with a target of
# their own; and the geometric mean of the rows of the default run.
SPEED_TARGET = 1.0
P99_TARGET = 1.3
P99_TARGET_OF_CORE = 1.0
MEAN_TARGET = 1.25

# Where more is to be reached.
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

# A million elements: least ratio of requests per second, which is 1.5 times the time.
LARGE_TARGET = 1 / 1.5
LARGE_ELEMENTS = 1_000_000

# Many keys: least ratio of requests per second to those with few, of TinyKV.
MANY_TARGET = 0.9
MANY_KEYS = 10_000_000

# Least ratio of requests per second, three nodes to a primary with two replicas.
CLUSTER_SPEED_TARGETS = {
    "set/p1/always": 1.5,
    "set/p16/always": 1.5,
    "get/p1/always": 1.1,
    "get/p16/always": 1.1,
}

# Greatest ratio of CPU per command, all three nodes to one redis-server.
CLUSTER_CPU_TARGETS = {"set/p1/always": 2.0, "set/p16/always": 2.5}

# Least ratio of requests per second of a cluster without a follower to the whole one.
MINORITY_TARGET = 1.0

# Most that the leader's p99 may grow while a node joins, at this many bytes of data.
JOINING_TARGET = 1.5
JOINING_TARGET_BYTES = 2_000_000_000

# Greatest ratio of resident bytes per key, at this number of keys.
MEMORY_TARGET = 1.2
MEMORY_TARGET_KEYS = 1_000_000

# The same of collections, per element.
COLLECTIONS_TARGET = 1.2

# Most seconds to the first GET, at this number of keys.
START_TARGET_SECONDS = 1.0
START_TARGET_KEYS = 1_000_000


def rows(patterns, cases=(*DEFAULT_RUN, *WHOLE), everysec=EVERYSEC_COMMANDS):
    """The rows that one of the shell patterns matches, in the order of the table."""
    every = [Row(case, depth, "always") for case in cases for depth in DEPTHS]
    every += [Row(case, depth, "everysec") for case in cases for depth in DEPTHS if case.name in everysec]
    return [row for row in every if selects(patterns, row.name)]


def selects(patterns, name):
    """Whether one of the shell patterns matches."""
    return any(fnmatchcase(name, pattern.lower()) for pattern in patterns)


def benchmark(program, port, sends, depth, requests, keys=None, clients=CLIENTS):
    """Runs redis-benchmark: requests per second, and the latencies of a pipeline's commands in milliseconds.

    `sends` is a test of its own (`-t NAME`) or a command's words. Without `keys` it is left to its defaults: always the same
    key and member, values of 3 bytes.
    """
    arguments = ["-h", "127.0.0.1", "-p", port, "-c", clients, "-n", requests, "-P", depth, "--csv"]
    if keys:
        arguments += ["-d", VALUE_BYTES, "-r", keys]
    ran = subprocess.run(
        [str(program), *map(str, arguments), *sends], capture_output=True, text=True, timeout=BENCHMARK_TIMEOUT_SECONDS
    )
    lines = [line for line in ran.stdout.splitlines() if line.startswith('"')]
    results = list(csv.DictReader(lines))
    if ran.returncode != 0 or len(results) != 1:
        raise RuntimeError(f"redis-benchmark {' '.join(sends)} failed:\n{ran.stdout}{ran.stderr}")
    columns = {"rps": "rps", "p50_ms": "p50_latency_ms", "p99_ms": "p99_latency_ms", "max_ms": "max_latency_ms"}
    return {name: float(results[0][column]) for name, column in columns.items()}


def measure(program, group, sends, depth, requests, keys, quiet_seconds):
    """One sample. CPU is counted until the servers are at rest: what they put off belongs to the row, too."""
    before = group.cpu_seconds()
    sample = benchmark(program, group.leader.port, sends, depth, requests, keys)
    group.settle(quiet_seconds)
    sample["cpu_us"] = (group.cpu_seconds() - before) * 1e6 / requests
    for server in group.servers:
        server.check()
    return sample
