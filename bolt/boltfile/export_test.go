package boltfile

// Failed judges an error of a commit before which the file had size bytes.
func (f *File) Failed(err error, size int64) error { return f.failed(err, size) }
