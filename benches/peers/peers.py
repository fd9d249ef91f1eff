#!/usr/bin/env python3
"""Measures taskq beside its peers and its floors in one run, and prints a Markdown table of ratios.

    cargo build --release && benches/peers/peers.py [--quick] [--taskq PATH]

Every figure is taken next to the one it is compared with, in turns where that is possible, so that a busy
machine slows both. Peers that are not installed are named at the end. Nothing outside a temporary directory
is touched, except at(1)'s own spool: the jobs added there are removed again.
"""

import argparse
import json
import os
import platform
import random
import select
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEVNULL = os.open("/dev/null", os.O_RDWR)
QUIET = [(os.POSIX_SPAWN_DUP2, DEVNULL, stream) for stream in (0, 1, 2)]


class Bench:
    def __init__(self, args):
        self.taskq = os.path.abspath(args.taskq)
        self.quick = args.quick
        self.tmp = tempfile.mkdtemp(prefix="taskq-peers-")
        self.rows = []
        self.missing = []

    def row(self, what, ours, floor, ratio, budget):
        self.rows.append((what, ours, floor, ratio, budget))
        print(f"  {what}: {ours} | {floor} | {ratio} | {budget}", file=sys.stderr)

    def has(self, program):
        if shutil.which(program):
            return True
        if program not in self.missing:
            self.missing.append(program)
        return False

    def env(self, store, **more):
        env = {k: v for k, v in os.environ.items() if not k.startswith("TASKQ_")}
        return {**env, "TASKQ_DIR": store, **more}

    def run(self, store, *words, **options):
        options = {"env": self.env(store), "stdout": subprocess.PIPE, "check": False, **options}
        done = subprocess.run([self.taskq, *words], **options)
        return done.stdout.decode()

    @contextmanager
    def daemon(self, store, *words):
        env = self.env(store)
        process = subprocess.Popen([self.taskq, "daemon", *words], env=env, stderr=subprocess.DEVNULL)
        try:
            while subprocess.run([self.taskq, "status"], env=env, capture_output=True).returncode != 0:
                time.sleep(0.01)
            time.sleep(0.2)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
            for pid in processes_of(store):
                os.kill(pid, signal.SIGKILL)

    def store(self, name):
        return os.path.join(self.tmp, name)


def processes_of(store):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            continue
        if b"keeper" in words and store.encode() in words:
            found.append(int(pid))
    return found


def spawn_ms(words, env):
    """Runs a command to its end; returns the wall time in milliseconds."""
    path = shutil.which(words[0])
    start = time.perf_counter()
    pid = os.posix_spawn(path, words, env, file_actions=QUIET)
    os.waitpid(pid, 0)
    return (time.perf_counter() - start) * 1e3


def in_turns(commands, times):
    """Runs each command `times` times, in turns; returns the medians in milliseconds."""
    taken = [[] for _ in commands]
    for index in range(times + 5):
        for number, (words, env) in enumerate(commands):
            took = spawn_ms(words, env)
            if index >= 5:
                taken[number].append(took)
    return [statistics.median(one) for one in taken]


