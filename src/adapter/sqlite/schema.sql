-- Schema 1. A run and its entries only ever grow: the triggers refuse everything else, REPLACE included
-- (it would delete without firing a delete trigger, so a row that is there already is refused before the insert).

CREATE TABLE runs (
    id       INTEGER PRIMARY KEY,
    run      TEXT NOT NULL UNIQUE,
    platform TEXT NOT NULL,
    service  TEXT NOT NULL
) STRICT;

CREATE TRIGGER runs_are_new BEFORE INSERT ON runs
WHEN EXISTS (SELECT 1 FROM runs WHERE id = NEW.id OR run = NEW.run)
BEGIN SELECT RAISE(ABORT, 'runs are append-only'); END;
CREATE TRIGGER runs_stay BEFORE UPDATE ON runs
BEGIN SELECT RAISE(ABORT, 'runs are append-only'); END;
CREATE TRIGGER runs_are_kept BEFORE DELETE ON runs
BEGIN SELECT RAISE(ABORT, 'runs are append-only'); END;

-- Without a rowid, so that (run, seq) is the only key a REPLACE could meet.
CREATE TABLE entries (
    run            TEXT    NOT NULL REFERENCES runs (run),
    seq            INTEGER NOT NULL CHECK (seq >= 1),
    epoch          INTEGER NOT NULL CHECK (epoch >= 0),
    prev           TEXT    NOT NULL CHECK (length(prev) = 64),
    wall           TEXT    NOT NULL,
    boot           INTEGER NOT NULL,
    boot_id        TEXT    NOT NULL,
    store          TEXT    NOT NULL,
    actor_id       TEXT    NOT NULL,
    actor_strength TEXT    NOT NULL,
    actor_client   TEXT    NOT NULL,
    kind           TEXT    NOT NULL,
    step           TEXT,
    body           TEXT    NOT NULL,
    hash           TEXT    NOT NULL CHECK (length(hash) = 64),
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

-- How a run stands is the type of its last run.* entry.
CREATE INDEX entries_of_state ON entries (run, seq) WHERE kind GLOB 'run.*';

CREATE TRIGGER entries_go_on BEFORE INSERT ON entries
WHEN NEW.seq <> 1 + COALESCE((SELECT max(seq) FROM entries WHERE run = NEW.run), 0)
BEGIN SELECT RAISE(ABORT, 'entries are append-only: this seq is not the next one'); END;
CREATE TRIGGER entries_stay BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entries_are_kept BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;

-- One driver's seat for each platform and service. `change` counts writes: an observer starts his own count-down anew
-- when it differs. The process columns say which process holds the seat; NULL where the system does not tell.
CREATE TABLE seats (
    platform        TEXT    NOT NULL,
    service         TEXT    NOT NULL,
    run             TEXT    NOT NULL,
    epoch           INTEGER NOT NULL CHECK (epoch >= 1),
    held            INTEGER NOT NULL CHECK (held IN (0, 1)),
    change          INTEGER NOT NULL,
    holder_id       TEXT    NOT NULL,
    holder_strength TEXT    NOT NULL,
    holder_client   TEXT    NOT NULL,
    session         TEXT    NOT NULL,
    host            TEXT    NOT NULL,
    pid             INTEGER NOT NULL,
    machine_boot    TEXT,
    pid_space       TEXT,
    pid_start       INTEGER,
    since           TEXT    NOT NULL,
    renewed         TEXT    NOT NULL,
    PRIMARY KEY (platform, service)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER seats_are_new BEFORE INSERT ON seats
WHEN EXISTS (SELECT 1 FROM seats WHERE platform = NEW.platform AND service = NEW.service)
BEGIN SELECT RAISE(ABORT, 'a seat is updated, never replaced'); END;
CREATE TRIGGER seats_never_go_back BEFORE UPDATE ON seats
WHEN NEW.epoch < OLD.epoch OR NEW.platform <> OLD.platform OR NEW.service <> OLD.service
BEGIN SELECT RAISE(ABORT, 'an epoch only grows'); END;
CREATE TRIGGER seats_are_kept BEFORE DELETE ON seats
BEGIN SELECT RAISE(ABORT, 'an epoch outlives its runs'); END;
