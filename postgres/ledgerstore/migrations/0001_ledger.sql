-- The ledger's buckets: docs/FORMATS.md, postgres/ledgerstore.
CREATE TABLE kv (
    bucket text COLLATE "C" NOT NULL,
    key bytea NOT NULL,
    value bytea NOT NULL,
    sum bytea NOT NULL CHECK (octet_length(sum) = 16),
    PRIMARY KEY (bucket, key)
);
