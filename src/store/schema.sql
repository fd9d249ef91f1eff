-- Instants are microseconds since the epoch, UTC; spans are microseconds. No default calls a clock.
-- The lists of words are those of the whole command line, also for rows that no code makes yet. A CHECK has
-- them with OR: for IN with three words or more, each statement would make a table of them and search it.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The keys of what is sealed here; without a row, nothing is. The newest one seals. A column that says
-- `sealed` has cells of `seal`, each bound to the column and the key of its row (of runs, job and number).
-- Rows with sealed cells whose id is no AUTOINCREMENT get random ids.
CREATE TABLE data_key (
    id INTEGER NOT NULL CHECK (id > 0),
    wrapped_by BLOB NOT NULL,               -- the fingerprint of the user's key, which is not in the store
    wrapped BLOB NOT NULL,
    made_at INTEGER NOT NULL,
    PRIMARY KEY (id, wrapped_by)
) STRICT, WITHOUT ROWID;

-- An environment, each `NAME=VALUE` ended by NUL. All jobs with the same one share the row.
CREATE TABLE environment (
    id INTEGER PRIMARY KEY,
    hash INTEGER NOT NULL,
    vars BLOB NOT NULL                      -- sealed
) STRICT;
CREATE INDEX environment_hash ON environment (hash);

CREATE TABLE queue (
    name TEXT PRIMARY KEY,
    slots INTEGER CHECK (slots >= 0),       -- NULL: one per CPU
    paused_at INTEGER,
    ordering TEXT NOT NULL DEFAULT 'fifo'
        CHECK (ordering = 'fifo' OR ordering = 'shortest' OR ordering = 'deadline'),
    aging_us INTEGER DEFAULT 60000000 CHECK (aging_us >= 0),    -- a point of priority is worth it; NULL: all
    is_reordered INTEGER NOT NULL DEFAULT 0 CHECK (is_reordered IN (0, 1)),  -- since the last turn
    mean_run_us INTEGER CHECK (mean_run_us >= 0)
) STRICT, WITHOUT ROWID;

-- A countable thing that runs book. `cpu` and `mem` are there without a row, as the machine has them.
CREATE TABLE resource (
    name TEXT PRIMARY KEY,
    capacity INTEGER NOT NULL CHECK (capacity >= 0)
) STRICT, WITHOUT ROWID;

-- Where runs can run besides this machine.
CREATE TABLE executor (
    name TEXT PRIMARY KEY,
    data TEXT NOT NULL                      -- `domain::Executor` as JSON
) STRICT, WITHOUT ROWID;

-- A host of an executor that did not answer when it was asked last.
CREATE TABLE unreachable (
    executor TEXT NOT NULL REFERENCES executor (name),
    host TEXT NOT NULL,
    since INTEGER NOT NULL,
    cause TEXT NOT NULL,
    PRIMARY KEY (executor, host)
) STRICT, WITHOUT ROWID;

-- An attempt of which a host still has the data, although its end is recorded.
CREATE TABLE leftover (
    job_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    executor TEXT NOT NULL,
    host TEXT NOT NULL,
    PRIMARY KEY (job_id, number, attempt)
) STRICT, WITHOUT ROWID;

-- What a run requires besides a slot. All jobs with the same requirement share the row.
CREATE TABLE requirement (
    id INTEGER PRIMARY KEY CHECK (id > 0),  -- 0 in other tables: none
    data ANY NOT NULL,                      -- `domain::Requirement` as JSON; sealed, if it has a script
    job_id INTEGER NOT NULL,                -- 0: of any job; a script is that of one job
    UNIQUE (data, job_id)
) STRICT;

CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT,
    holds_name INTEGER NOT NULL DEFAULT 1 CHECK (holds_name IN (0, 1)),     -- 0: a later job took the name
    created_at INTEGER NOT NULL,
    command BLOB NOT NULL,                  -- argv, each argument ended by NUL; or the script; sealed
    command_hash INTEGER NOT NULL,
    is_script INTEGER NOT NULL CHECK (is_script IN (0, 1)),
    cwd BLOB NOT NULL,
    cwd_optional INTEGER NOT NULL DEFAULT 0 CHECK (cwd_optional IN (0, 1)),   -- start in `/` if it is missing
    environment_id INTEGER NOT NULL REFERENCES environment (id),
    env_file BLOB,                          -- more variables, read at each start
    umask INTEGER NOT NULL CHECK (umask BETWEEN 0 AND 511),
    nice INTEGER CHECK (nice BETWEEN -20 AND 19),           -- NULL: the daemon's
    stdin_path BLOB,                        -- opened at each start
    stdin_text BLOB CHECK (stdin_text IS NULL OR stdin_path IS NULL),       -- sealed
    user TEXT,                              -- NULL: the daemon's
    queue TEXT NOT NULL REFERENCES queue (name),
    priority INTEGER NOT NULL CHECK (priority BETWEEN -100 AND 100),
    expect_us INTEGER CHECK (expect_us > 0),        -- how long a run takes, until that is learnt
    finish_by_us INTEGER CHECK (finish_by_us > 0),  -- after its time, for a queue by deadline
    requirement_id INTEGER NOT NULL DEFAULT 0,
    enforce INTEGER NOT NULL DEFAULT 0 CHECK (enforce IN (0, 1)),   -- of what is booked, cpu and mem
    array_first INTEGER CHECK (array_first >= 0),   -- NULL: it makes one run at each fire
    array_last INTEGER CHECK (array_last >= array_first),
    array_step INTEGER CHECK (array_step > 0),
    array_at_once INTEGER CHECK (array_at_once > 0),    -- NULL: as many as the queue has slots for
    has_items INTEGER NOT NULL DEFAULT 0 CHECK (has_items IN (0, 1)),
    after_any INTEGER NOT NULL DEFAULT 0 CHECK (after_any IN (0, 1)),       -- one dependency is enough
    all_of INTEGER NOT NULL DEFAULT 0 CHECK (all_of IN (0, 1)),     -- each event trigger fires before a run
    overlap TEXT                            -- NULL: by the kind of trigger
        CHECK (overlap = 'skip' OR overlap = 'wait' OR overlap = 'allow' OR overlap = 'replace'),
    missed TEXT NOT NULL CHECK (missed = 'once' OR missed = 'all' OR missed = 'skip'),
    missed_within_us INTEGER CHECK (missed_within_us >= 0),
    grace_us INTEGER NOT NULL CHECK (grace_us >= 0),
    timeout_us INTEGER CHECK (timeout_us > 0),
    kill_after_us INTEGER NOT NULL CHECK (kill_after_us >= 0),
    start_by_us INTEGER CHECK (start_by_us > 0),    -- a run still queued after so long is missed
    retries INTEGER NOT NULL DEFAULT 0 CHECK (retries >= 0),
    retry_delay_us INTEGER NOT NULL CHECK (retry_delay_us >= 0),
    retry_delay_max_us INTEGER NOT NULL CHECK (retry_delay_max_us >= retry_delay_us),
    retry_on TEXT,                          -- NULL: every failure
    times INTEGER CHECK (times > 0),        -- it fires until so many of its runs have begun; NULL: always
    begun INTEGER NOT NULL DEFAULT 0 CHECK (begun >= 0),    -- counted only with `times`
    nth INTEGER CHECK (nth BETWEEN 1 AND 1000),             -- one in so many fires runs; NULL: each
    passed INTEGER NOT NULL DEFAULT 0 CHECK (passed BETWEEN 0 AND ifnull(nth, 1) - 1),  -- fires since one ran
    start_at INTEGER,
    until_at INTEGER,
    jitter_us INTEGER CHECK (jitter_us > 0),                        -- the delay of its triggers is below it
    on_success BLOB,                        -- callbacks: scripts for sh; sealed
    on_failure BLOB,                        -- sealed
    on_finish BLOB,                         -- sealed
    log_limit INTEGER NOT NULL CHECK (log_limit >= 4096),   -- bytes of output that are kept
    split_output INTEGER NOT NULL DEFAULT 0 CHECK (split_output IN (0, 1)),
    mail_to TEXT,
    mail_when TEXT CHECK (mail_when = 'failed' OR mail_when = 'output' OR mail_when = 'always'),
    mail_format TEXT CHECK (mail_format = 'taskq' OR mail_format = 'debian' OR mail_format = 'cronie'),
    gathered INTEGER REFERENCES bundle (id),        -- events that have fired, and wait for a run
    self_runs INTEGER NOT NULL DEFAULT 0 CHECK (self_runs >= 0),    -- in a row, each caused by the one before
    self_since INTEGER,                     -- when the first of these was made
    rest_us INTEGER NOT NULL DEFAULT 0 CHECK (rest_us >= 0),        -- its latest rest in this row
    rests_until INTEGER,
    paused_at INTEGER,
    done_at INTEGER,
    runs INTEGER NOT NULL DEFAULT 0,        -- the number of the latest run
    succeeded_at INTEGER,                   -- the last success that is no longer in the run log
    request INTEGER,                        -- random: the client's request that added it
    CHECK ((mail_to IS NULL) = (mail_when IS NULL) AND (mail_to IS NULL) = (mail_format IS NULL))
) STRICT;
-- The latest jobs that are done with the same command.
CREATE INDEX job_command ON job (command_hash, done_at) WHERE done_at IS NOT NULL;
-- Jobs that say how long their runs take.
CREATE INDEX job_expect ON job (id) WHERE expect_us IS NOT NULL AND done_at IS NULL;
CREATE INDEX job_requirement ON job (requirement_id) WHERE requirement_id <> 0;
CREATE INDEX job_priority ON job (id, priority) WHERE priority <> 0;
CREATE INDEX job_nth ON job (id) WHERE nth IS NOT NULL;
CREATE INDEX job_rest ON job (rests_until) WHERE rests_until IS NOT NULL;
CREATE INDEX job_until ON job (until_at) WHERE until_at IS NOT NULL AND done_at IS NULL;
CREATE INDEX job_environment ON job (environment_id);
-- One job holds a name. Others that had it before keep it for their history.
CREATE UNIQUE INDEX job_name ON job (name, iif(holds_name, 0, id)) WHERE name IS NOT NULL;

