"""Measures queues for peers.py: what their depth and their order cost."""

import sqlite3
import time

from peers import as_ratio


def bench_queues(bench):
    """How fast a deep queue is drained, and what a new order of it takes."""
    shallow, deep, window = (2_000, 20_000, 2) if bench.quick else (20_000, 1_000_000, 6)
    rates, orders = {}, {}
    for count in (shallow, deep):
        store = bench.store(f"queue-{count}")
        lines = bench.store(f"queue-{count}.jsonl")
        with open(lines, "w") as f:
            f.writelines('{"command":["true"]}\n' for _ in range(count))
        bench.run(store, "add", "--from", lines)
        with bench.daemon(store, "--slots", "2"):
            before, start = succeeded(store), time.perf_counter()
            time.sleep(window)
            rates[count] = (succeeded(store) - before) / (time.perf_counter() - start)
        start = time.perf_counter()
        bench.run(store, "queue", "set", "default", "--order", "deadline")
        orders[count] = time.perf_counter() - start
    ratio = as_ratio(rates[deep] / rates[shallow])
    what = f"2 slots, `true`: drained with {deep:,} queued; with {shallow:,}"
    bench.row(what, f"{rates[deep]:.0f}/s", f"{rates[shallow]:.0f}/s", ratio, "≥ 0.9 ×")
    what = f"`taskq queue set --order` with {deep:,} queued; with {shallow:,}"
    bench.row(what, f"{orders[deep]:.1f} s", f"{orders[shallow]:.2f} s", "", "")


def succeeded(store):
    connection = sqlite3.connect(f"file:{store}/taskq.db?mode=ro", uri=True)
    with connection:
        count = connection.execute("SELECT count(*) FROM run WHERE outcome = 'success'").fetchone()[0]
    connection.close()
    return count
