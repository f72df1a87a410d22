-- From this version on every server decides by the policy that the ledger says is active, and by this database's clock. A server
-- of a version before knows neither, and must not write any more: the number of this version is what keeps it from that.
COMMENT ON TABLE kv IS 'Countersign ledger: buckets of keys and values (docs/FORMATS.md, postgres/ledgerstore)';