def seed_history(store, runs):
    """Writes `runs` finished runs of one-shot jobs into the database: years of history in seconds."""
    database = sqlite3.connect(os.path.join(store, "taskq.db"), isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")
    database.execute("BEGIN")
    database.execute("INSERT INTO environment (hash, vars) VALUES (0, x'')")
    (environment,) = database.execute("SELECT max(id) FROM environment").fetchone()
    (first,) = database.execute("SELECT coalesce(max(id), 0) FROM job").fetchone()
    now = time.time_ns() // 1000 - runs * 1_000_000
    database.executemany(
        "INSERT INTO job (id, created_at, command, command_hash, is_script, cwd, environment_id, umask,"
        " queue, priority, overlap, missed, grace_us, kill_after_us, retry_delay_us, retry_delay_max_us,"
        " log_limit, done_at, runs)"
        " VALUES (?, ?, x'7472756500', 0, 0, x'2f', ?, 18, 'default', 0,"
        " 'skip', 'once', 60000000, 10000000, 10000000, 600000000, 10485760, ?, 1)",
        ((first + i, now + i, environment, now + i) for i in range(1, runs + 1)),
    )
    database.executemany(
        "INSERT INTO run (job_id, number, trigger, scheduled_at, queue, rank, at_once, state,"
        " queued_at, keeper, claimed_at, pid, started_at, finished_at, outcome, exit_code, user_us,"
        " system_us, max_rss_kib, output_bytes)"
        " VALUES (?, 1, 'manual', ?, 'default', 0, 1, 'finished',"
        " ?, 1, ?, 1, ?, ?, 'success', 0, 0, 0, 0, 0)",
        ((first + i, *[now + i * 1_000_000] * 4, now + i * 1_000_000 + 900) for i in range(1, runs + 1)),
    )
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def as_ms(value):
    return f"{value:.2f} ms"


def as_ratio(value):
    return f"{value:.2f} ×"


def bench_enqueue(bench):
    times = 40 if bench.quick else 200
    store = bench.store("enqueue")
    bench.run(store, "pause", "--queue", "default")
    commands = [(["true"], dict(os.environ)), ([bench.taskq, "add", "--", "true"], bench.env(store))]
    names = ["true", "taskq"]
    tsp_env = {**os.environ, "TS_SOCKET": bench.store("tsp.sock"), "TMPDIR": bench.tmp, "TS_SLOTS": "1"}
    nq_env = {**os.environ, "NQDIR": bench.store("nq")}
    if bench.has("tsp"):
        subprocess.run(["tsp", "sleep", "600"], env=tsp_env, stdout=subprocess.DEVNULL)
        commands.append((["tsp", "true"], tsp_env))
        names.append("tsp")
    if bench.has("nq"):
        os.mkdir(bench.store("nq"))
        subprocess.run(["nq", "-q", "sleep", "600"], env=nq_env)
        commands.append((["nq", "-q", "true"], nq_env))
        names.append("nq")
    servers = []
    if bench.has("pueue") and bench.has("pueued"):
        servers.append(start_pueue(bench))
        commands.append((["pueue", "-c", bench.store("pueue.yml"), "add", "--", "true"], dict(os.environ)))
        names.append("pueue")
    if bench.has("hq"):
        hq_env = {**os.environ, "HQ_SERVER_DIR": bench.store("hq")}
        servers.append(start_hq(bench, hq_env))
        commands.append((["hq", "submit", "--stdout=none", "--stderr=none", "true"], hq_env))
        names.append("hq")
    with bench.daemon(store):
        medians = dict(zip(names, in_turns(commands, times)))
        tight = {name: in_turns([command], times)[0] for name, command in zip(names, commands)}
    for server in servers:
        server.terminate()
        server.wait()
    ours = medians["taskq"]
    for peer in ("tsp", "nq", "pueue", "hq"):
        if peer in medians:
            budget = "≤ 1.5 ×" if peer == "tsp" else ""
            what = f"`taskq add -- true`, durable; `{peer} true`, not"
            bench.row(what, as_ms(ours), as_ms(medians[peer]), as_ratio(ours / medians[peer]), budget)
    if "tsp" in tight:
        what = "the same, each command many times in a row; `tsp true`"
        in_row, theirs = tight["taskq"], tight["tsp"]
        bench.row(what, as_ms(in_row), as_ms(theirs), as_ratio(in_row / theirs), "≤ 1.5 ×")
    floor = medians["true"]
    bench.row("the same; floor: `true`", as_ms(ours), as_ms(floor), f"+{as_ms(ours - floor)}", "")
    runs = 100_000 if bench.quick else 1_000_000
    seed_history(store, runs)
    with bench.daemon(store):
        commands = [command for name, command in zip(names, commands) if name in ("taskq", "tsp")]
        commands.append(([bench.taskq, "list"], bench.env(bench.store("none"))))
        commands.append(([bench.taskq, "runs"], bench.env(store)))
        medians = in_turns(commands, times)
        if "tsp" in names:
            what = f"`add` at {runs:,} finished runs; `tsp true`"
            ours, theirs = medians[:2]
            bench.row(what, as_ms(ours), as_ms(theirs), as_ratio(ours / theirs), "≤ 1.5 ×")
    bench_lists(bench, store, runs, times)
    if "tsp" in names:
        subprocess.run(["tsp", "-K"], env=tsp_env)
    subprocess.run(["pkill", "-f", "^sleep 600$"])


def start_pueue(bench):
    """Starts a pueued of its own with its queue paused."""
    os.mkdir(bench.store("pueue"))
    config = bench.store("pueue.yml")
    with open(config, "w") as f:
        f.write("client: {}\ndaemon: {}\nshared:\n")
        f.writelines(f"  {key}_directory: {bench.store('pueue')}\n" for key in ("pueue", "runtime"))
    server = subprocess.Popen(["pueued", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while subprocess.run(["pueue", "-c", config, "pause"], capture_output=True).returncode != 0:
        time.sleep(0.1)
    return server


def start_hq(bench, env):
    """Starts a HyperQueue server of its own, with a journal and without a worker."""
    words = ["hq", "server", "start", "--journal", bench.store("hq-journal")]
    server = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while subprocess.run(["hq", "server", "info"], env=env, capture_output=True).returncode != 0:
        time.sleep(0.1)
    return server


def bench_lists(bench, store, runs, times):
    """`list` and `runs` beside the same on an empty store, and beside tsp -l where there is one."""
    for job in json.loads(bench.run(store, "list", "--json"))["jobs"][20:]:
        bench.run(store, "cancel", str(job["id"]))
    # A verb that only looks makes no store.
    empty = bench.store("empty")
    bench.run(empty, "queue", "set", "default", "--slots", "1")
    empty = bench.env(empty)
    with bench.daemon(store):
        pairs = [(verb, env) for verb in ("list", "runs") for env in (bench.env(store), empty)]
        medians = in_turns([([bench.taskq, verb], env) for verb, env in pairs], times)
    for verb, ours, on_empty in (("list", *medians[:2]), ("runs", *medians[2:])):
        what = f"`taskq {verb}` at {runs:,} finished runs; on an empty store"
        bench.row(what, as_ms(ours), as_ms(on_empty), as_ratio(ours / on_empty), "≤ 5 ms")


def bench_at(bench):
    if not bench.has("at"):
        return
    store = bench.store("at")
    bench.run(store, "queue", "set", "default", "--slots", str(os.cpu_count()))
    when = "now + 3 days"
    job = bench.store("job.sh")
    with open(job, "w") as f:
        f.write("true\n")
    known = set(subprocess.run(["atq"], capture_output=True, text=True).stdout.split("\n"))
    commands = [
        ([bench.taskq, "add", "--at", when, "--", "true"], bench.env(store)),
        (["at", "-f", job, when], dict(os.environ)),
    ]
    with bench.daemon(store):
        ours, theirs = in_turns(commands, 20 if bench.quick else 100)
    what = f"`taskq add --at '{when}'`; `at {when}`"
    bench.row(what, as_ms(ours), as_ms(theirs), as_ratio(ours / theirs), "")
    for line in subprocess.run(["atq"], capture_output=True, text=True).stdout.split("\n"):
        if line and line not in known:
            subprocess.run(["atrm", line.split("\t")[0]])


def bench_first_act(bench):
    """From before `taskq add` is started to the job's first act, beside the same act of `sh -c` directly."""
    store = bench.store("act")
    fifo = bench.store("fifo")
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    act = ["sh", "-c", f"echo > {fifo}"]

    def measure(words, env):
        start = time.perf_counter()
        pid = os.posix_spawn(shutil.which(words[0]), words, env, file_actions=QUIET)
        select.select([reader], [], [])
        took = (time.perf_counter() - start) * 1e3
        os.read(reader, 100)
        os.waitpid(pid, 0)
        return took

    bench.run(store, "queue", "set", "default", "--slots", str(os.cpu_count()))
    with bench.daemon(store):
        direct, ours = [], []
        for _ in range(20 if bench.quick else 100):
            direct.append(measure(act, dict(os.environ)))
            ours.append(measure([bench.taskq, "add", "--", *act], bench.env(store)))
            bench.run(store, "wait", "--all")
    ours, direct = statistics.median(ours), statistics.median(direct)
    what = "`taskq add` to the job's first act; `sh -c` directly"
    bench.row(what, as_ms(ours), as_ms(direct), f"+{as_ms(ours - direct)}", "≤ floor + 3 ms")
    os.close(reader)


def bench_throughput(bench):
    count, rounds = (500, 1) if bench.quick else (2000, 3)
    lines = '{"command":["true"]}\n' * count
    jobs = bench.store("jobs.jsonl")
    with open(jobs, "w") as f:
        f.write(lines)
    store = bench.store("rate")
    bench.run(store, "queue", "set", "default", "--slots", str(os.cpu_count()))
    tsp_env = {**os.environ, "TS_SOCKET": bench.store("tsp2.sock"), "TMPDIR": bench.tmp}
    tsp_env |= {"TS_SLOTS": "2", "TS_MAXFINISHED": "20000"}
    rates = {"xargs": [], "bulk": [], "each": [], "tsp": []}
    with bench.daemon(store, "--slots", "2"):
        for _ in range(rounds):
            def xargs():
                subprocess.run(f"seq {count} | xargs -P2 -n1 true", shell=True)

            def bulk():
                bench.run(store, "add", "--from", jobs)
                bench.run(store, "wait", "--all")

            def each():
                for _ in range(count):
                    spawn_ms([bench.taskq, "add", "--", "true"], bench.env(store))
                bench.run(store, "wait", "--all")

            def tsp():
                for _ in range(count):
                    spawn_ms(["tsp", "true"], tsp_env)
                left = "running"
                while "running" in left or "queued" in left:
                    time.sleep(0.01)
                    left = subprocess.run(["tsp", "-l"], env=tsp_env, capture_output=True, text=True).stdout

            rates["xargs"].append(timed(count, xargs))
            rates["bulk"].append(timed(count, bulk))
            rates["each"].append(timed(count, each))
            if bench.has("tsp"):
                rates["tsp"].append(timed(count, tsp))
                subprocess.run(["tsp", "-K"], env=tsp_env)
    best = {name: max(values) for name, values in rates.items() if values}

    def row(how, ours, theirs, budget):
        ratio = as_ratio(statistics.median(a / b for a, b in zip(rates[ours], rates[theirs])))
        what = f"{count:,} × `true`, 2 slots, {how}"
        bench.row(what, f"{best[ours]:.0f}/s", f"{best[theirs]:.0f}/s", ratio, budget)

    row("`add --from`; `xargs -P2 -n1 true`", "bulk", "xargs", "≥ 0.8 ×")
    if rates["tsp"]:
        row("one `add` each; `tsp`", "each", "tsp", "≥ 1.0 ×")


def bench_graphs(bench):
    """A chain of dependent jobs, and an array: how fast they are added, drained and cancelled."""
    chain, array, rounds = (500, 2_000, 1) if bench.quick else (10_000, 100_000, 1)
    store, lines = bench.store("graphs"), bench.store("chain.jsonl")
    with open(lines, "w") as f:
        f.write('{"command":["true"],"name":"c1"}\n')
        for n in range(2, chain + 1):
            f.write(f'{{"command":["true"],"name":"c{n}","after":"c{n - 1}"}}\n')
    one, many, cancel, rates = [], [], [], {"chain": [], "xargs1": [], "array": [], "xargs2": []}
    with bench.daemon(store, "--slots", "2"):
        for _ in range(rounds):
            def drain():
                bench.run(store, "add", "--from", lines)
                bench.run(store, "wait", f"c{chain}")

            def drain_array():
                bench.run(store, "wait", bench.run(store, "add", "--array", f"1-{array}", "true").strip())

            def xargs(slots, count):
                return lambda: subprocess.run(f"seq {count} | xargs -P{slots} -n1 true", shell=True)

            rates["xargs1"].append(timed(chain, xargs(1, chain)))
            rates["chain"].append(timed(chain, drain))
            rates["xargs2"].append(timed(array, xargs(2, array)))
            rates["array"].append(timed(array, drain_array))
        bench.run(store, "pause", "--queue", "default")
        for _ in range(9):
            env = bench.env(store)
            one.append(spawn_ms([bench.taskq, "add", "--", "true"], env))
            add = [bench.taskq, "add", "--name", "big", "--replace", "--array", f"1-{array}", "true"]
            many.append(spawn_ms(add, env))
            cancel.append(spawn_ms([bench.taskq, "cancel", "big"], env))

    def row(what, ours, theirs, budget):
        ratio = statistics.median(a / b for a, b in zip(rates[ours], rates[theirs]))
        best = [max(rates[name]) for name in (ours, theirs)]
        bench.row(what, f"{best[0]:.0f}/s", f"{best[1]:.0f}/s", as_ratio(ratio), budget)

    row(f"a chain of {chain:,} jobs by `--after`; `xargs -P1 -n1 true`", "chain", "xargs1", "≥ 0.4 ×")
    row(f"an array of {array:,} × `true`, 2 slots; `xargs -P2 -n1 true`", "array", "xargs2", "≥ 0.8 ×")
    one, many, cancel = (statistics.median(figures) for figures in (one, many, cancel))
    what = f"`taskq add --array 1-{array}`; `taskq add` of one job"
    bench.row(what, as_ms(many), as_ms(one), as_ratio(many / one), "the same")
    bench.row(f"`taskq cancel` of that array", as_ms(cancel), "", "", "< 100 ms")


def timed(count, act):
    start = time.perf_counter()
    act()
    return count / (time.perf_counter() - start)


def bench_burst(bench):
    """1,000 jobs due in one instant: how long until the last has a process, beside a loop of posix_spawn."""
    count = 200 if bench.quick else 1000
    loops, ours = [], []
    for number in range(1 if bench.quick else 3):
        store = bench.store(f"burst{number}")
        bench.run(store, "queue", "set", "default", "--slots", str(count))
        due = int(time.time()) + 6
        lines = "".join(json.dumps({"script": ":", "at": f"@{due}"}) + "\n" for _ in range(count))
        with bench.daemon(store):
            bench.run(store, "add", "--from", "-", input=lines.encode())
            time.sleep(max(0.0, due + 1.5 - time.time()))
            bench.run(store, "wait", "--all")
            runs = json.loads(bench.run(store, "runs", "--json", "-n", str(count)))["runs"]
            starts = [micros(run["started_at"]) for run in runs]
            ours.append((max(starts) - due * 1_000_000) / 1e6)
        sh, env = shutil.which("sh"), dict(os.environ)
        start = time.perf_counter()
        pids = [os.posix_spawn(sh, ["sh", "-c", ":"], env, file_actions=QUIET) for _ in range(count)]
        loops.append(time.perf_counter() - start)
        for pid in pids:
            os.waitpid(pid, 0)
    ratio = as_ratio(statistics.median(a / b for a, b in zip(ours, loops)))
    what = f"{count:,} `sh -c` due in one instant, the last one started; a loop of posix_spawn"
    bench.row(what, f"{statistics.median(ours):.2f} s", f"{statistics.median(loops):.2f} s", ratio, "≤ 1.2 ×")


def micros(text):
    head, _, fraction = text.rstrip("Z").partition(".")
    seconds = int(time.mktime(time.strptime(head, "%Y-%m-%dT%H:%M:%S"))) - time.timezone
    return seconds * 1_000_000 + int((fraction + "000000")[:6])


def bench_lateness_and_idle(bench):
    count = 10_000 if bench.quick else 100_000
    fires, idle = (5, 10) if bench.quick else (60, 60)
    store = bench.store("late")
    bench.run(store, "queue", "set", "default", "--slots", str(os.cpu_count()))
    with bench.daemon(store) as process:
        figures = [idle_figures(store, process, idle)]
        # Due next week or later, so that the fires measured are the probes' own.
        rng = random.Random(1)
        later = int(time.time()) + 7 * 86_400
        crons = (f"{rng.randrange(60)} {rng.randrange(24)} * * *" for _ in range(count))
        jobs = ({"command": ["true"], "cron": cron, "start": f"@{later}"} for cron in crons)
        lines = "".join(json.dumps(job) + "\n" for job in jobs)
        bench.run(store, "add", "--from", "-", input=lines.encode())
        figures.append(idle_figures(store, process, idle))
        due = int(time.time()) + 3
        lines = "".join(json.dumps({"command": ["true"], "at": f"@{due + i}"}) + "\n" for i in range(fires))
        bench.run(store, "add", "--from", "-", input=lines.encode())
        time.sleep(due + fires - time.time() + 0.5)
        runs = json.loads(bench.run(store, "runs", "--json", "-n", str(fires)))["runs"]
        late = sorted((micros(run["started_at"]) - micros(run["scheduled_at"])) / 1e3 for run in runs)
    p99 = late[min(len(late) - 1, int(len(late) * 0.99))]
    assert late[0] >= 0, "a fire was early"
    what = f"lateness of a fire, {count:,} scheduled jobs: median, p99"
    figure = f"{as_ms(statistics.median(late))}, {as_ms(p99)}"
    bench.row(what, figure, "systemd 10-24 ms", "", "≤ 2 ms, ≤ 5 ms")
    for (wakes, rss), jobs in zip(figures, (0, count)):
        what = f"idle with {jobs:,} jobs: wake-ups a minute; RSS of daemon + keeper"
        bench.row(what, f"{wakes:.0f}; {rss / 1024:.1f} MB", "`atd`: 0", "", "0; ≤ 12 MB")


def idle_figures(store, process, seconds):
    pids = [process.pid, *processes_of(store)]
    # Five seconds after the last commit the log is copied back, once.
    time.sleep(8)
    before = sum(map(switches, pids))
    time.sleep(seconds)
    wakes = (sum(map(switches, pids)) - before) * 60 / seconds
    return wakes, sum(int(field(pid, "VmRSS")) for pid in pids)


def switches(pid):
    return int(field(pid, "voluntary_ctxt_switches"))


def field(pid, name):
    with open(f"/proc/{pid}/status") as f:
        return next(line.split()[1] for line in f if line.startswith(name + ":"))


def bench_crontab(bench):
    """10,000 lines of a crontab, imported, imported again and given back; crontab(1) only checks them."""
    if not bench.has("crontab"):
        return
    lines = 2_000 if bench.quick else 10_000
    table = os.path.join(bench.tmp, "table")
    days = ("*", "1-5", "0", "sat,sun")
    with open(table, "w") as f:
        for line in range(lines):
            f.write(f"{line % 60} {line // 60 % 24} * * {days[line % 4]} /usr/local/bin/job-{line} --all\n")
    times = 3 if bench.quick else 9
    check = (["crontab", "-n", table], dict(os.environ))
    imported, checked = [], []
    for turn in range(times):
        store = bench.store(f"crontab-{turn}")
        imported.append(spawn_ms([bench.taskq, "import", "crontab", table], bench.env(store)))
        checked.append(spawn_ms(*check))
    ours, theirs = statistics.median(imported), statistics.median(checked)
    what = f"`taskq import crontab` of {lines:,} lines into jobs; `crontab -n`, which only checks them"
    bench.row(what, f"{ours:.0f} ms", f"{theirs:.1f} ms", f"{ours / theirs:.0f} ×", "≤ 1 s")
    (again,) = in_turns([([bench.taskq, "import", "crontab", table], bench.env(store))], times)
    bench.row("the same again, nothing changed", f"{again:.0f} ms", "", "", "≤ 1 s")
    store = bench.store("crontab")
    bench.run(store, "crontab", table)
    words = [([bench.taskq, "crontab", "-l"], bench.env(store)), (["cat", table], dict(os.environ))]
    ours, theirs = in_turns(words, times)
    given = subprocess.run(words[0][0], env=words[0][1], stdout=subprocess.PIPE, check=True).stdout
    with open(table, "rb") as f:
        assert given == f.read(), "taskq crontab -l gave other bytes back"
    what = "`taskq crontab -l` of them, byte for byte; floor: `cat`"
    bench.row(what, as_ms(ours), as_ms(theirs), f"+{as_ms(ours - theirs)}", "")


def bench_output(bench):
    """A flood of output into the log, beside the same through a pipe and cat(1)."""
    megabytes = 100 if bench.quick else 1_000
    store = bench.store("output")
    flood = ["head", "-c", f"{megabytes}000000", "/dev/zero"]
    ours, floor = [], []
    with bench.daemon(store):
        for _ in range(3):
            target = os.path.join(bench.tmp, "flood")
            floor.append(spawn_ms(["sh", "-c", f"{' '.join(flood)} | cat > {target}"], dict(os.environ)))
            os.unlink(target)
            begin = time.monotonic()
            run = bench.run(store, "add", "--log-limit", "2G", *flood).strip()
            bench.run(store, "wait", run)
            ours.append((time.monotonic() - begin) * 1_000)
            os.unlink(os.path.join(store, "log", f"{run}.1"))
        lines, kept, dropped = f"yes | head -c {megabytes}000000", [], []
        for _ in range(3):
            dropped.append(spawn_ms(["sh", "-c", f"{lines} | cat > /dev/null"], dict(os.environ)))
            begin = time.monotonic()
            run = bench.run(store, "add", "--log-limit", "1M", "-c", lines).strip()
            bench.run(store, "wait", run)
            kept.append((time.monotonic() - begin) * 1_000)
    ours, floor = megabytes / statistics.median(ours) * 1_000, megabytes / statistics.median(floor) * 1_000
    what = f"{megabytes:,} MB of output into the log; the same by cat(1) from a pipe"
    bench.row(what, f"{ours:.0f} MB/s", f"{floor:.0f} MB/s", f"{ours / floor:.2f} ×", "≥ 0.5 ×")
    kept, dropped = (megabytes / statistics.median(times) * 1_000 for times in (kept, dropped))
    what = f"{megabytes:,} MB under `--log-limit 1M`; `yes \\| head -c {megabytes}M \\| cat > /dev/null`"
    bench.row(what, f"{kept:.0f} MB/s", f"{dropped:.0f} MB/s", f"{kept / dropped:.2f} ×", "≥ 0.5 ×")


def machine():
    with open("/proc/cpuinfo") as f:
        models = [line.split(":")[1].strip() for line in f if line.startswith("model name")]
    model = models[0] if models else platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    date = time.strftime("%Y-%m-%d")
    return f"{model}, {os.cpu_count()} CPUs, {memory:.0f} GiB, Linux {platform.release()}, {date}"


def main():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--taskq", default=os.path.join(ROOT, "target/release/taskq"))
    parser.add_argument("--quick", action="store_true", help="smaller numbers, to try the script itself")
    parser.add_argument("--only", help="one measurement: its function's name without `bench_`")
    args = parser.parse_args()
    bench = Bench(args)
    os.environ["TZ"] = "UTC"
    time.tzset()
    # They take this file as a module, and so cannot be imported at its head.
    import events
    import executors
    import queues
    import requirements
    import sealing

    try:
        acts = (
            bench_enqueue, bench_at, bench_first_act, bench_throughput, bench_graphs,
            bench_output, bench_burst, bench_lateness_and_idle, bench_crontab,
            events.bench_events, queues.bench_queues, requirements.bench_requirements,
            executors.bench_executors, sealing.bench_sealing,
        )
        for act in acts:
            if args.only in (None, act.__name__.removeprefix("bench_")):
                act(bench)
    finally:
        shutil.rmtree(bench.tmp, ignore_errors=True)
    for peer in ("pueue", "hq"):
        bench.has(peer)
    print(f"{machine()}\n\n| what | taskq | floor or peer | ratio | budget |\n|---|---|---|---|---|")
    for row in bench.rows:
        print(f"| {' | '.join(row)} |")
    print(f"\nNot installed here: {', '.join(bench.missing) or 'none'}.")


if __name__ == "__main__":
    main()
