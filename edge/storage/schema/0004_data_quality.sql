-- What each day's data were like (edge/ledger/data_quality.py).
CREATE TABLE data_quality (
    day BIGINT NOT NULL,
    messages BIGINT NOT NULL,
    events BIGINT NOT NULL,
    admitted BIGINT NOT NULL,
    duplicates BIGINT NOT NULL,
    late BIGINT NOT NULL,
    dead_letters BIGINT NOT NULL,
    dead TEXT NOT NULL,
    impossible TEXT NOT NULL,
    untimed BIGINT NOT NULL,
    gaps BIGINT NOT NULL,
    silences TEXT NOT NULL,
    sources TEXT NOT NULL,
    unseen SMALLINT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (day)
);
CREATE INDEX data_quality_changed ON data_quality (changed);
