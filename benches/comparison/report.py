"""What was measured, as Markdown."""

from statistics import geometric_mean, median

from .workload import (
    CLUSTER_CPU_TARGETS,
    CLUSTER_SPEED_TARGETS,
    COLLECTIONS_TARGET,
    JOINING_TARGET,
    JOINING_TARGET_BYTES,
    LARGE_TARGET,
    MANY_TARGET,
    MEAN_TARGET,
    MEMORY_TARGET,
    MEMORY_TARGET_KEYS,
    MINORITY_TARGET,
    P99_TARGET,
    P99_TARGET_OF_CORE,
    SPEED_TARGET,
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


def pairs(entry):
    """The medians of a row's figures, Redis's and TinyKV's."""
    redis, tinykv = entry["samples"]["redis"], entry["samples"]["tinykv"]
    return {name: (middle(redis, name), middle(tinykv, name)) for name in ("rps", "p50_ms", "p99_ms", "cpu_us")}


def times(figures):
    """How much greater the second is."""
    redis, tinykv = figures
    return tinykv / redis if redis else float("nan")


def versus(entry, target, judged):
    """A row of Redis and TinyKV."""
    figures = pairs(entry)
    ratio = times(figures["rps"])
    cells = [entry["row"], *(f"{rps:,.0f}" for rps in figures["rps"]), f"{ratio:.2f}", *least(ratio, target)]
    cells += [f"{ms:.3f}" for ms in figures["p50_ms"] + figures["p99_ms"]]
    late = times(figures["p99_ms"])
    latest = P99_TARGET_OF_CORE if entry["row"] in SPEED_TARGETS else P99_TARGET
    cells += [f"{late:.2f}", f"≤ {latest}", verdict(late <= latest) if judged else NOTHING]
    cells += [f"{us:.2f}" for us in figures["cpu_us"]]
    return cells + [f"{times(figures['cpu_us']):.2f}"]


VERSUS = ["row", "Redis rps", "TinyKV rps", "ratio", "target", "", "p50 ms R", "p50 ms T", "p99 ms R", "p99 ms T", "ratio"]
VERSUS += ["target", "", "CPU µs/op R", "CPU µs/op T", "ratio"]


def single(result, judged):
    """One node."""
    target = lambda row: SPEED_TARGETS.get(row, SPEED_TARGET) if judged else None
    lines = [versus(entry, target(entry["row"]), judged) for entry in result["rows"]]
    text = "## One node\n\n" + table(VERSUS, lines) + "\n\n" + spread(result, ["redis", "tinykv"], "redis")
    return text + "\n\n" + means(result["rows"], judged)


def means(entries, judged):
    """The geometric mean of the ratios of the default run."""
    ratio = {entry["row"]: times(pairs(entry)["rps"]) for entry in entries if entry["default"]}
    lines = []
    for name, part in (("-P 1", "/p1/"), ("-P 16", "/p16/"), ("both", "/")):
        # So few requests that they took no time have no ratio.
        of = [value for row, value in ratio.items() if part in row and 0 < value < float("inf")]
        if of:
            mean = geometric_mean(of)
            target = MEAN_TARGET if judged and name == "both" else None
            lines.append([name, str(len(of)), f"{mean:.2f}", *least(mean, target), f"{min(of):.2f}"])
    head = ["default run of redis-benchmark, always", "rows", "geometric mean of the ratios", "target", "", "least"]
    return table(head, lines)


def large(result, judged):
    """Collections with many elements."""
    target = round(LARGE_TARGET, 2) if judged else None
    lines = [versus(entry, target, judged) for entry in result["rows"]]
    title = f"## One collection of {result['elements']:,} elements, -P 16, always\n\n"
    return title + table(VERSUS, lines) + "\n\n" + spread(result, ["redis", "tinykv"], "redis")


def many(result, judged):
    """Few keys and many."""
    few, keys = result["few"], result["many"]
    head = ["row, always"]
    head += [f"{name}, {count:,} keys, rps" for name in ("Redis", "TinyKV") for count in (few, keys)]
    head += ["many to few R", "T", "target", "", "TinyKV to Redis, many"]
    head += [f"p99 ms {name}, many" for name in "RT"] + [f"CPU µs/op {name}, {count:,}" for name in "RT" for count in (few, keys)]
    lines = []
    for row, contenders in result["rows"].items():
        figure = lambda name, count, field: middle(contenders[name][count], field)
        names = ("redis", "tinykv")
        rps = {name: (figure(name, few, "rps"), figure(name, keys, "rps")) for name in names}
        cells = [row, *(f"{value:,.0f}" for name in names for value in rps[name])]
        share = {name: times(rps[name]) for name in names}
        cells += [f"{share['redis']:.2f}", f"{share['tinykv']:.2f}"]
        cells += least(share["tinykv"], MANY_TARGET if judged else None)
        cells += [f"{rps['tinykv'][1] / rps['redis'][1]:.2f}"]
        cells += [f"{figure(name, keys, 'p99_ms'):.3f}" for name in names]
        cells += [f"{figure(name, count, 'cpu_us'):.2f}" for name in names for count in (few, keys)]
        lines.append(cells)
    return "## Few keys and many\n\n" + table(head, lines)


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


def minority(result, judged):
    """Three nodes, and two of them."""
    head = ["row, always", "three nodes rps", "a follower lost rps", "ratio", "by round", "target", "", "p99 ms three", "two"]
    lines = []
    for entry in result:
        whole, lost = entry["samples"]["whole"], entry["samples"]["lost"]
        ratio = middle(lost, "rps") / middle(whole, "rps")
        cells = [entry["row"], f"{middle(whole, 'rps'):,.0f}", f"{middle(lost, 'rps'):,.0f}", f"{ratio:.2f}"]
        cells += [span(ratios(entry["samples"], "lost", "whole"), ".2f")]
        cells += least(ratio, MINORITY_TARGET if judged else None)
        lines.append(cells + [f"{middle(samples, 'p99_ms'):.3f}" for samples in (whole, lost)])
    return "## A follower lost\n\n" + table(head, lines)


def delay(result, judged):
    """Nodes that are far from each other."""
    del judged  # Reported, without a target.
    delays = list(result[0]["samples"]) if result else []
    head = ["row, always"] + [f"{what}, {ms} ms" for what in ("rps", "p50 ms", "p99 ms") for ms in delays]
    lines = []
    for entry in result:
        cells = [entry["row"]] + [f"{middle(entry['samples'][ms], 'rps'):,.0f}" for ms in delays]
        cells += [f"{middle(entry['samples'][ms], field):.3f}" for field in ("p50_ms", "p99_ms") for ms in delays]
        lines.append(cells)
    return "## Three nodes with a delay between them, one way\n\n" + table(head, lines)


def joining(results, judged):
    """A node that copies much."""
    head = ["while a node joins", "median p99 ms alone", "joining", "ratio", "target", "", "longest ms alone", "joining"]
    lines, notes = [], []
    for result in results:
        disk = "the others' disk" if result["shares_disk"] else "a disk of its own"
        large = result["bytes"] >= JOINING_TARGET_BYTES
        target = JOINING_TARGET if judged and large and not result["shares_disk"] else None
        lines += [_while_joining(f"{name}, {disk}", result["alone"][name], result["joining"][name], target) for name in ("set", "get")]
        notes.append(f"With {disk}: {result['bytes'] / 1e9:.1f} GB were there; the new node voted after {result['seconds']:.1f} s.")
    return "## A node joins\n\n" + table(head, lines) + "\n\n" + "\n".join(notes)


def _while_joining(name, alone, meanwhile, target):
    p99 = middle(alone, "p99_ms")
    if not meanwhile:
        # So little data that it had joined before it was looked at.
        return [name, f"{p99:.3f}"] + [NOTHING] * 6
    ratio = middle(meanwhile, "p99_ms") / p99
    longest = [f"{max(sample['max_ms'] for sample in samples):.1f}" for samples in (alone, meanwhile)]
    return [name, f"{p99:.3f}", f"{middle(meanwhile, 'p99_ms'):.3f}", f"{ratio:.2f}", *most(ratio, target), *longest]


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
    note = "All resident memory of the process divided by the number of keys, after three idle seconds."
    return "## Memory\n\n" + table(head, lines) + "\n\n" + note


def collections(result, judged):
    """Resident bytes per element of collections, the empty server's taken off."""
    head = ["collections", "elements", "Redis B/element", "TinyKV B/element", "ratio", "target", "", "peak R", "T"]
    target = COLLECTIONS_TARGET if judged and result["count"] == MEMORY_TARGET_KEYS else None
    lines = []
    for row in result["rows"]:
        samples, elements = row["resident_bytes"], row["elements"]

        def own(kind, name):
            return (middle(samples[kind], name) - middle(samples[kind], "empty")) / elements

        theirs, ours = own("redis", "loaded"), own("tinykv", "loaded")
        cells = [row["name"], f"{elements:,}", f"{theirs:.1f}", f"{ours:.1f}", f"{ours / theirs:.2f}"]
        cells += most(ours / theirs, target)
        lines.append(cells + [f"{own(kind, 'peak'):.1f}" for kind in ("redis", "tinykv")])
    note = "Resident memory of the process beyond what it had when empty, divided by the number of elements, after three idle seconds."
    return "## Memory of collections\n\n" + table(head, lines) + "\n\n" + note


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
