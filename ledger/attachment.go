package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Attachment returns what was kept beside a decision (Verdict.Attachment): ErrNotFound if there is no such decision or
// nothing was, ErrExpired if retention has removed it, ErrDamaged if it is not what the log says.
func (l *Ledger) Attachment(ctx context.Context, decision string) ([]byte, error) {
	name, err := parseID(decision)
	if err != nil {
		return nil, fmt.Errorf("read an attachment: %w", err)
	}
	var out []byte
	err = l.view(ctx, func(r Reader) error {
		index, e, err := getEntry(r, name)
		if err != nil {
			return err
		}
		if e.Decision == nil || e.Decision.Attachment == nil {
			return fmt.Errorf("attachment of %s: %w", name, ErrNotFound)
		}
		out, err = attachmentOf(r, e.Decision, index)
		return err
	})
	return out, err
}

// attachmentMagic starts a stored attachment.
const attachmentMagic = "CSLT\x01"

func attachmentKey(index int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(index)) }

func attachmentIndex(key []byte) (int64, error) {
	if len(key) != 8 {
		return 0, fmt.Errorf("%w: an attachment is stored under a key that is none", ErrDamaged)
	}
	return int64(binary.BigEndian.Uint64(key)), nil
}

func putAttachment(tx Tx, index int64, data []byte) error {
	return tx.Put(bucketAttachment, attachmentKey(index), append([]byte(attachmentMagic), data...))
}

// attachmentOf returns a copy of what is kept beside a decision that names an attachment, at an index of the log, and
// holds it against the hash that the decision names.
func attachmentOf(r Reader, rec *Record, index int64) ([]byte, error) {
	v, err := r.Get(bucketAttachment, attachmentKey(index))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the attachment of %s: %w", rec.ID, err)
	case len(v) < len(attachmentMagic) || string(v[:len(attachmentMagic)]) != attachmentMagic:
		return nil, fmt.Errorf("%w: the attachment of %s is missing, or of an unknown version", ErrDamaged, rec.ID)
	}
	data := append([]byte{}, v[len(attachmentMagic):]...)
	if sha256.Sum256(data) != [sha256.Size]byte(*rec.Attachment) {
		return nil, fmt.Errorf("%w: the attachment of %s is not what was recorded", ErrDamaged, rec.ID)
	}
	return data, nil
}

// listAttached calls fn as Ledger.list does, with the entries beside which something is kept.
func listAttached(r Reader, before int64, fn func(index int64, scanned int) (bool, error)) error {
	scanned := 0
	return r.Scan(bucketAttachment, nil, attachmentKey(before), true, func(key, _ []byte) (bool, error) {
		index, err := attachmentIndex(key)
		if err != nil {
			return false, err
		}
		scanned++
		return fn(index, scanned)
	})
}
