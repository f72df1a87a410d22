package boltfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Config is what Open needs.
type Config struct {
	Path        string        // the file; made with mode 0600 if it is not there
	OpenTimeout time.Duration // how long to wait for a file that another process holds; 0: DefaultOpenTimeout

	// ReadOnly leaves the file as it is, byte for byte: it has to be there and of this Format, or of an earlier one that lacks no bucket,
	// and no transaction can write.
	ReadOnly bool

	Format  string   // what the version record says: the kind of the file and its version
	Buckets []string // the buckets that the file has; "store" is taken by the version record
	// Earlier has, for each Format of which all that it holds is read as it is, the buckets that it does not have. A file of it gets them,
	// and the new version record, in one commit.
	Earlier map[string][]string

	// Apart are those of Buckets in which each value lies on pages of its own. bbolt writes a page as a whole, and up to four
	// values of more than a page with every one that is put beside them.
	Apart []string
	// InPlace is the one of Buckets that holds spaces (File.Space) and nothing else; "": none.
	InPlace string

	// Place appends what a value's checksum covers before the value. It must differ for any two pairs of bucket and key.
	Place func(b []byte, bucket string, key []byte) []byte
}

// DefaultOpenTimeout is how long Open waits for another process to let go of the file.
const DefaultOpenTimeout = 3 * time.Second

// initialMap is how much address space is reserved at first, in bytes: a mapping that has to grow waits for readers.
const initialMap = 256 << 20

func (c *Config) validate() error {
	switch {
	case c.Path == "":
		return errors.New("a path is needed")
	case c.Format == "" || len(c.Buckets) == 0 || c.Place == nil:
		return errors.New("a format, buckets and their places are needed")
	case c.InPlace != "" && !slices.Contains(c.Buckets, c.InPlace):
		return fmt.Errorf("there is no bucket %q", c.InPlace)
	case slices.Contains(c.Buckets, bucketStore):
		return fmt.Errorf("the bucket %s is taken by the version record", bucketStore)
	}
	return nil
}

// Open opens or makes the file. It fails if another process holds it, if its version record says another format or if it is
// of something else, and with ErrDamaged if it is damaged as far as can be told without reading it whole. The error names
// the file and says what to do.
func Open(cfg Config) (*File, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.OpenTimeout == 0 {
		cfg.OpenTimeout = DefaultOpenTimeout
	}
	f := &File{path: cfg.Path, buckets: slices.Clone(cfg.Buckets), apart: slices.Clone(cfg.Apart), inPlace: cfg.InPlace, place: cfg.Place}
	_, err := os.Stat(cfg.Path)
	created := errors.Is(err, os.ErrNotExist)
	err = f.guard(func() error { return f.open(cfg) })
	if err == nil && created {
		err = syncDir(filepath.Dir(cfg.Path))
	}
	if err != nil {
		return nil, errors.Join(err, f.release())
	}
	return f, nil
}

