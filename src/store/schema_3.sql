-- Runs whose keeper is gone.

ALTER TABLE run ADD COLUMN has_pipe INTEGER NOT NULL DEFAULT 0 CHECK (has_pipe IN (0, 1));  -- claimed for a keeper that makes a pipe before each start
ALTER TABLE run ADD COLUMN is_unattended INTEGER NOT NULL DEFAULT 0 CHECK (is_unattended IN (0, 1));   -- another keeper started it than the one that watches it
