package auditlog

// Report is what a verification found.
type Report struct {
	Size        int64     // entries
	Removed     int64     // entries of which only the hash is kept
	Checkpoints int       // stored checkpoints that verify
	Covered     int64     // entries below the newest of them
	Problems    []Problem // nil: the log is whole
}

// Problem is one thing that is not as it was written.
type Problem struct {
	Index  int64  // the entry, or the first of those concerned
	End    int64  // one past the last entry concerned
	Detail string // what is wrong
}

// OK reports whether nothing was found.
func (r Report) OK() bool { return len(r.Problems) == 0 }
