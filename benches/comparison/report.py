"""What was measured, as Markdown."""

from statistics import median

from .workload import (
    CLUSTER_CPU_TARGETS,
    CLUSTER_SPEED_TARGETS,
    MEMORY_TARGET,
    MEMORY_TARGET_KEYS,
    SPEED_TARGETS,
    START_TARGET_KEYS,
    START_TARGET_SECONDS,
)

NOTHING = "–"


def table(head, lines):
    """A table; all columns but the first are numbers."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *lines])


def verdict(met):
    """In words."""
    return "met" if met else "**missed**"


def least(value, target):
    """A ratio that is to reach its target, and whether it did."""
    return [f"≥ {target}", verdict(value >= target)] if target else [NOTHING, NOTHING]


def most(value, target):
    """A ratio that is to stay below its target, and whether it did."""
    return [f"≤ {target}", verdict(value <= target)] if target else [NOTHING, NOTHING]


def middle(samples, field):
    """The median of one figure."""
    return median(sample[field] for sample in samples)


def span(values, form):
    """Least and greatest."""
    return f"{min(values):{form}} … {max(values):{form}}"


def ratios(samples, of, to):
    """Requests per second of each round, compared with the other contender's in the same round."""
    return [a["rps"] / b["rps"] for a, b in zip(samples[of], samples[to])]


def single(result, judged):
    """One node."""
    targets = SPEED_TARGETS if judged else {}
    head = ["row", "Redis rps", "TinyKV rps", "ratio", "target", "", "p50 ms R", "p50 ms T", "p99 ms R", "p99 ms T"]
    head += ["p99 not worse", "CPU µs/op R", "CPU µs/op T"]
    lines = []
    for entry in result["rows"]:
        redis, tinykv = entry["samples"]["redis"], entry["samples"]["tinykv"]
        figures = {name: (middle(redis, name), middle(tinykv, name)) for name in ("rps", "p50_ms", "p99_ms", "cpu_us")}
        ratio = figures["rps"][1] / figures["rps"][0]
        cells = [entry["row"], *(f"{rps:,.0f}" for rps in figures["rps"]), f"{ratio:.2f}"]
        cells += least(ratio, targets.get(entry["row"]))
        cells += [f"{ms:.3f}" for ms in figures["p50_ms"] + figures["p99_ms"]]
        cells += [verdict(figures["p99_ms"][1] <= figures["p99_ms"][0]) if judged else NOTHING]
        cells += [f"{us:.2f}" for us in figures["cpu_us"]]
        lines.append(cells)
    return "## One node\n\n" + table(head, lines) + "\n\n" + spread(result, ["redis", "tinykv"], "redis")


def cluster(result, judged):
    """Three nodes."""
    speed, cost = (CLUSTER_SPEED_TARGETS, CLUSTER_CPU_TARGETS) if judged else ({}, {})
    head = ["row", "Redis 1+2 rps", "TinyKV 3 rps", "ratio", "target", "", "p50 ms R", "p50 ms T", "p99 ms R", "p99 ms T"]
    head += ["p99 not worse", "one Redis rps", "CPU µs/op one Redis", "Redis 1+2", "TinyKV 3", "to one Redis", "target", ""]
    lines = []
    for entry in result["rows"]:
        names = ("replicas", "tinykv", "redis")
        rps, cpu, p50, p99 = (
            {name: middle(entry["samples"][name], field) for name in names}
            for field in ("rps", "cpu_us", "p50_ms", "p99_ms")
        )
        ratio = rps["tinykv"] / rps["replicas"]
        times = cpu["tinykv"] / cpu["redis"] if cpu["redis"] else float("inf")
        cells = [entry["row"], f"{rps['replicas']:,.0f}", f"{rps['tinykv']:,.0f}", f"{ratio:.2f}"]
        cells += least(ratio, speed.get(entry["row"]))
        cells += [f"{ms[name]:.3f}" for ms in (p50, p99) for name in ("replicas", "tinykv")]
        cells += [verdict(p99["tinykv"] <= p99["replicas"]) if judged else NOTHING]
        cells += [f"{rps['redis']:,.0f}"] + [f"{cpu[name]:.2f}" for name in ("redis", "replicas", "tinykv")]
        cells += [f"{times:.2f}", *most(times, cost.get(entry["row"]))]
        lines.append(cells)
    text = "## Three nodes on one machine\n\n" + table(head, lines)
    if result["leaders_changed"]:
        text += f"\n\nThe leader changed {result['leaders_changed']} times during a row: such rows are not comparable."
    return text + "\n\n" + spread(result, ["replicas", "tinykv", "redis"], "replicas")


