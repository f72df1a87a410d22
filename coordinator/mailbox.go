package coordinator

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/wire"
)

// errMailboxFull says that a node has too much that it has not taken.
var errMailboxFull = errors.New("mailbox is full")

// mail puts a frame of a session into a node's mailbox, where it stays until the node acknowledges it or the session ends.
func (s *step) mail(to wire.NodeID, session string, frame *linkv1.Frame) error {
	data, err := stored(frame)
	if err != nil {
		return err
	}
	box, err := get[mailbox](s, TableMailboxes, string(to))
	if err != nil {
		return err
	}
	if box == nil {
		box = &mailbox{Next: 1}
	}
	if box.Frames+1 > s.c.limits.MailboxFrames || box.Bytes+len(data) > s.c.limits.MailboxBytes {
		return errMailboxFull
	}
	position := box.Next
	box.Next, box.Frames, box.Bytes = box.Next+1, box.Frames+1, box.Bytes+len(data)
	if err := s.Put(TableMail, mailKey(to, position), encodeLetter(session, data)); err != nil {
		return fmt.Errorf("store message: %w", err)
	}
	if err := s.Put(TableMailIndex, mailIndexKey(session, to, position), []byte{entryVersion}); err != nil {
		return fmt.Errorf("store message: %w", err)
	}
	s.mailed[to] = true
	return put(s, TableMailboxes, string(to), box)
}

// A letter is: version (1), length of the session id (1), session id, frame.
func encodeLetter(session string, frame []byte) []byte {
	out := make([]byte, 0, 2+len(session)+len(frame))
	out = append(out, entryVersion, byte(len(session)))
	out = append(out, session...)
	return append(out, frame...)
}

func decodeLetter(b []byte) (session string, frame []byte, err error) {
	if len(b) < 2 || b[0] != entryVersion || len(b) < 2+int(b[1]) {
		return "", nil, fmt.Errorf("record %s: %w", TableMail, ErrCorrupt)
	}
	return string(b[2 : 2+int(b[1])]), b[2+int(b[1]):], nil
}

// Letters gives the frames in the node's mailbox behind a position, in order: at most limit, and no more than about 4 MiB.
func (p *Peer) Letters(ctx context.Context, after uint64, limit int) ([]Delivery, error) {
	const maxBytes = 4 << 20
	var out []Delivery
	err := p.c.view(ctx, func(s *step) error {
		out = nil
		size := 0
		prefix := prefixOf(string(p.node))
		return s.Scan(TableMail, prefix, mailKey(p.node, after+1), func(key string, value []byte) (bool, error) {
			position, err := strconv.ParseUint(key[len(prefix):], 16, 64)
			if err != nil {
				return false, fmt.Errorf("record %s: %w (key of unknown form)", TableMail, ErrCorrupt)
			}
			_, data, err := decodeLetter(value)
			if err != nil {
				return false, err
			}
			frame := new(linkv1.Frame)
			if err := proto.Unmarshal(data, frame); err != nil {
				return false, fmt.Errorf("record %s: %w (%v)", TableMail, ErrCorrupt, err)
			}
			out = append(out, Delivery{Frame: frame, Receipt: Receipt{Position: position}})
			size += len(data)
			return len(out) >= limit || size >= maxBytes, nil
		})
	})
	return out, err
}

// takenLetter forgets a letter that its node has acknowledged.
func (s *step) takenLetter(node wire.NodeID, position uint64) error {
	data, err := s.Get(TableMail, mailKey(node, position))
	if err != nil {
		return fmt.Errorf("read message: %w", err)
	}
	if data == nil {
		return nil // its session is over
	}
	session, frame, err := decodeLetter(data)
	if err != nil {
		return err
	}
	return s.dropLetter(session, node, position, len(frame))
}

func (s *step) dropLetter(session string, node wire.NodeID, position uint64, size int) error {
	box, err := must[mailbox](s, TableMailboxes, string(node))
	if err != nil {
		return err
	}
	box.Frames, box.Bytes = box.Frames-1, box.Bytes-size
	if err := s.Delete(TableMail, mailKey(node, position)); err != nil {
		return fmt.Errorf("delete message: %w", err)
	}
	if err := s.Delete(TableMailIndex, mailIndexKey(session, node, position)); err != nil {
		return fmt.Errorf("delete message: %w", err)
	}
	return put(s, TableMailboxes, string(node), box)
}

// dropMail forgets what nobody has taken of a session that is over.
func (s *step) dropMail(session string) error {
	prefix := prefixOf(session)
	keys, err := s.keys(TableMailIndex, prefix, 0)
	if err != nil {
		return err
	}
	for _, key := range keys {
		node, position, ok := strings.Cut(key[len(prefix):], separator)
		n, err := strconv.ParseUint(position, 16, 64)
		if !ok || err != nil {
			return fmt.Errorf("record %s: %w (key of unknown form)", TableMailIndex, ErrCorrupt)
		}
		if err := s.takenLetter(wire.NodeID(node), n); err != nil {
			return err
		}
	}
	return nil
}
