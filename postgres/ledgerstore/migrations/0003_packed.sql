-- From this version on entries are stored packed (docs/FORMATS.md, ledger), which a server of a version before cannot read: the number
-- of this version is what keeps it from writing over them.
COMMENT ON TABLE kv IS 'Countersign ledger: buckets of keys and values, some of them packed (docs/FORMATS.md, postgres/ledgerstore)';