def spread(result, names, base):
    """Least and greatest of all rounds, so that noise shows."""
    called = {"redis": "Redis", "tinykv": "TinyKV", "replicas": "Redis 1+2"}
    head = ["min … max of the rounds"] + [f"{called[name]} rps" for name in names] + ["ratio by round"]
    head += [f"{called[name]} p99 ms" for name in names] + [f"{called[name]} CPU µs/op" for name in names]
    lines = []
    for entry in result["rows"]:
        samples = entry["samples"]
        cells = [entry["row"]] + [span([sample["rps"] for sample in samples[name]], ",.0f") for name in names]
        cells += [span(ratios(samples, "tinykv", base), ".2f")]
        cells += [span([sample["p99_ms"] for sample in samples[name]], ".3f") for name in names]
        cells += [span([sample["cpu_us"] for sample in samples[name]], ".2f") for name in names]
        lines.append(cells)
    return table(head, lines)


def memory(result, judged):
    """Resident bytes per key."""
    head = ["keys of 16 + 64 bytes", "Redis B/key", "TinyKV B/key", "ratio", "target", ""]
    head += ["after overwriting R", "T", "ratio", "peak R", "T", "empty server MB R", "T"]
    lines = []
    for entry in result:
        keys, samples = entry["keys"], entry["resident_bytes"]
        names = ("empty", "loaded", "overwritten", "peak")
        sizes = {name: (middle(samples["redis"], name), middle(samples["tinykv"], name)) for name in names}
        ratio = {name: ours / theirs for name, (theirs, ours) in sizes.items()}
        target = MEMORY_TARGET if judged and keys == MEMORY_TARGET_KEYS else None
        cells = [f"{keys:,}", *(f"{size / keys:.1f}" for size in sizes["loaded"]), f"{ratio['loaded']:.2f}"]
        cells += most(ratio["loaded"], target)
        cells += [f"{size / keys:.1f}" for size in sizes["overwritten"]] + [f"{ratio['overwritten']:.2f}"]
        cells += [f"{size / keys:.1f}" for size in sizes["peak"]]
        cells += [f"{size / 1e6:.1f}" for size in sizes["empty"]]
        lines.append(cells)
    note = "All resident memory of the process divided by the number of keys, at rest."
    return "## Memory\n\n" + table(head, lines) + "\n\n" + note


def start(result, judged):
    """Seconds to the first answer."""
    head = ["from the start of the process to the first GET", "keys", "after SIGTERM s", "min … max"]
    head += ["after SIGKILL s", "min … max", "target", ""]
    lines = []
    for entry in result:
        seconds = entry["seconds"]
        cells = [{"redis": "Redis", "tinykv": "TinyKV"}[entry["kind"]], f"{entry['keys']:,}"]
        for how in ("SIGTERM", "SIGKILL"):
            cells += [f"{median(seconds[how]):.3f}", span(seconds[how], ".3f")]
        bound = judged and entry["kind"] == "tinykv" and entry["keys"] == START_TARGET_KEYS
        slowest = max(median(seconds[how]) for how in seconds)
        lines.append(cells + most(slowest, START_TARGET_SECONDS if bound else None))
    return "## Start\n\n" + table(head, lines)
