-- Standard input, another user, mail; delayed triggers; where a job of a crontab stands in it.

ALTER TABLE job ADD COLUMN stdin_path BLOB;                 -- opened at each start
ALTER TABLE job ADD COLUMN stdin_text BLOB CHECK (stdin_text IS NULL OR stdin_path IS NULL);
ALTER TABLE job ADD COLUMN cwd_optional INTEGER NOT NULL DEFAULT 0 CHECK (cwd_optional IN (0, 1));  -- else '/'
ALTER TABLE job ADD COLUMN user TEXT;                       -- NULL: whose daemon it is
ALTER TABLE job ADD COLUMN mail_to TEXT;
ALTER TABLE job ADD COLUMN mail_when TEXT CHECK (mail_when IN ('failure', 'output', 'always'));
ALTER TABLE job ADD COLUMN mail_format TEXT CHECK (mail_format IN ('taskq', 'debian', 'cronie'))
    CHECK ((mail_to IS NULL) = (mail_when IS NULL) AND (mail_to IS NULL) = (mail_format IS NULL));

ALTER TABLE trigger ADD COLUMN delay_us INTEGER NOT NULL DEFAULT 0 CHECK (delay_us >= 0);   -- cron

-- The mail about a run, from the commit of its end until sendmail(8) has taken it. One that could not be sent
-- stays.
CREATE TABLE mail (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL UNIQUE REFERENCES run (id),
    queued_at INTEGER NOT NULL,
    user TEXT NOT NULL,                     -- whose job it was; empty: whose daemon it is
    keeper INTEGER,                         -- claimed: the instance of the keeper that is told to send it
    failed TEXT,                            -- why it was not sent
    CHECK (failed IS NULL OR keeper IS NULL)
) STRICT;
CREATE INDEX mail_unsent ON mail (user, id) WHERE failed IS NULL;

-- A crontab as it was read, byte for byte.
CREATE TABLE crontab (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL UNIQUE,            -- the file's absolute path; empty: the table of crontab(1)
    origin TEXT NOT NULL CHECK (origin IN ('debian', 'cronie')),
    text BLOB NOT NULL
) STRICT;

-- The line that a job stands for.
CREATE TABLE crontab_entry (
    job_id INTEGER PRIMARY KEY REFERENCES job (id),
    crontab_id INTEGER NOT NULL REFERENCES crontab (id),
    line INTEGER NOT NULL CHECK (line > 0), -- from 1
    text BLOB NOT NULL
) STRICT;
CREATE INDEX crontab_entry_line ON crontab_entry (crontab_id, line);
