package coordinator

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// recordVersion is the first byte of every record; JSON follows. Version 1 is read too: it knew no recipients of results and
// no schemes but ECDSA. It is not written any more, so that a program which does not know them reads no record that has them.
const recordVersion, oldestRecord = 2, 1

// entryVersion is the first byte of every value that is no record.
const entryVersion = 1

// termsRecord is what never changes of a request. It may be large, so it is kept apart from what does.
type termsRecord struct {
	Terms         manifest.Terms          `json:"terms"`
	Authorization *manifest.Authorization `json:"authorization,omitempty"`
}

// mailbox counts what a node has not taken yet.
type mailbox struct {
	Next   uint64 `json:"next"` // position of the next frame, from 1
	Frames int    `json:"frames"`
	Bytes  int    `json:"bytes"`
}

func put[T any](tx Tx, t Table, key string, record *T) error {
	data, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encode record %s: %w", t, err)
	}
	if err := tx.Put(t, key, append([]byte{recordVersion}, data...)); err != nil {
		return fmt.Errorf("store record %s: %w", t, err)
	}
	return nil
}

// get reads a record; nil if there is none.
func get[T any](tx Tx, t Table, key string) (*T, error) {
	data, err := tx.Get(t, key)
	if err != nil {
		return nil, fmt.Errorf("read record %s: %w", t, err)
	}
	if data == nil {
		return nil, nil
	}
	return decode[T](t, data)
}

func decode[T any](t Table, data []byte) (*T, error) {
	if len(data) == 0 || data[0] < oldestRecord || data[0] > recordVersion {
		return nil, fmt.Errorf("record %s: %w (unknown version)", t, ErrCorrupt)
	}
	record := new(T)
	if err := json.Unmarshal(data[1:], record); err != nil {
		return nil, fmt.Errorf("record %s: %w (%v)", t, ErrCorrupt, err)
	}
	return record, nil
}

// must is get for a record that another one refers to.
func must[T any](tx Tx, t Table, key string) (*T, error) {
	record, err := get[T](tx, t, key)
	if err == nil && record == nil {
		err = fmt.Errorf("record %s: %w (another record refers to it, and it is not there)", t, ErrCorrupt)
	}
	return record, err
}

// Keys. No part but the last may hold the separator: node ids and the ids that are made here do not, accounts are checked.
const separator = "|"

// checkAccount refuses a name that could be taken for a part of another account's key.
func checkAccount(name string) error {
	if name == "" || len(name) > 64 || strings.Contains(name, separator) {
		return refuse(CodeInvalid, "an account's name has 1 to 64 bytes without %q", separator)
	}
	return nil
}

func keyOf(parts ...string) string {
	n := 0
	for _, p := range parts {
		n += len(p) + 1
	}
	out := make([]byte, 0, n)
	for i, p := range parts {
		if i > 0 {
			out = append(out, separator...)
		}
		out = append(out, p...)
	}
	return string(out)
}

func prefixOf(parts ...string) string { return keyOf(parts...) + separator }

func mailKey(node wire.NodeID, position uint64) string {
	return keyOf(string(node), fmt.Sprintf("%016x", position))
}

func mailIndexKey(session string, node wire.NodeID, position uint64) string {
	return keyOf(session, string(node), fmt.Sprintf("%016x", position))
}

func routeKey(session string, from, to byte) string {
	return keyOf(session, fmt.Sprint(from), fmt.Sprint(to))
}

func todoKey(node wire.NodeID, sub Subject) string {
	if sub.Key != "" {
		return keyOf(string(node), "k", sub.Key)
	}
	return keyOf(string(node), "s", sub.Session)
}

// route reads the next sequence number from one party to another.
func (s *step) route(session string, from, to byte) (uint64, error) {
	data, err := s.Get(TableRoutes, routeKey(session, from, to))
	if err != nil {
		return 0, fmt.Errorf("read route: %w", err)
	}
	if data == nil {
		return 0, nil
	}
	if len(data) != 9 || data[0] != entryVersion {
		return 0, fmt.Errorf("record %s: %w", TableRoutes, ErrCorrupt)
	}
	return binary.BigEndian.Uint64(data[1:]), nil
}

func (s *step) setRoute(session string, from, to byte, next uint64) error {
	value := binary.BigEndian.AppendUint64([]byte{entryVersion}, next)
	if err := s.Put(TableRoutes, routeKey(session, from, to), value); err != nil {
		return fmt.Errorf("store route: %w", err)
	}
	return nil
}

// deletePrefix removes every key of a table that has the prefix.
func (s *step) deletePrefix(t Table, prefix string) error {
	keys, err := s.keys(t, prefix, 0)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := s.Delete(t, k); err != nil {
			return fmt.Errorf("delete from %s: %w", t, err)
		}
	}
	return nil
}

// keys lists the keys of a table that have the prefix, at most limit of them if it is not 0.
func (s *step) keys(t Table, prefix string, limit int) ([]string, error) {
	var out []string
	err := s.Scan(t, prefix, prefix, func(key string, _ []byte) (bool, error) {
		out = append(out, key)
		return limit > 0 && len(out) >= limit, nil
	})
	if err != nil {
		return nil, fmt.Errorf("scan %s: %w", t, err)
	}
	return out, nil
}
