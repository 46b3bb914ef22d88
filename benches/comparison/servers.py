"""Starts and stops servers, each in a directory and on a port of its own, and reads what they cost from /proc.

Every server is a child of this process and is stopped by its process id.
"""

import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from .delay import Delay
from .wire import Client, ReplyError

ROOT = Path(__file__).resolve().parents[2]

# A file system in memory.
MEMORY = Path("/dev/shm")

# How long a server may take to answer, replicas to follow, or a Region to have a leader.
PATIENCE_SECONDS = 120

# Longest wait for a server to come to rest after a row; what it does later counts for the next row.
SETTLE_SECONDS = 15

# A server is at rest when it used less than this share of a core.
REST_SHARE = 0.05

# What lets nodes of one cluster talk to each other.
SECRET = ("--cluster-secret", "of-a-benchmark")

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

# Below the range that systems take ports of outgoing connections from, with the port of the peers, 10000 higher.
PORTS = range(11_000, 22_000)
PEER_PORT_OFFSET = 10_000


def build():
    """Builds tinykv-server for release; its path."""
    command = ["cargo", "build", "--release", "-p", "tinykv-server", "--message-format=json-render-diagnostics"]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    messages = [json.loads(line) for line in built.stdout.splitlines() if line.startswith("{")]
    programs = [message["executable"] for message in messages if message.get("executable")]
    return Path(programs[-1])


def free_port():
    """A port that nobody listens at, nor at the one that other nodes would use with it."""
    for _ in range(1000):
        port = random.choice(PORTS)
        try:
            for number in (port, port + PEER_PORT_OFFSET):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
            return port
        except OSError:
            continue
    raise RuntimeError("no free port")


def until(what, ask, pause_seconds=0.01):
    """Asks until the answer is not None; servers that do not answer yet are asked again."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            answer = ask()
        except (OSError, ReplyError):
            answer = None
        if answer is not None:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE_SECONDS} s: {what}")
        time.sleep(pause_seconds)


def _run_when_idle():
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


class Server:
    """One process. An idle one gets what all others leave of the processor. `directory` outlives it."""

    def __init__(self, command, directory, port, idle=False):
        self.directory, self.port = directory, port
        self.output = open(directory / "output.log", "ab")
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
            preexec_fn=_run_when_idle if idle else None,
        )
        self.pid = self.process.pid

    def connect(self):
        """A connection to a server that answers."""
        return until(f"a server answers on port {self.port}", self._try_connect)

    def _try_connect(self):
        self.check()
        client = Client(self.port)
        try:
            client.call("PING")
            return client
        except BaseException:
            client.__exit__()
            raise

    def first_get(self, key):
        """Seconds from the start of the process to its answer to GET, and that answer."""

        def ask():
            self.check()
            with Client(self.port) as client:
                value = client.call("GET", key)
                return time.monotonic() - self.started, value

        return until("the first GET is answered", ask, pause_seconds=0.001)

    def check(self):
        """Raises with the server's last words if it has ended."""
        if self.process.poll() is not None:
            words = (self.directory / "output.log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self.process.args[0]} ended with {self.process.returncode}:\n{words}")

    def stop(self, how=signal.SIGKILL):
        """Sends a signal and waits for the end."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.process.wait(PATIENCE_SECONDS)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.output.close()

    def cpu_seconds(self):
        """Of the process, of its children that ended (Redis rewrites its file in one), and of those that run."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        running = children.read_text().split() if children.exists() else []
        ticks = _cpu_ticks(self.pid, 4)
        for child in running:
            try:
                ticks += _cpu_ticks(child, 2)
            except (FileNotFoundError, ProcessLookupError):
                # It ended meanwhile.
                pass
        return ticks / TICKS_PER_SECOND

    def resident_bytes(self):
        """Resident memory now, and the most that it was."""
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{self.pid}/status").read_text().splitlines())
        return tuple(int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))


def _cpu_ticks(pid, fields):
    """utime and stime, and with 4 fields cutime and cstime: the 14th to 17th of /proc/PID/stat."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    return sum(map(int, stat.rpartition(")")[2].split()[11 : 11 + fields]))


class Group:
    """The servers of one contender; clients talk to `leader`. Kills them all at its end."""

    def __init__(self, servers=()):
        self.servers = list(servers)
        self.proxies = []
        self.leader = self.servers[0] if self.servers else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.stop()
        while self.proxies:
            self.proxies.pop().close()

    def follow_leader(self):
        """Makes `leader` the server that leads now; true when it is another one than before. Redis's never changes."""
        return False

    def cpu_seconds(self):
        """Of all servers together."""
        return sum(server.cpu_seconds() for server in self.servers)

    def settle(self, quiet_seconds):
        """Waits until the servers did next to nothing for `quiet_seconds`: compactions and rewrites are over."""
        deadline = time.monotonic() + SETTLE_SECONDS
        rest = max(REST_SHARE * quiet_seconds * len(self.servers), 1.5 / TICKS_PER_SECOND)
        before = self.cpu_seconds()
        while time.monotonic() < deadline:
            time.sleep(quiet_seconds)
            now = self.cpu_seconds()
            if now - before <= rest:
                return
            before = now


