-- engine: sqlite
-- The journal in the one file of the local store. Times are epoch milliseconds, UTC.

-- The truth: one row a commit. seq counts commits from 1, "first" is the ordinal of the row's first
-- message, n how many it holds. last_arrival_ms, session and effects_seq are running values (the
-- newest known when the row was written), so that the last row alone says where the journal ends;
-- keeping effects_seq here saves the write of a page of meta in every commit.
CREATE TABLE batch (
    seq INTEGER PRIMARY KEY,
    first INTEGER NOT NULL,
    beat_ms INTEGER NOT NULL,
    n INTEGER NOT NULL,
    last_arrival_ms INTEGER NOT NULL,
    session INTEGER NOT NULL,
    effects_seq INTEGER NOT NULL,
    codec INTEGER NOT NULL,
    blob BLOB NOT NULL
);

-- effects_seq when effects were written without a batch; the larger of this and the last row's counts.
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('effects_seq', 0);

-- What follows is derived from the batches up to effects_seq, and stays when they are trimmed.

CREATE TABLE dead_letter (
    ordinal INTEGER NOT NULL,
    idx INTEGER NOT NULL,  -- of the event inside the message; -1: the whole message
    arrival_ms INTEGER NOT NULL,
    topic TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (ordinal, idx)
);

-- Clustered by item: the story of one item is read from neighbouring pages.
CREATE TABLE timeline (
    epc TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (epc, at_ms, ordinal, idx)
) WITHOUT ROWID;

-- to_ms 0: still open; the row that closes it carries the same ordinal and reader.
CREATE TABLE gap (
    ordinal INTEGER NOT NULL,
    reader TEXT NOT NULL,
    from_ms INTEGER NOT NULL,
    to_ms INTEGER NOT NULL,
    reason TEXT NOT NULL,
    lost_events INTEGER NOT NULL,
    PRIMARY KEY (ordinal, reader, reason)
) WITHOUT ROWID;
