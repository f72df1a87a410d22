package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// The content of a policy may be megabytes, and everything that is decided behind a transaction with so much waits for it. So it is
// stored in pieces, each in a transaction of its own, before the one that makes it active, which only refers to them. What is being
// stored stands in metaStaged, so that pieces that nothing came of are removed by the next.

// pieceSize is how long a piece of a policy's content is, in bytes; the last one may be shorter. What is no longer than one is
// stored with the rest.
const pieceSize = 64 << 10

const (
	revisionPieces = "CSLV\x02" // then the number of the activation, the content's hash and its length
	pieceMagic     = "CSLW\x01" // then the piece
)

// pieceMark begins the keys of pieces in bucketRevision; no revision begins with it.
const pieceMark = 0

var metaStaged = []byte("staged") // pieces

// pieces are those of one content of one policy.
type pieces struct {
	revision string
	content  Hash
	length   uint32
}

func (p pieces) count() int { return (int(p.length) + pieceSize - 1) / pieceSize }

// key is that of a piece: no two contents share one, so that each can be removed without a look at the others.
func (p pieces) key(i int) []byte {
	b := make([]byte, 0, 2+len(p.revision)+len(p.content)+4)
	b = append(append(b, pieceMark, byte(len(p.revision))), p.revision...)
	return binary.BigEndian.AppendUint32(append(b, p.content[:]...), uint32(i))
}

// isPiece reports whether a key of bucketRevision is that of a piece.
func isPiece(key []byte) bool {
	return len(key) > 2 && key[0] == pieceMark && len(key) == 2+int(key[1])+len(Hash{})+4
}

// of is a piece of a content as it is stored.
func (p pieces) of(content []byte, i int) []byte {
	return append([]byte(pieceMagic), content[i*pieceSize:min((i+1)*pieceSize, len(content))]...)
}

// read puts the content together. Whether it is the right one is for who knows the log to say.
func (p pieces) read(r Reader) ([]byte, error) {
	out := make([]byte, 0, min(int(p.length), MaxPolicy))
	for i := range p.count() {
		v, err := r.Get(bucketRevision, p.key(i))
		if err != nil {
			return nil, err
		}
		piece, found := bytes.CutPrefix(v, []byte(pieceMagic))
		if !found || len(piece) > pieceSize {
			return nil, fmt.Errorf("%w: piece %d of the stored policy %s is missing or of another format", ErrDamaged, i, p.revision)
		}
		out = append(out, piece...)
	}
	if len(out) != int(p.length) {
		return nil, fmt.Errorf("%w: the stored policy %s has %d bytes, not %d", ErrDamaged, p.revision, len(out), p.length)
	}
	return out, nil
}

// complete puts the pieces that are not there. All are, unless another server has begun to store a policy meanwhile.
func (p pieces) complete(tx Tx, content []byte) error {
	for i := range p.count() {
		piece := p.of(content, i)
		v, err := tx.Get(bucketRevision, p.key(i))
		if err != nil {
			return err
		}
		if bytes.Equal(v, piece) {
			continue
		}
		if err := tx.Put(bucketRevision, p.key(i), piece); err != nil {
			return err
		}
	}
	return nil
}

func (p pieces) encode(e *encoder) {
	e.hash(p.content)
	e.u32(p.length)
}

func (d *decoder) pieces(revision string) pieces {
	p := pieces{revision: revision, content: d.hash(), length: d.u32()}
	if p.length > MaxPolicy {
		d.fail("it is too long")
		p.length = 0
	}
	return p
}

// staged is what is being stored; nil: nothing.
func staged(r Reader) (*pieces, error) {
	v, err := getMeta(r, metaStaged)
	if err != nil || v == nil {
		return nil, err
	}
	d := decoder{b: v}
	p := d.pieces(d.str())
	return &p, d.done("which policy is being stored")
}

// stage stores the content of a change in pieces, before the change is made. It returns nil for one that needs none: it is short,
// stored already, or no change.
func (l *Ledger) stage(ctx context.Context, c *Change) (*pieces, error) {
	if len(c.Content) <= pieceSize {
		return nil, nil
	}
	p := &pieces{c.Revision, sha256.Sum256(c.Content), uint32(len(c.Content))}
	needed := false
	err := l.update(ctx, func(tx Tx) error {
		active, err := getActive(tx)
		if err != nil {
			return err
		}
		v, err := tx.Get(bucketRevision, []byte(c.Revision))
		if needed = v == nil && active.Number == c.Base; err != nil || !needed {
			return err
		}
		before, err := staged(tx)
		if err == nil && before != nil {
			err = before.remove(tx)
		}
		if err != nil {
			return err
		}
		var e encoder
		e.str(p.revision)
		p.encode(&e)
		return putMeta(tx, metaStaged, e.b)
	})
	if err != nil || !needed {
		return nil, err
	}
	for i := range p.count() {
		piece := p.of(c.Content, i)
		if err := l.update(ctx, func(tx Tx) error { return p.put(tx, i, piece) }); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// put stores a piece, unless another server stores a policy now: if this change came to nothing, nobody would know of the piece. If it
// is made, complete puts it.
func (p pieces) put(tx Tx, i int, piece []byte) error {
	now, err := staged(tx)
	if err != nil || now == nil || *now != p {
		return err
	}
	return tx.Put(bucketRevision, p.key(i), piece)
}

// remove removes the pieces, unless a stored policy refers to them.
func (p pieces) remove(tx Tx) error {
	h, err := headOf(tx, p.revision)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if err == nil && h.pieces != nil && *h.pieces == p {
		return nil
	}
	for i := range p.count() {
		if err := tx.Delete(bucketRevision, p.key(i)); err != nil {
			return err
		}
	}
	return nil
}

// ended notes that the pieces are stored no more, or have come to nothing, unless another server stores a policy now.
func (p pieces) ended(tx Tx) error {
	now, err := staged(tx)
	if err != nil || now == nil || *now != p {
		return err
	}
	return tx.Delete(bucketMeta, metaStaged)
}

// forgetTime bounds the removal of pieces that came to nothing: who asked for the change waits for it.
const forgetTime = 5 * time.Second

// forget removes pieces of a change that was not made, whether its time is over or not. Where that fails, the next change does it.
func (l *Ledger) forget(ctx context.Context, p *pieces) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), forgetTime)
	defer cancel()
	_ = l.update(ctx, func(tx Tx) error {
		if err := p.remove(tx); err != nil {
			return err
		}
		return p.ended(tx)
	})
}