class Cluster(Group):
    """Nodes that elect their leader."""

    def follow_leader(self):
        before = self.leader
        self.leader = until("a node leads", self._leading, pause_seconds=0.05)
        return self.leader is not before

    def _leading(self):
        for server in self.servers:
            server.check()
            with Client(server.port) as client:
                if client.info("raft").get("raft_role") == "leader":
                    return server
        return None


class Launcher:
    """Makes directories and starts servers in them."""

    def __init__(self, redis, tinykv, base):
        self.redis, self.tinykv = str(redis), str(tinykv)
        base.mkdir(parents=True, exist_ok=True)
        self.base = Path(tempfile.mkdtemp(prefix="run-", dir=base))
        self.numbers = itertools.count(1)
        self.in_memory = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for directory in [self.base, *self.in_memory]:
            shutil.rmtree(directory, ignore_errors=True)

    def directory(self, name):
        """A new one."""
        directory = self.base / f"{next(self.numbers)}-{name}"
        directory.mkdir()
        return directory

    def memory_directory(self, name):
        """A new one in memory."""
        directory = Path(tempfile.mkdtemp(prefix=f"tinykv-{name}-", dir=MEMORY))
        self.in_memory.append(directory)
        return directory

    def discard(self, group):
        """Ends the servers and removes their directories, so that the disk holds one contender's data at a time."""
        group.__exit__()
        for server in group.servers:
            shutil.rmtree(server.directory, ignore_errors=True)

    def start(self, kind, directory, fsync="always", port=None, extra=(), idle=False):
        """One server of the kind "redis" or "tinykv"."""
        port = port or free_port()
        data = directory / "data"
        data.mkdir(exist_ok=True)
        command = [self.redis if kind == "redis" else self.tinykv]
        command += ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(data), "--appendfsync", fsync]
        command += ["--save", "", "--appendonly", "yes", "--loglevel", "warning", *extra]
        return Server(command, directory, port, idle)

    def single(self, kind, fsync="always"):
        """A group of one that answers."""
        group = Group([self.start(kind, self.directory(kind), fsync)])
        try:
            group.leader.connect().__exit__()
        except BaseException:
            group.__exit__()
            raise
        return group

    def redis_replicas(self, count):
        """A redis-server primary with `count` - 1 replicas that follow it."""
        primary = self.start("redis", self.directory("primary"), extra=["--repl-diskless-sync-delay", "0"])
        group = Group([primary])
        try:
            for _ in range(count - 1):
                extra = ["--replicaof", f"127.0.0.1 {primary.port}"]
                group.servers.append(self.start("redis", self.directory("replica"), extra=extra))
            for replica in group.servers[1:]:
                until("a replica follows", lambda replica=replica: _follows(replica), pause_seconds=0.05)
        except BaseException:
            group.__exit__()
            raise
        return group

    def tinykv_cluster(self, count, delay_seconds=0):
        """Nodes that hold one Region. Whatever goes from one to another arrives so much later."""
        ports = []
        while len(ports) < 2 * count:
            ports = list({*ports, free_port()})
        behind = count if delay_seconds else 0
        doors = [port + PEER_PORT_OFFSET for port in ports[behind:]]
        nodes = list(enumerate(zip(ports[:count], doors), 1))
        peers = ",".join(f"{node}@127.0.0.1:{port}@{door}" for node, (port, door) in nodes)
        group = Cluster()
        try:
            for node, (port, door) in nodes:
                extra = ["--node-id", str(node), "--cluster-peers", peers, *SECRET]
                if delay_seconds:
                    group.proxies.append(Delay(door, port + PEER_PORT_OFFSET, delay_seconds))
                    extra += ["--cluster-announce-bus-port", str(door)]
                group.servers.append(self.start("tinykv", self.directory(f"node{node}"), port=port, extra=extra))
            group.follow_leader()
        except BaseException:
            group.__exit__()
            raise
        return group


    def tinykv_joins(self, group, shares_disk):
        """One more node, which begins to copy, as if the cores of this machine were not its own; its data in memory, or on the disk
        of all others."""
        extra = ["--join", f"127.0.0.1:{group.leader.port}", *SECRET]
        directory = self.directory("joins") if shares_disk else self.memory_directory("joins")
        joined = self.start("tinykv", directory, extra=extra, idle=True)
        group.servers.append(joined)
        return joined


def _follows(replica):
    replica.check()
    with Client(replica.port) as client:
        return True if client.info("replication").get("master_link_status") == "up" else None
