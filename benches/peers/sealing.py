"""Measures sealed stores for peers.py: what the key costs."""

import os
import statistics
import time

from peers import as_ms, as_ratio, in_turns


def bench_sealing(bench):
    """Adds, brief runs and output with the key and without, in turns."""
    before = os.environ.get("XDG_CONFIG_HOME")
    os.environ["XDG_CONFIG_HOME"] = bench.store("config")
    plain, sealed = bench.store("plain"), bench.store("sealed")
    bench.run(sealed, "key", "init")
    with bench.daemon(plain), bench.daemon(sealed):
        bench_adds(bench, plain, sealed)
        bench_runs(bench, plain, sealed)
        bench_output(bench, plain, sealed)
    if before is None:
        del os.environ["XDG_CONFIG_HOME"]
    else:
        os.environ["XDG_CONFIG_HOME"] = before


def bench_adds(bench, plain, sealed):
    for store in (plain, sealed):
        bench.run(store, "pause", "--queue", "default")
    commands = [([bench.taskq, "add", "--", "true"], bench.env(store)) for store in (sealed, plain)]
    ours, floor = in_turns(commands, 40 if bench.quick else 300)
    for store in (plain, sealed):
        bench.run(store, "cancel", "--all", "--yes")
        bench.run(store, "resume", "--queue", "default")
    what = "`taskq add -- true` with the key; without"
    bench.row(what, as_ms(ours), as_ms(floor), f"{ours - floor:+.2f} ms", "≤ +0.15 ms")


def bench_runs(bench, plain, sealed):
    count = 500 if bench.quick else 3_000
    lines = bench.store("brief.jsonl")
    with open(lines, "w") as f:
        f.writelines('{"command":["echo","x"]}\n' for _ in range(count))
    rates = {plain: [], sealed: []}
    for _ in range(3):
        for store, taken in rates.items():
            begin = time.monotonic()
            bench.run(store, "add", "--from", lines)
            bench.run(store, "wait", "--all")
            taken.append(count / (time.monotonic() - begin))
    ours, floor = (statistics.median(rates[store]) for store in (sealed, plain))
    what = f"{count:,} × `echo x`, 2 slots, with the key; without"
    bench.row(what, f"{ours:.0f}/s", f"{floor:.0f}/s", as_ratio(ours / floor), "≥ 0.9 ×")


def bench_output(bench, plain, sealed):
    megabytes = 100 if bench.quick else 1_000
    flood = ["head", "-c", f"{megabytes}000000", "/dev/zero"]
    rates = {plain: [], sealed: []}
    for _ in range(3):
        for store, taken in rates.items():
            begin = time.monotonic()
            run = bench.run(store, "add", "--log-limit", "3G", *flood).strip()
            bench.run(store, "wait", run)
            taken.append(megabytes / (time.monotonic() - begin))
            os.unlink(os.path.join(store, "log", f"{run}.1"))
    ours, floor = (statistics.median(rates[store]) for store in (sealed, plain))
    what = f"{megabytes:,} MB of output into the log with the key; without"
    bench.row(what, f"{ours:.0f} MB/s", f"{floor:.0f} MB/s", as_ratio(ours / floor), "≥ 0.5 ×")
