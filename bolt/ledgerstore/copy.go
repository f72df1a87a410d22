package ledgerstore

import (
	"context"
	"io"

	"github.com/countersign-mpc/countersign/bolt/boltfile"
)

// ErrHeld is wrapped by Open where another process, such as a server, has the file open.
var ErrHeld = boltfile.ErrHeld

// Copy writes the whole file, as it was at one moment, to the writer that to returns for its size in bytes: what Open opens,
// with all updates that had returned by then. Updates go on meanwhile; where one would have to wait for it, the copy fails
// with boltfile.ErrInTheWay and can be made again. The context that to gets is done when the copy is given up.
func (s *Store) Copy(ctx context.Context, to func(ctx context.Context, size int64) (io.Writer, error)) error {
	s.copies(+1) // from now on what lies in a track stays as it is
	defer s.copies(-1)
	return damage(s.file.Copy(ctx, to))
}

func (s *Store) copies(more int) {
	s.trackMu.Lock()
	defer s.trackMu.Unlock()
	s.copying += more
}
