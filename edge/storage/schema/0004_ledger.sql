-- engine: sqlite
-- Rows of the ledger that were deleted, for whoever copies them. A row's key is a JSON array.
CREATE TABLE gone (
    table_name VARCHAR(64) NOT NULL,
    row_key VARCHAR(700) NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (table_name, row_key)
);
CREATE INDEX gone_changed ON gone (changed);
