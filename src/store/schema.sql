-- Instants are microseconds since the epoch, UTC; spans are microseconds. No default calls a clock.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- An environment as NUL-ended `NAME=VALUE`, stored once however many jobs have it.
CREATE TABLE environment (
    id INTEGER PRIMARY KEY,
    hash INTEGER NOT NULL,
    vars BLOB NOT NULL
) STRICT;
CREATE INDEX environment_hash ON environment (hash);

CREATE TABLE queue (
    name TEXT PRIMARY KEY,
    slots INTEGER CHECK (slots >= 0),       -- NULL: one per CPU
    paused_at INTEGER,
    mean_run_us INTEGER CHECK (mean_run_us >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT,
    created_at INTEGER NOT NULL,
    command BLOB NOT NULL,                  -- argv, each argument ended by NUL; or the script
    is_script INTEGER NOT NULL CHECK (is_script IN (0, 1)),
    cwd BLOB NOT NULL,
    environment_id INTEGER NOT NULL REFERENCES environment (id),
    umask INTEGER NOT NULL CHECK (umask BETWEEN 0 AND 511),
    queue TEXT NOT NULL REFERENCES queue (name),
    priority INTEGER NOT NULL CHECK (priority BETWEEN -100 AND 100),
    overlap TEXT NOT NULL CHECK (overlap IN ('skip', 'wait', 'allow', 'replace')),
    missed TEXT NOT NULL CHECK (missed IN ('once', 'all', 'skip')),
    missed_within_us INTEGER CHECK (missed_within_us >= 0),
    grace_us INTEGER NOT NULL CHECK (grace_us >= 0),
    timeout_us INTEGER CHECK (timeout_us > 0),
    kill_after_us INTEGER NOT NULL CHECK (kill_after_us >= 0),
    start_at INTEGER,
    paused_at INTEGER,
    done_at INTEGER,
    runs INTEGER NOT NULL DEFAULT 0,        -- the number of its latest run
    request INTEGER                         -- random: which request of a client it was added by
) STRICT;
CREATE UNIQUE INDEX job_name ON job (name) WHERE name IS NOT NULL;

CREATE TABLE tag (
    job_id INTEGER NOT NULL REFERENCES job (id),
    tag TEXT NOT NULL,
    PRIMARY KEY (job_id, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_job ON tag (tag, job_id);

CREATE TABLE trigger (
    id INTEGER PRIMARY KEY,
    job_id INTEGER NOT NULL REFERENCES job (id),
    kind TEXT NOT NULL CHECK (kind IN ('at', 'cron', 'every')),
    expr TEXT,                              -- cron
    zone TEXT,                              -- cron; NULL: the system's, followed when it changes
    at INTEGER,                             -- at: the instant; every: the anchor
    period_us INTEGER CHECK (period_us > 0),
    next_at INTEGER,                        -- the first fire not yet accounted for; NULL: none
    held INTEGER NOT NULL CHECK (held IN (0, 1)),
    boot_id TEXT,                           -- @reboot: the boot it was last considered in
    CHECK ((kind = 'cron') = (expr IS NOT NULL)),
    CHECK ((kind = 'cron') = (at IS NULL)),
    CHECK ((kind = 'every') = (period_us IS NOT NULL))
) STRICT;
CREATE INDEX trigger_due ON trigger (held, next_at, job_id) WHERE next_at IS NOT NULL;
CREATE INDEX trigger_job ON trigger (job_id);
CREATE INDEX trigger_boot ON trigger (job_id) WHERE boot_id IS NOT NULL;

CREATE TABLE run (
    id INTEGER PRIMARY KEY,                 -- the order in which runs were made
    job_id INTEGER NOT NULL REFERENCES job (id),
    number INTEGER NOT NULL CHECK (number > 0),
    attempt INTEGER NOT NULL DEFAULT 1 CHECK (attempt > 0),
    trigger TEXT NOT NULL CHECK (trigger IN ('at', 'cron', 'every', 'manual')),
    trigger_id INTEGER,                     -- NULL: manual
    scheduled_at INTEGER NOT NULL,
    fires INTEGER NOT NULL DEFAULT 1 CHECK (fires > 0),     -- more than one: a stretch of fires found too late
    queue TEXT NOT NULL REFERENCES queue (name),
    priority INTEGER NOT NULL,
    is_serial INTEGER NOT NULL CHECK (is_serial IN (0, 1)), -- starts only while no other run of its job is claimed
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'finished')),
    held INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)),
    queued_at INTEGER NOT NULL,
    keeper INTEGER,                         -- claimed: the instance of the keeper that is told to start it
    claimed_at INTEGER,
    stop_at INTEGER,                        -- somebody wants it stopped
    stop_now INTEGER NOT NULL DEFAULT 0 CHECK (stop_now IN (0, 1)),
    stop_told INTEGER NOT NULL DEFAULT 0 CHECK (stop_told IN (0, 1)),
    pid INTEGER,
    started_at INTEGER,
    finished_at INTEGER,
    outcome TEXT CHECK (outcome IN
        ('success', 'failed', 'timed_out', 'cancelled', 'missed', 'skipped', 'spawn_failed', 'lost')),
    exit_code INTEGER,
    signal INTEGER,
    cause TEXT,                             -- why, where outcome and status do not say it
    user_us INTEGER,
    system_us INTEGER,
    max_rss_kib INTEGER,
    output_bytes INTEGER,
    CHECK ((state = 'finished') = (finished_at IS NOT NULL)),
    CHECK ((state = 'finished') = (outcome IS NOT NULL)),
    CHECK (state <> 'running' OR (keeper IS NOT NULL AND started_at IS NOT NULL AND pid IS NOT NULL)),
    CHECK (state <> 'queued' OR (started_at IS NULL AND pid IS NULL)),
    CHECK ((keeper IS NULL) = (claimed_at IS NULL)),
    CHECK (exit_code IS NULL OR signal IS NULL),
    CHECK (outcome <> 'success' OR exit_code = 0)
) STRICT;
CREATE UNIQUE INDEX run_number ON run (job_id, number);
CREATE UNIQUE INDEX run_fire ON run (job_id, trigger_id, scheduled_at) WHERE trigger_id IS NOT NULL;
CREATE INDEX run_waiting ON run (queue, priority DESC, id) WHERE state = 'queued' AND keeper IS NULL AND held = 0;
CREATE INDEX run_claimed ON run (queue, state) WHERE state <> 'finished' AND keeper IS NOT NULL;
CREATE INDEX run_unfinished ON run (job_id) WHERE state <> 'finished';
CREATE INDEX run_stopping ON run (id) WHERE state <> 'finished' AND stop_at IS NOT NULL AND stop_told = 0;
CREATE INDEX run_unsuccessful ON run (outcome, id) WHERE outcome <> 'success';

CREATE TABLE output (
    run_id INTEGER PRIMARY KEY REFERENCES run (id),
    data BLOB NOT NULL
) STRICT;

INSERT INTO queue (name) VALUES ('default');
