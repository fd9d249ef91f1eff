"""Measures requirements for peers.py: what a booking costs, and how many runs a gate lets through."""

import json
import os
import time

from peers import as_ratio

CPUS = len(os.sched_getaffinity(0))

# A process that uses a CPU for so many seconds.
BUSY = "end = __import__('time').process_time() + {}\nwhile __import__('time').process_time() < end: pass"


def bench_requirements(bench):
    """How fast brief runs are that book something, and how many busy runs pass a gate at once."""
    bench_booking(bench)
    bench_gate(bench)


def bench_booking(bench):
    count, rounds = (500, 1) if bench.quick else (3_000, 3)
    store = bench.store("booking")
    rates = {"plain": [], "booked": []}
    with bench.daemon(store, "--slots", "2"):
        bench.run(store, "resource", "set", "gpu=2")
        for _ in range(rounds):
            for name, needs in [("plain", {}), ("booked", {"needs": ["gpu=1"]})]:
                lines = bench.store(f"booking-{name}.jsonl")
                with open(lines, "w") as f:
                    f.writelines(json.dumps({"command": ["true"], **needs}) + "\n" for _ in range(count))
                bench.run(store, "pause", "--queue", "default")
                bench.run(store, "add", "--from", lines)
                start = time.perf_counter()
                bench.run(store, "resume", "--queue", "default")
                bench.run(store, "wait", "--queue", "default")
                rates[name].append(count / (time.perf_counter() - start))
    plain, booked = max(rates["plain"]), max(rates["booked"])
    what = f"{count:,} × `true`, 2 slots: each books one of 2; none books"
    bench.row(what, f"{booked:.0f}/s", f"{plain:.0f}/s", as_ratio(booked / plain), "≥ 0.7 ×")


def bench_gate(bench):
    jobs, seconds = (4, 1) if bench.quick else (12, 3)
    store = bench.store("gate")
    with bench.daemon(store, "--slots", "100"):
        start = time.perf_counter()
        for _ in range(jobs):
            bench.run(store, "add", "--if", "runnable<100%", "python3", "-c", BUSY.format(seconds))
        peak = 0
        while not is_idle(queue := queue_of(bench, store)):
            peak = max(peak, queue["running"])
            time.sleep(0.05)
        took = time.perf_counter() - start
    what = f"{jobs} busy jobs of {seconds} s behind `runnable<100%`: most at once, of {CPUS} CPUs"
    bench.row(what, str(peak), str(CPUS), "", f"≤ {CPUS}")
    ideal = jobs * seconds / CPUS
    what = "the same, in all; without a pause"
    bench.row(what, f"{took:.1f} s", f"{ideal:.1f} s", as_ratio(took / ideal), "")


def queue_of(bench, store):
    return json.loads(bench.run(store, "queue", "--json"))["queues"][0]


def is_idle(queue):
    return queue["running"] + queue["waiting"] == 0