CREATE TABLE tag (
    job_id INTEGER NOT NULL REFERENCES job (id),
    tag TEXT NOT NULL,
    PRIMARY KEY (job_id, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_job ON tag (tag, job_id);

-- The item of an index, of a job with `has_items`.
CREATE TABLE item (
    job_id INTEGER NOT NULL REFERENCES job (id),
    array_index INTEGER NOT NULL,
    data BLOB NOT NULL,                     -- sealed
    PRIMARY KEY (job_id, array_index)
) STRICT, WITHOUT ROWID;

-- A run of `job_id` waits for a run of another job, which is looked up by name or id at each decision.
CREATE TABLE dependency (
    job_id INTEGER NOT NULL REFERENCES job (id),
    place INTEGER NOT NULL,                 -- in the order in which they were given
    on_id INTEGER,
    on_name TEXT,
    condition TEXT NOT NULL CHECK (condition = 'success' OR condition = 'failed' OR condition = 'done'),
    gives_stdin INTEGER NOT NULL DEFAULT 0 CHECK (gives_stdin IN (0, 1)),   -- its output is the stdin
    PRIMARY KEY (job_id, place),
    CHECK ((on_id IS NULL) <> (on_name IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX dependency_id ON dependency (on_id, job_id) WHERE on_id IS NOT NULL;
CREATE INDEX dependency_name ON dependency (on_name, job_id) WHERE on_name IS NOT NULL;

-- Events that belong together: those of a run, or those that a trigger has counted for its next fire.
CREATE TABLE bundle (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id INTEGER NOT NULL REFERENCES job (id),
    count INTEGER NOT NULL CHECK (count >= 0),      -- events, with those that have no row
    places INTEGER NOT NULL CHECK (places >= 0),    -- rows that were ever added
    depth INTEGER NOT NULL CHECK (depth >= 0),      -- the longest chain of runs that led to one of them
    first_at INTEGER,                       -- the first of the events that count
    last_at INTEGER,
    CHECK ((first_at IS NULL) = (count = 0) AND (last_at IS NULL) = (count = 0))
) STRICT;
CREATE INDEX bundle_job ON bundle (job_id);

-- An event, or several that came at once. Of a long bundle, the first rows and the last ones are here.
CREATE TABLE occurrence (
    id INTEGER PRIMARY KEY,
    bundle_id INTEGER NOT NULL REFERENCES bundle (id),
    place INTEGER NOT NULL CHECK (place > 0),
    at INTEGER NOT NULL,
    kind TEXT NOT NULL
        CHECK (kind = 'path' OR kind = 'job' OR kind = 'emit' OR kind = 'stream' OR kind = 'state'),
    -- What happened to what: the event, the run, the path, the state; of `stream`, its script.
    name ANY NOT NULL,                      -- of `stream`, sealed
    data ANY,                               -- JSON; sealed, except of `job`, where it has names and outcomes
    count INTEGER NOT NULL CHECK (count > 0)
) STRICT;
CREATE UNIQUE INDEX occurrence_place ON occurrence (bundle_id, place);

CREATE TABLE trigger (
    id INTEGER PRIMARY KEY AUTOINCREMENT,   -- runs name it: a replaced trigger must not be taken for another
    job_id INTEGER NOT NULL REFERENCES job (id),
    kind TEXT NOT NULL CHECK (kind = 'at' OR kind = 'cron' OR kind = 'calendar' OR kind = 'every' OR
        kind = 'path' OR kind = 'job' OR kind = 'emit' OR kind = 'stream' OR kind = 'state'),
    expr TEXT,                              -- cron
    zone TEXT,                              -- cron; NULL: the system's, also when it changes
    delay_us INTEGER NOT NULL DEFAULT 0 CHECK (delay_us >= 0),      -- each fire is so much later
    at INTEGER,                             -- at: the instant; every: the anchor, if it has one
    period_us INTEGER CHECK (period_us > 0),
    next_at INTEGER,                        -- the first fire not yet accounted for; NULL: none
    held INTEGER NOT NULL CHECK (held IN (0, 1)),
    boot_id TEXT,                           -- @reboot: the boot of the last fire, or of the add
    event ANY,              -- an event trigger: `domain::EventTrigger` as JSON; of `stream`, sealed
    event_key TEXT,                         -- the word by which an event finds it; NULL: each is compared
    listens INTEGER CHECK (listens IN (0, 1)),      -- an event trigger. 0: it fires no more
    counting INTEGER REFERENCES bundle (id),        -- the events that count towards its next fire
    timeout_at INTEGER,                     -- it fires then, unless an event comes first
    has_fired INTEGER NOT NULL DEFAULT 0 CHECK (has_fired IN (0, 1)),   -- since the last run, with `all_of`
    is_watched INTEGER NOT NULL DEFAULT 0 CHECK (is_watched IN (0, 1)), -- a path: `path_mark` has its files
    is_stale INTEGER NOT NULL DEFAULT 0 CHECK (is_stale IN (0, 1)),     -- a path: it is to be looked at again
    -- every, after the end of a run: 1 while it waits for that end. NULL: every other trigger.
    awaits_end INTEGER CHECK (awaits_end IN (0, 1)),
    CHECK (kind <> 'cron' OR expr IS NOT NULL),
    CHECK (kind <> 'at' OR at IS NOT NULL),
    CHECK (kind IN ('at', 'every') OR at IS NULL),
    CHECK (kind <> 'every' OR (at IS NULL) = (awaits_end IS NOT NULL)),
    CHECK (kind = 'every' OR awaits_end IS NULL),
    CHECK (awaits_end IS NULL OR awaits_end = 0 OR next_at IS NULL),
    CHECK ((kind = 'every') = (period_us IS NOT NULL)),
    CHECK ((kind = 'path' OR kind = 'job' OR kind = 'emit' OR kind = 'stream' OR kind = 'state')
        = (event IS NOT NULL)),
    CHECK ((event IS NULL) = (listens IS NULL)),
    CHECK (event IS NULL OR (next_at IS NULL AND delay_us = 0)),
    CHECK (listens = 1 OR (counting IS NULL AND timeout_at IS NULL AND has_fired = 0))
) STRICT;
CREATE INDEX trigger_event ON trigger (kind, event_key) WHERE listens IS NOT NULL AND listens = 1;
CREATE INDEX trigger_listening ON trigger (job_id) WHERE listens IS NOT NULL AND listens = 1;
CREATE INDEX trigger_stale ON trigger (id) WHERE is_stale = 1;
CREATE INDEX trigger_timeout ON trigger (timeout_at) WHERE timeout_at IS NOT NULL AND held = 0;
CREATE INDEX trigger_due ON trigger (held, next_at, job_id) WHERE next_at IS NOT NULL;
CREATE INDEX trigger_job ON trigger (job_id);
CREATE INDEX trigger_after_end ON trigger (job_id) WHERE awaits_end IS NOT NULL;
CREATE INDEX trigger_boot ON trigger (job_id) WHERE boot_id IS NOT NULL;

-- A file of a path trigger, when it was looked at last.
CREATE TABLE path_mark (
    trigger_id INTEGER NOT NULL REFERENCES trigger (id),
    name BLOB NOT NULL,
    inode INTEGER NOT NULL,
    size INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    base INTEGER NOT NULL,                  -- bytes or lines that were reported
    lines INTEGER NOT NULL,
    PRIMARY KEY (trigger_id, name)
) STRICT, WITHOUT ROWID;

-- A fire of a job with an array. Its indices become runs as they start; `array_rest` has those that have not.
CREATE TABLE array (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id INTEGER NOT NULL REFERENCES job (id),
    trigger TEXT NOT NULL,
    trigger_id INTEGER,                     -- NULL: manual
    scheduled_at INTEGER NOT NULL,
    place INTEGER NOT NULL,                 -- the newest run when it was made, behind which it waits
    queue TEXT NOT NULL,                    -- it may be removed when nothing waits there
    rank INTEGER NOT NULL,
    requirement_id INTEGER NOT NULL DEFAULT 0,      -- that of its job
    at_once INTEGER CHECK (at_once > 0),    -- the most claimed runs of its job; NULL: any number
    held INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)),
    is_counted INTEGER NOT NULL DEFAULT 0 CHECK (is_counted IN (0, 1)),     -- in `job.begun`
    queued_at INTEGER NOT NULL,
    start_by INTEGER,                       -- from then on, the indices without a run are missed
    awaits INTEGER NOT NULL DEFAULT 0 CHECK (awaits BETWEEN 0 AND 2),     -- as of a run
    after_runs TEXT,
    bundle_id INTEGER REFERENCES bundle (id),       -- as of a run; its runs have none of their own
    total INTEGER NOT NULL CHECK (total > 0),       -- indices
    rest INTEGER NOT NULL CHECK (rest BETWEEN 0 AND total),         -- indices without a run
    succeeded INTEGER NOT NULL DEFAULT 0 CHECK (succeeded >= 0),
    failed INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0),
    cancelled INTEGER NOT NULL DEFAULT 0 CHECK (cancelled >= 0),
    missed INTEGER NOT NULL DEFAULT 0 CHECK (missed >= 0),
    -- Of a retry: the ends of the other indices, which it leaves as they are.
    kept_succeeded INTEGER NOT NULL DEFAULT 0 CHECK (kept_succeeded >= 0),
    kept_failed INTEGER NOT NULL DEFAULT 0 CHECK (kept_failed >= 0),
    kept_cancelled INTEGER NOT NULL DEFAULT 0 CHECK (kept_cancelled >= 0),
    kept_missed INTEGER NOT NULL DEFAULT 0 CHECK (kept_missed >= 0),
    finished_at INTEGER,
    outcome TEXT CHECK (outcome = 'success' OR outcome = 'failed' OR outcome = 'cancelled' OR
        outcome = 'skipped' OR outcome = 'missed'),
    CHECK ((finished_at IS NULL) = (outcome IS NULL)),
    CHECK (finished_at IS NULL OR rest = 0),
    CHECK (awaits = 0 OR rest = total),
    CHECK (succeeded + failed + cancelled + missed + rest <= total)
) STRICT;
CREATE UNIQUE INDEX array_fire ON array (job_id, trigger_id, scheduled_at)
    WHERE trigger_id IS NOT NULL AND trigger IN ('at', 'cron', 'calendar', 'every');
CREATE INDEX array_bundle ON array (bundle_id) WHERE bundle_id IS NOT NULL;
CREATE INDEX array_job ON array (job_id, scheduled_at);
CREATE INDEX array_unfinished ON array (job_id, rest) WHERE finished_at IS NULL;
CREATE INDEX array_waiting ON array (queue, rank, place, id) WHERE rest > 0 AND held = 0 AND awaits = 0;
CREATE INDEX array_awaiting ON array (id) WHERE awaits = 2;
CREATE INDEX array_start_by ON array (start_by) WHERE rest > 0 AND start_by IS NOT NULL;

-- The indices of an array without a run: `first`, and on in steps up to `last`.
CREATE TABLE array_rest (
    array_id INTEGER NOT NULL REFERENCES array (id),
    first INTEGER NOT NULL,
    last INTEGER NOT NULL CHECK (last >= first),
    step INTEGER NOT NULL CHECK (step > 0),
    PRIMARY KEY (array_id, first)
) STRICT, WITHOUT ROWID;

-- The run of a fire. The columns of an attempt (process, exit status, usage) are those of the latest one.
CREATE TABLE run (
    id INTEGER PRIMARY KEY AUTOINCREMENT,   -- the order in which runs were made; `wait` counts on it
    job_id INTEGER NOT NULL REFERENCES job (id),
    number INTEGER NOT NULL CHECK (number > 0),
    attempt INTEGER NOT NULL DEFAULT 1 CHECK (attempt > 0),
    trigger TEXT NOT NULL CHECK (trigger = 'at' OR trigger = 'cron' OR trigger = 'calendar' OR
        trigger = 'every' OR trigger = 'path' OR trigger = 'job' OR trigger = 'emit' OR trigger = 'stream' OR
        trigger = 'state' OR trigger = 'manual' OR trigger = 'retry' OR trigger = 'callback'),
    trigger_id INTEGER,                     -- NULL: manual
    scheduled_at INTEGER NOT NULL,
    bundle_id INTEGER REFERENCES bundle (id),       -- the events that it is for; NULL: none
    callback TEXT CHECK (callback = 'success' OR callback = 'failure' OR callback = 'finish'),
    parent_number INTEGER,                  -- of a callback: the run of its job that ended; NULL: an array
    parent_array INTEGER,
    array_id INTEGER REFERENCES array (id),
    array_index INTEGER CHECK (array_index >= 0),   -- NULL with `array_id`: dropped, `fires` of them
    fires INTEGER NOT NULL DEFAULT 1 CHECK (fires > 0),     -- the number of fires in a stretch of missed ones
    queue TEXT NOT NULL,                    -- it may be removed when nothing waits there
    rank INTEGER NOT NULL,                  -- the queue starts the lowest first
    requirement_id INTEGER NOT NULL DEFAULT 0,      -- that of its job; of a callback, none
    share TEXT,                             -- `domain::Share` as JSON: what it has booked; NULL: nothing
    at_once INTEGER CHECK (at_once > 0),    -- the most claimed runs of its job; NULL: any number
    state TEXT NOT NULL
        CHECK (state = 'queued' OR state = 'running' OR state = 'retrying' OR state = 'finished'),
    held INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)),
    is_counted INTEGER NOT NULL DEFAULT 0 CHECK (is_counted IN (0, 1)),     -- in `job.begun`
    queued_at INTEGER NOT NULL,
    start_by INTEGER,                       -- queued for its first attempt: from then on it is missed
    -- 1: it waits for runs of other jobs. 2: the same, and one of them may have ended.
    awaits INTEGER NOT NULL DEFAULT 0 CHECK (awaits BETWEEN 0 AND 2),
    after_runs TEXT,                        -- the runs that it waited for, as in `12.1 13.4`
    not_before INTEGER,                     -- retrying: no start before then
    -- Claimed: the instance of the keeper that is to start it; 0: the host is, of an executor.
    keeper INTEGER,
    claimed_at INTEGER,
    executor TEXT,                          -- claimed for a host: where it runs, or has run
    host TEXT,
    far_note TEXT,                          -- what the host says of a run that has not started
    is_unattended INTEGER NOT NULL DEFAULT 0 CHECK (is_unattended IN (0, 1)),   -- its own keeper is gone
    stop_at INTEGER,                        -- a stop was requested
    stop_now INTEGER NOT NULL DEFAULT 0 CHECK (stop_now IN (0, 1)),
    stop_sent INTEGER NOT NULL DEFAULT 0 CHECK (stop_sent IN (0, 1)),
    paused_at INTEGER,                      -- claimed: its processes are to get STOP
    pause_sent INTEGER NOT NULL DEFAULT 1 CHECK (pause_sent IN (0, 1)),     -- 0: STOP, or CONT, is to be sent
    pid INTEGER,
    started_at INTEGER,
    finished_at INTEGER,
    outcome TEXT CHECK (outcome = 'success' OR outcome = 'failed' OR outcome = 'timed_out' OR
        outcome = 'cancelled' OR outcome = 'missed' OR outcome = 'skipped' OR outcome = 'spawn_failed' OR
        outcome = 'lost'),
    exit_code INTEGER,
    signal INTEGER,
    cause ANY,      -- why, where outcome and status do not explain it; of `spawn_failed`, sealed
    user_us INTEGER,
    system_us INTEGER,
    max_rss_kib INTEGER,
    output_bytes INTEGER,
    is_split INTEGER NOT NULL DEFAULT 0 CHECK (is_split IN (0, 1)),     -- claimed: its stderr is apart
    stderr_bytes INTEGER,
    result ANY,                             -- JSON, what it wrote to `TASKQ_RESULT_FILE`; sealed
    is_output_pruned INTEGER NOT NULL DEFAULT 0 CHECK (is_output_pruned IN (0, 1)),     -- of all attempts
    CHECK (is_output_pruned = 0 OR state = 'finished'),
    CHECK ((state = 'finished') = (finished_at IS NOT NULL)),
    CHECK ((state = 'finished') = (outcome IS NOT NULL)),
    CHECK (state <> 'running' OR (keeper IS NOT NULL AND started_at IS NOT NULL)),
    CHECK (state <> 'running' OR pid IS NOT NULL OR keeper = 0),
    CHECK ((executor IS NULL) = (host IS NULL)),
    CHECK (keeper IS NULL OR (keeper = 0) = (executor IS NOT NULL)),
    CHECK (state NOT IN ('queued', 'retrying') OR (started_at IS NULL AND pid IS NULL)),
    CHECK (state <> 'retrying' OR (attempt > 1 AND keeper IS NULL)),
    CHECK ((state = 'retrying') = (not_before IS NOT NULL)),
    CHECK ((keeper IS NULL) = (claimed_at IS NULL)),
    CHECK (awaits = 0 OR (state = 'queued' AND keeper IS NULL)),
    CHECK (paused_at IS NULL OR keeper IS NOT NULL),
    CHECK (share IS NULL OR keeper IS NOT NULL),
    CHECK (exit_code IS NULL OR signal IS NULL),
    CHECK (outcome <> 'success' OR exit_code = 0),
    CHECK ((trigger = 'callback') = (callback IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX run_number ON run (job_id, number);
-- An instant fires once. A bundle has one run, and those of its retries.
CREATE UNIQUE INDEX run_fire ON run (job_id, trigger_id, scheduled_at)
    WHERE trigger_id IS NOT NULL AND array_id IS NULL AND trigger IN ('at', 'cron', 'calendar', 'every');
CREATE UNIQUE INDEX run_bundle ON run (bundle_id, trigger_id) WHERE bundle_id IS NOT NULL;
CREATE INDEX run_waiting ON run (queue, requirement_id, rank, id)
    WHERE state = 'queued' AND keeper IS NULL AND held = 0 AND awaits = 0;
CREATE INDEX run_booked ON run (id) WHERE state <> 'finished' AND share IS NOT NULL;
CREATE INDEX run_awaiting ON run (id) WHERE awaits = 2;
CREATE INDEX run_start_by ON run (start_by)
    WHERE state = 'queued' AND keeper IS NULL AND attempt = 1 AND start_by IS NOT NULL;
CREATE INDEX run_retrying ON run (not_before) WHERE state = 'retrying' AND held = 0;
CREATE INDEX run_claimed ON run (queue, state) WHERE state <> 'finished' AND keeper IS NOT NULL;
CREATE INDEX run_far ON run (executor, host) WHERE state <> 'finished' AND executor IS NOT NULL;
CREATE INDEX run_unfinished ON run (job_id) WHERE state <> 'finished';
CREATE INDEX run_stopping ON run (id) WHERE state <> 'finished' AND stop_at IS NOT NULL AND stop_sent = 0;
CREATE INDEX run_index ON run (job_id, array_index, number) WHERE array_index IS NOT NULL;
CREATE UNIQUE INDEX run_array ON run (array_id, array_index) WHERE array_id IS NOT NULL;
CREATE INDEX run_pausing ON run (id) WHERE state = 'running' AND pause_sent = 0;
CREATE INDEX run_unsuccessful ON run (outcome, id) WHERE outcome <> 'success';
CREATE INDEX run_failure ON run (job_id, number)
    WHERE outcome IN ('failed', 'timed_out', 'spawn_failed', 'lost') AND callback IS NULL;

-- When a trigger of `overdue` or `silent` looks at a run. A run between two attempts has only those that have
-- told that it is overdue, and a finished one has none.
CREATE TABLE run_timer (
    trigger_id INTEGER NOT NULL REFERENCES trigger (id),
    run_id INTEGER NOT NULL REFERENCES run (id),
    span_us INTEGER NOT NULL CHECK (span_us >= 0),
    at INTEGER,                             -- NULL: it has told that the run is overdue
    quiet_since INTEGER,                    -- silent: the last output, or the start; NULL: overdue
    written_at INTEGER,                     -- silent: the time of the output files at the last look
    is_told INTEGER NOT NULL DEFAULT 0 CHECK (is_told IN (0, 1)),   -- silent: this silence
    PRIMARY KEY (trigger_id, run_id),
    CHECK (quiet_since IS NOT NULL OR (written_at IS NULL AND is_told = 0)),
    CHECK (at IS NOT NULL OR quiet_since IS NULL)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_timer_due ON run_timer (at) WHERE at IS NOT NULL;
CREATE INDEX run_timer_run ON run_timer (run_id);

-- The earlier attempts of a run. Most runs have one attempt, and no row here. The outputs are those of the
-- attempt, if they are short; those of the latest attempt are in the table `output`.
CREATE TABLE attempt (
    run_id INTEGER NOT NULL REFERENCES run (id),
    number INTEGER NOT NULL CHECK (number > 0),
    pid INTEGER,
    started_at INTEGER,
    finished_at INTEGER NOT NULL,
    outcome TEXT NOT NULL
        CHECK (outcome = 'failed' OR outcome = 'timed_out' OR outcome = 'spawn_failed' OR outcome = 'lost'),
    exit_code INTEGER,
    signal INTEGER,
    cause ANY,                              -- as of a run; sealed in the same way
    user_us INTEGER,
    system_us INTEGER,
    max_rss_kib INTEGER,
    output_bytes INTEGER,
    output BLOB,                            -- sealed
    output_times BLOB,
    is_split INTEGER NOT NULL DEFAULT 0 CHECK (is_split IN (0, 1)),
    stderr_bytes INTEGER,
    stderr BLOB,                            -- sealed
    stderr_times BLOB,
    PRIMARY KEY (run_id, number),
    CHECK (exit_code IS NULL OR signal IS NULL)
) STRICT, WITHOUT ROWID;

-- Both outputs of a run, if it has two and both are short.
CREATE TABLE output (
    run_id INTEGER PRIMARY KEY REFERENCES run (id),
    data BLOB NOT NULL,                     -- sealed
    times BLOB,                             -- when its bytes were written; NULL: at the start of the attempt
    stderr BLOB,                            -- NULL: it is in `data`; sealed
    stderr_times BLOB
) STRICT;

-- The runs that are no longer in the run log, so that their number never goes down. Callbacks do not count.
CREATE TABLE forgotten (
    queue TEXT NOT NULL,
    outcome TEXT NOT NULL,
    run_time_max_us INTEGER NOT NULL,       -- the bound of the bucket of their run times; -1: none
    lateness_max_us INTEGER NOT NULL,       -- the same of their lateness
    runs INTEGER NOT NULL CHECK (runs > 0), -- with all fires of a stretch of missed ones
    run_time_us INTEGER NOT NULL CHECK (run_time_us >= 0),          -- the sum
    lateness_us INTEGER NOT NULL CHECK (lateness_us >= 0),          -- the sum
    PRIMARY KEY (queue, outcome, run_time_max_us, lateness_max_us)
) STRICT, WITHOUT ROWID;

-- The mail about a run, from the commit of its end until sendmail(8) has accepted it. A failed one stays.
CREATE TABLE mail (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL UNIQUE REFERENCES run (id),
    queued_at INTEGER NOT NULL,
    user TEXT NOT NULL,                     -- of the job; empty: the daemon's
    keeper INTEGER,                         -- claimed: the instance of the keeper that is to send it
    failed TEXT,                            -- why it was not sent
    CHECK (failed IS NULL OR keeper IS NULL)
) STRICT;
CREATE INDEX mail_unsent ON mail (user, id) WHERE failed IS NULL;

-- The events of one transaction, or of a part of a long one. Their ids are first_id and those after it; an id
-- is never used again, so the latest row stays. `data` is described in `store::events`.
CREATE TABLE event (
    first_id INTEGER PRIMARY KEY CHECK (first_id > 0),
    at INTEGER NOT NULL,
    count INTEGER NOT NULL CHECK (count > 0),
    data BLOB NOT NULL
) STRICT;

-- An imported crontab, byte for byte.
CREATE TABLE crontab (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL UNIQUE,            -- the absolute path of the file; empty: the table of crontab(1)
    origin TEXT NOT NULL CHECK (origin IN ('debian', 'cronie')),
    text BLOB NOT NULL                      -- sealed
) STRICT;

-- The line of an imported job.
CREATE TABLE crontab_entry (
    job_id INTEGER PRIMARY KEY REFERENCES job (id),
    crontab_id INTEGER NOT NULL REFERENCES crontab (id),
    line INTEGER NOT NULL CHECK (line > 0), -- from 1
    text BLOB NOT NULL                      -- sealed
) STRICT;
CREATE INDEX crontab_entry_line ON crontab_entry (crontab_id, line);

-- The place that a job was imported from, if not a crontab.
CREATE TABLE imported (
    job_id INTEGER PRIMARY KEY REFERENCES job (id),
    source TEXT NOT NULL,                   -- at, systemd, or the absolute path of an anacrontab
    item TEXT NOT NULL,                     -- at's job and its time, anacron's id, systemd's timer
    basis TEXT NOT NULL,                    -- what its triggers were made of
    UNIQUE (source, item)
) STRICT;

-- The file that a job was applied from last.
CREATE TABLE applied (
    job_id INTEGER PRIMARY KEY REFERENCES job (id),
    source BLOB NOT NULL,                   -- the absolute path of the file
    name TEXT NOT NULL                      -- in the file
) STRICT;
CREATE INDEX applied_source ON applied (source, name);

INSERT INTO queue (name) VALUES ('default');
