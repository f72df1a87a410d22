package ledger

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"
)

// id names a decision, an approval, or another entry of the log: the milliseconds of its time (48 bits), then 80 random
// bits. In text it is 32 lower-case hex digits. Ids sort by time, so that the newest records lie together in a store.
type id [16]byte

func newID(now time.Time) id {
	var v id
	ms := uint64(now.UnixMilli())
	for i := range 6 {
		v[i] = byte(ms >> (40 - 8*i))
	}
	rand.Read(v[6:]) // never fails (crypto/rand)
	return v
}

func (v id) String() string { return hex.EncodeToString(v[:]) }

func parseID(s string) (id, error) {
	var v id
	valid := len(s) == hex.EncodedLen(len(v))
	for i := 0; valid && i < len(s); i++ {
		digit := s[i]
		switch {
		case '0' <= digit && digit <= '9':
			digit -= '0'
		case 'a' <= digit && digit <= 'f':
			digit -= 'a' - 10
		default:
			valid = false
		}
		v[i/2] = v[i/2]<<4 | digit
	}
	if !valid {
		return id{}, fmt.Errorf("%w: an id is %d lower-case hex digits", ErrInvalid, hex.EncodedLen(len(v)))
	}
	return v, nil
}
