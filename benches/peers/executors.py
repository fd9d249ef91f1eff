"""Measures executors for peers.py: brief runs on a host of ssh(1)."""

import json
import os
import shutil
import subprocess
import time

from peers import ROOT, as_ratio

FIXTURE = os.path.join(ROOT, "tests/executor/sshd.sh")
PORT = "22922"


def bench_executors(bench):
    """How fast brief runs are on a host of ssh(1) on this machine, beside a fresh connection for each."""
    if not shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin"):
        bench.has("sshd")
        return
    server = bench.store("sshd")
    done = subprocess.run([FIXTURE, "up", server, PORT], capture_output=True, text=True, check=True)
    try:
        bench_runs(bench, done.stdout.strip())
    finally:
        subprocess.run([FIXTURE, "down", server])


def bench_runs(bench, config):
    count, fresh = (50, 5) if bench.quick else (500, 50)
    store = bench.store("far-store")
    words = ["--type", "ssh", "--host", "far1=100", "--rundir", bench.store("far")]
    words += ["--opt", f"config={config}"]
    bench.run(store, "executor", "add", "far", *words)
    lines = bench.store("far.jsonl")
    with open(lines, "w") as f:
        f.writelines(json.dumps({"command": ["true"], "executor": "far"}) + "\n" for _ in range(count))
    with bench.daemon(store):
        start = time.perf_counter()
        bench.run(store, "add", "--from", lines)
        bench.run(store, "wait", "--all")
        ours = count / (time.perf_counter() - start)
        client = ["ssh", "-F", config, "-o", "ControlPath=none", "far1", "true"]
        start = time.perf_counter()
        for _ in range(fresh):
            subprocess.run(client, check=True)
        theirs = fresh / (time.perf_counter() - start)
        what = f"{count} × `true` on a host of ssh(1); `ssh HOST true` one by one, a fresh connection each"
        bench.row(what, f"{ours:.0f}/s", f"{theirs:.1f}/s", as_ratio(ours / theirs), "≥ 5 ×")