func (f *File) open(cfg Config) error {
	db, err := bolt.Open(cfg.Path, 0o600, &bolt.Options{
		Timeout: cfg.OpenTimeout, FreelistType: bolt.FreelistMapType, InitialMmapSize: initialMap, NoStatistics: true, ReadOnly: cfg.ReadOnly, PreLoadFreelist: cfg.ReadOnly,
		OpenFile: func(path string, flags int, mode os.FileMode) (*os.File, error) {
			file, err := os.OpenFile(path, flags, mode)
			if f.direct == nil { // later ones are for copies
				f.direct = file
			}
			return file, err
		},
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%s: %w: stop that one, or give this one its own file", f.path, ErrHeld)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return f.damaged("it is not a bbolt file, or its start is damaged (%v); if its making was interrupted, remove it, else", err)
	case err != nil:
		return fmt.Errorf("%s: %w", f.path, err)
	}
	f.db = db
	if f.own, err = f.direct.Stat(); err != nil {
		return err
	}
	if !cfg.ReadOnly {
		// What a killed process has written may be in memory alone. It is read here as if it were on disk, so it has to be.
		if err := db.Sync(); err != nil {
			return fmt.Errorf("sync %s: %w", f.path, err)
		}
	}
	if err := f.openThrough(cfg); err != nil {
		return err
	}
	if err := f.checkStart(db.Info().PageSize); err != nil {
		return err
	}
	if err := f.checkSize(); err != nil {
		return err
	}
	whole := false
	err = db.View(func(tx *bolt.Tx) (err error) {
		whole, err = f.checkVersion(tx, cfg)
		return err
	})
	if err != nil || whole {
		return err
	}
	if cfg.ReadOnly {
		return fmt.Errorf("%s: it is empty or of an earlier version, and only read here: let the program that keeps it open it once, or a copy of it", f.path)
	}
	if err := db.Update(func(tx *bolt.Tx) error { return f.create(tx, cfg.Format) }); err != nil {
		return fmt.Errorf("%s: make its buckets: %w", f.path, err)
	}
	return nil
}

// openThrough opens the file once more, for what is written in place and synced at once.
func (f *File) openThrough(cfg Config) (err error) {
	if cfg.ReadOnly || cfg.InPlace == "" {
		return nil
	}
	if f.through, err = os.OpenFile(cfg.Path, os.O_WRONLY|throughFlag, 0); err != nil {
		return err
	}
	other, err := f.through.Stat()
	if err == nil && !os.SameFile(f.own, other) {
		err = fmt.Errorf("%s: another file has come to its place: nothing was written to it; open it again", f.path)
	}
	return err
}

// checkSize finds a file that was cut off, before anything beyond its end is read.
func (f *File) checkSize() error {
	size, err := f.size()
	if err != nil {
		return err
	}
	return f.db.View(func(tx *bolt.Tx) error {
		if size < tx.Size() {
			return f.damaged("it was cut off, to %d bytes of %d", size, tx.Size())
		}
		return nil
	})
}

// The version is kept in a bucket of its own, with the checksum that every value has.
const bucketStore = "store"

var keyFormat = []byte("format")

// newFile is the transaction at which bbolt makes a file; the first commit is the one after.
const newFile = 1

// checkVersion refuses a file that is of another version or of something else, and reports whether it has all that it
// needs: not if it is new and empty, or of an earlier version.
func (f *File) checkVersion(tx *bolt.Tx, cfg Config) (whole bool, err error) {
	b := tx.Bucket([]byte(bucketStore))
	if b == nil {
		if k, _ := tx.Cursor().First(); k != nil {
			return false, fmt.Errorf("%s: it is a bbolt file of something else: give another path", f.path)
		}
		if tx.ID() > newFile { // a file that lost everything must not pass for one in which nothing was stored
			return false, f.damaged("it was written and holds nothing")
		}
		return false, nil
	}
	found, err := (&Tx{f: f}).unseal(bucketStore, keyFormat, b.Get(keyFormat))
	if err != nil {
		return false, err
	}
	added, earlier := cfg.Earlier[string(found)]
	if !earlier && string(found) != cfg.Format {
		return false, fmt.Errorf("%s: it holds %q, and this program reads %q: use the program that wrote it", f.path, found, cfg.Format)
	}
	for _, name := range f.buckets {
		if tx.Bucket([]byte(name)) == nil && !slices.Contains(added, name) {
			return false, f.damaged("the bucket %s is missing", name)
		}
	}
	return !earlier || cfg.ReadOnly && len(added) == 0, nil
}

// create makes the buckets that are not there, and the version record.
func (f *File) create(tx *bolt.Tx, format string) error {
	for _, name := range f.buckets {
		if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
			return err
		}
	}
	b, err := tx.CreateBucketIfNotExists([]byte(bucketStore))
	if err != nil {
		return err
	}
	return b.Put(keyFormat, (&Tx{f: f}).seal(bucketStore, keyFormat, []byte(format)))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
