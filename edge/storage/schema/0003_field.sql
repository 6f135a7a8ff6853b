-- engine: sqlite
-- What models said at each day's close, until what happened is known; and how good it was.

CREATE TABLE field_kept (
    service TEXT NOT NULL,
    version TEXT NOT NULL,
    role TEXT NOT NULL,  -- shown, beside, or rule: the simple rule on the same rows
    day INTEGER NOT NULL,  -- the local day that closed, counted from 1970-01-01
    until_day INTEGER NOT NULL,  -- the last day that any of its questions waits for
    blob BLOB NOT NULL,
    PRIMARY KEY (service, version, role, day)
);

CREATE TABLE field_score (
    service TEXT NOT NULL,
    version TEXT NOT NULL,
    role TEXT NOT NULL,
    question TEXT NOT NULL,
    horizon_days INTEGER NOT NULL,
    day INTEGER NOT NULL,
    scores TEXT NOT NULL,  -- JSON sums
    PRIMARY KEY (service, version, role, question, day)
) WITHOUT ROWID;

-- The same by class, all days together.
CREATE TABLE field_class (
    service TEXT NOT NULL,
    version TEXT NOT NULL,
    question TEXT NOT NULL,
    class TEXT NOT NULL,
    n INTEGER NOT NULL,
    error REAL NOT NULL,
    absolute_error REAL NOT NULL,
    absolute_actual REAL NOT NULL,
    covered INTEGER NOT NULL,
    PRIMARY KEY (service, version, question, class)
) WITHOUT ROWID;
