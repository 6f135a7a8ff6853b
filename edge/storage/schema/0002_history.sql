-- engine: sqlite
-- What each day's close left for the trainer: feature rows and exact day measures, packed. A file of
-- its own for imported history, a table of the local store for the shop's own.
CREATE TABLE history (
    entity TEXT NOT NULL,  -- class, item, factor, basket, pair
    day INTEGER NOT NULL,  -- local day that closed, counted from 1970-01-01
    chunk INTEGER NOT NULL,
    n INTEGER NOT NULL,  -- rows in the chunk
    catalogue TEXT NOT NULL,  -- hash of the feature catalogue
    codec INTEGER NOT NULL,
    blob BLOB NOT NULL,
    PRIMARY KEY (entity, day, chunk)
);
