"""Measures event triggers for peers.py: how soon a file is noticed, what an event costs, what is lost."""

import json
import os
import select
import shutil
import statistics
import time

from peers import as_ms, as_ratio, idle_figures, in_turns


def lines(jobs):
    return "\n".join(map(json.dumps, jobs)).encode()


def bench_events(bench):
    """A closed file to the first act of its job; `emit` beside `add`; many files and listeners."""
    times = 20 if bench.quick else 100
    inbox = bench.store("inbox")
    os.mkdir(inbox)
    fifo = bench.store("event-fifo")
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    act = ["sh", "-c", f"echo > {fifo}"]
    store = bench.store("events")
    bench.run(store, "add", "--quiet", "--name", "file", "--on", f"path:{inbox}/*", "--", *act)
    bench.run(store, "add", "--quiet", "--name", "heard", "--on", "emit,count=1000000000:heard", "--", "true")

    def told(cause):
        start = time.perf_counter()
        cause()
        select.select([reader], [], [])
        took = (time.perf_counter() - start) * 1e3
        os.read(reader, 100)
        return took

    def close_a_file(number):
        with open(f"{inbox}/{number}", "w") as f:
            f.write("x")

    direct, by_file = [], []
    with bench.daemon(store):
        for number in range(times):
            direct.append(told(lambda: os.posix_spawn(shutil.which("sh"), act, dict(os.environ))))
            os.wait()
            by_file.append(told(lambda: close_a_file(number)))
            bench.run(store, "wait", "file")
        ours, floor = statistics.median(by_file), statistics.median(direct)
        what = "a file is closed, to the first act of its job; `sh -c` directly"
        bench.row(what, as_ms(ours), as_ms(floor), f"+{as_ms(ours - floor)}", "≤ floor + 5 ms")
        env = bench.env(store)
        emit, by, add = (
            ([bench.taskq, *words], env)
            for words in (
                ("emit", "heard"),
                ("emit", "heard", "--by", "1000000"),
                ("add", "--quiet", "--hold", "--", "true"),
            )
        )
        emitted, many, added = in_turns([emit, by, add], times)
        what = "`taskq emit`; `taskq add -- true`"
        bench.row(what, as_ms(emitted), as_ms(added), as_ratio(emitted / added), "≤ 1 ×")
        what = "`taskq emit --by 1000000`; `taskq emit`"
        bench.row(what, as_ms(many), as_ms(emitted), as_ratio(many / emitted), "≤ 1 ×")
    os.close(reader)
    bench_listeners(bench, times)
    bench_files(bench)


def bench_listeners(bench, times):
    """An event beside 10,000 jobs that listen to others; an idle daemon with 1,000 watched directories."""
    count, dirs = (1_000, 100) if bench.quick else (10_000, 1_000)
    stores = {}
    for name, listeners in (("few", 1), ("many", count)):
        stores[name] = bench.store(f"listeners-{name}")
        jobs = [{"on": f"emit,count=1000000:event-{n}", "command": ["true"]} for n in range(listeners)]
        bench.run(stores[name], "add", "--quiet", "--from", "-", input=lines(jobs))
    words = [bench.taskq, "emit", "event-0"]
    with bench.daemon(stores["many"]), bench.daemon(stores["few"]):
        time.sleep(8)
        many, few = in_turns([(words, bench.env(stores["many"])), (words, bench.env(stores["few"]))], times)
    what = f"`taskq emit` beside {count:,} jobs that listen to other events; beside none"
    bench.row(what, as_ms(many), as_ms(few), as_ratio(many / few), "the same")
    store = bench.store("watched")
    jobs = []
    for n in range(dirs):
        os.makedirs(f"{bench.tmp}/dirs/{n}")
        jobs.append({"on": f"path,nonempty:{bench.tmp}/dirs/{n}", "command": ["true"]})
    bench.run(store, "add", "--quiet", "--from", "-", input=lines(jobs))
    with bench.daemon(store) as process:
        wakes, rss = idle_figures(store, process, 5 if bench.quick else 30)
    what = f"idle with {dirs:,} watched directories: wake-ups a minute; RSS of daemon + keeper"
    bench.row(what, f"{wakes:.0f}; {rss / 1024:.1f} MB", "", "", "0")


def bench_files(bench):
    """Many files at once: how many of them the runs of `created` and `nonempty` have seen in the end."""
    count = 2_000 if bench.quick else 20_000
    store, inbox = bench.store("files"), bench.store("many-files")
    os.mkdir(inbox)
    seen = bench.store("seen")
    script = f"echo $TASKQ_EVENT_COUNT >>{seen}-created"
    bench.run(store, "add", "--quiet", "--name", "created", "--on", f"path,created:{inbox}/*", "-c", script)
    script = f"ls -U {inbox} | wc -l >{seen}-nonempty.new; mv {seen}-nonempty.new {seen}-nonempty"
    bench.run(store, "add", "--quiet", "--name", "nonempty", "--times", "1000",
              "--on", f"path,nonempty,settle=1s:{inbox}", "-c", script)
    with bench.daemon(store):
        start = time.perf_counter()
        for number in range(count):
            os.close(os.open(f"{inbox}/{number}", os.O_CREAT | os.O_WRONLY))
        made = time.perf_counter() - start
        while True:
            time.sleep(0.2)
            created = sum(map(int, open(f"{seen}-created"))) if os.path.exists(f"{seen}-created") else 0
            there = int(open(f"{seen}-nonempty").read()) if os.path.exists(f"{seen}-nonempty") else 0
            if created >= count and there >= count or time.perf_counter() - start > 120:
                break
        took = time.perf_counter() - start
    what = f"{count:,} files made at once ({made:.1f} s): seen by `created`, by `nonempty`; until then"
    bench.row(what, f"{created:,}, {there:,}; {took:.1f} s", "", "", "all")
