-- From this version on long entries are stored packed (docs/FORMATS.md, ledger), which a server of a version before takes for damage: the
-- number of this version is what keeps it from being started over them, and one that runs from deciding.
COMMENT ON TABLE kv IS 'Countersign ledger: buckets of keys and values, some of them packed (docs/FORMATS.md, postgres/ledgerstore)';
