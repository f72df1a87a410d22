package keystore

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"

	"golang.org/x/crypto/argon2"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/keystore/segment"
	"github.com/countersign-mpc/countersign/wire"
)

// Argon2 is the cost of turning a password into a key (Argon2id, RFC 9106).
type Argon2 struct {
	Time      uint32 // passes over the memory
	MemoryKiB uint32
	Threads   uint8 // lanes
}

// DefaultArgon2 returns 3 passes over 256 MiB in 4 lanes: about a second on the smallest machine that the node is made
// for, and four times the memory of RFC 9106's second recommended option.
func DefaultArgon2() Argon2 { return Argon2{Time: 3, MemoryKiB: 256 << 10, Threads: 4} }

// What a file may ask for, so that a hostile one cannot make the node swallow the machine.
const (
	maxArgon2Time      = 16
	maxArgon2MemoryKiB = 1 << 20
	maxArgon2Threads   = 16
)

func (a Argon2) validate() error {
	switch {
	case a.Time < 1 || a.Time > maxArgon2Time:
		return fmt.Errorf("Argon2id with %d passes: want 1 to %d", a.Time, maxArgon2Time)
	case a.Threads < 1 || a.Threads > maxArgon2Threads:
		return fmt.Errorf("Argon2id with %d lanes: want 1 to %d", a.Threads, maxArgon2Threads)
	case a.MemoryKiB < 8*uint32(a.Threads) || a.MemoryKiB > maxArgon2MemoryKiB:
		return fmt.Errorf("Argon2id with %d KiB: want %d to %d", a.MemoryKiB, 8*uint32(a.Threads), maxArgon2MemoryKiB)
	}
	return nil
}

const (
	sealVersion  = 1
	kindPassword = 1 // parameters: time (4) ‖ memory in KiB (4) ‖ lanes (1) ‖ salt (32)
	kindSegments = 2 // parameters: salt (32) ‖ manifest of the segments

	sealSalt           = 32
	sealNonce          = 12
	sealWrapped        = masterSize + 16
	passwordParamsSize = 4 + 4 + 1 + sealSalt
	sealTail           = masterSize + sealNonce + sealWrapped + sha256.Size
)

// sealRecord holds the master key, wrapped:
//
//	version (1) ‖ kind (1) ‖ length of parameters (2) ‖ parameters ‖ check (32) ‖ nonce (12) ‖ wrapped (48) ‖ checksum (32)
//
// check is derived from the password beside the wrapping key. It tells a wrong password from a damaged record, and it
// ties the record to one password: GCM alone would let a crafted record open under several.
// checksum needs no key; it tells damage from a wrong password.
type sealRecord struct {
	argon2  Argon2            // of a password
	set     *segment.Manifest // of segments; nil: a password
	salt    [sealSalt]byte
	check   [masterSize]byte
	nonce   [sealNonce]byte
	wrapped [sealWrapped]byte
}

// newSeal wraps master under a credential. cost counts for a password.
func newSeal(cost Argon2, h header, under Credential, master secret.Bytes) ([]byte, error) {
	r := sealRecord{set: under.set}
	if under.set == nil {
		r.argon2 = cost
	}
	rand.Read(r.salt[:])
	rand.Read(r.nonce[:])
	kek, check, err := r.stretch(h, under.secret)
	if err != nil {
		return nil, err
	}
	defer kek.Wipe()
	r.check = check
	aead, err := newGCM(kek.Expose())
	if err != nil {
		return nil, err
	}
	aead.Seal(r.wrapped[:0], r.nonce[:], master.Expose(), r.place(h))
	return r.encode(h), nil
}

// open unwraps the master key; ErrWrongPassword, ErrKind.
func (r *sealRecord) open(h header, under Credential) (secret.Bytes, error) {
	if err := under.fits(r.set); err != nil {
		return secret.Bytes{}, err
	}
	kek, check, err := r.stretch(h, under.secret)
	if err != nil {
		return secret.Bytes{}, err
	}
	defer kek.Wipe()
	if subtle.ConstantTimeCompare(check[:], r.check[:]) != 1 {
		return secret.Bytes{}, ErrWrongPassword
	}
	aead, err := newGCM(kek.Expose())
	if err != nil {
		return secret.Bytes{}, err
	}
	master, err := aead.Open(nil, r.nonce[:], r.wrapped[:], r.place(h))
	if err != nil {
		return secret.Bytes{}, corrupt("seal record", "the wrapped master key was altered")
	}
	return secret.New(master), nil
}

// stretch derives the wrapping key and the check value from the password, or the secret of the segments, for this record and
// store only.
func (r *sealRecord) stretch(h header, input secret.Bytes) (kek secret.Bytes, check [masterSize]byte, err error) {
	stretched, err := r.extract(h, input)
	if err != nil {
		return secret.Bytes{}, check, err
	}
	defer secret.Wipe(stretched)
	key, err := hkdf.Key(sha256.New, stretched, nil, string(wire.SigningBytes("keystore-password-kek", h.encode(), r.prefix())), masterSize)
	if err != nil {
		return secret.Bytes{}, check, fmt.Errorf("derive key from password: %w", err)
	}
	sum, err := hkdf.Key(sha256.New, stretched, nil, string(wire.SigningBytes("keystore-password-check", h.encode(), r.prefix())), masterSize)
	if err != nil {
		return secret.Bytes{}, check, fmt.Errorf("derive check from password: %w", err)
	}
	return secret.New(key), [masterSize]byte(sum), nil
}

// extract makes 32 even bytes of a password, slowly, or of the secret of the segments, which is random already.
func (r *sealRecord) extract(h header, input secret.Bytes) ([]byte, error) {
	if r.set != nil {
		out, err := hkdf.Key(sha256.New, input.Expose(), r.salt[:], string(wire.SigningBytes("keystore-segments", h.encode())), masterSize)
		if err != nil {
			return nil, fmt.Errorf("derive key from segments: %w", err)
		}
		return out, nil
	}
	a := r.argon2
	out := argon2.IDKey(input.Expose(), r.salt[:], a.Time, a.MemoryKiB, a.Threads, masterSize)
	if a.MemoryKiB >= 16<<10 {
		debug.FreeOSMemory() // the working memory cannot be wiped from here; giving it back at once is next best
	}
	return out, nil
}

// prefix is everything before the check value.
func (r *sealRecord) prefix() []byte {
	if r.set != nil {
		params := r.set.Append(bytes.Clone(r.salt[:]))
		out := binary.BigEndian.AppendUint16([]byte{sealVersion, kindSegments}, uint16(len(params)))
		return append(out, params...)
	}
	out := []byte{sealVersion, kindPassword}
	out = binary.BigEndian.AppendUint16(out, passwordParamsSize)
	out = binary.BigEndian.AppendUint32(out, r.argon2.Time)
	out = binary.BigEndian.AppendUint32(out, r.argon2.MemoryKiB)
	out = append(out, r.argon2.Threads)
	return append(out, r.salt[:]...)
}

// place is the associated data of the wrapped key.
func (r *sealRecord) place(h header) []byte {
	return wire.SigningBytes("keystore-seal", h.encode(), r.prefix(), r.check[:])
}

func (r *sealRecord) encode(h header) []byte {
	out := append(r.prefix(), r.check[:]...)
	out = append(out, r.nonce[:]...)
	out = append(out, r.wrapped[:]...)
	sum := sealChecksum(h, out)
	return append(out, sum[:]...)
}

// parseSeal checks everything that can be checked without the password. It copies b.
func parseSeal(b []byte, h header) (*sealRecord, error) {
	r, err := decodeSeal(b, h)
	if err != nil {
		return nil, corrupt("seal record", "%v", err)
	}
	return r, nil
}

func decodeSeal(b []byte, h header) (*sealRecord, error) {
	if len(b) < 4+sealTail {
		return nil, errors.New("it is cut short")
	}
	if b[0] != sealVersion {
		return nil, fmt.Errorf("its version is %d, this node reads version %d", b[0], sealVersion)
	}
	body, sum := b[:len(b)-sha256.Size], [sha256.Size]byte(b[len(b)-sha256.Size:])
	if sealChecksum(h, body) != sum {
		return nil, errors.New("its checksum is wrong")
	}
	params, tail := b[4:len(b)-sealTail], b[len(b)-sealTail:]
	if int(binary.BigEndian.Uint16(b[2:])) != len(params) {
		return nil, errors.New("its length is wrong")
	}
	r := new(sealRecord)
	if err := r.parseParams(b[1], params); err != nil {
		return nil, err
	}
	for _, field := range [][]byte{r.check[:], r.nonce[:], r.wrapped[:]} {
		tail = tail[copy(field, tail):]
	}
	return r, nil
}

// parseParams reads what a kind of record has of its own.
func (r *sealRecord) parseParams(kind byte, b []byte) (err error) {
	switch {
	case kind == kindPassword && len(b) == passwordParamsSize:
		r.argon2 = Argon2{Time: binary.BigEndian.Uint32(b), MemoryKiB: binary.BigEndian.Uint32(b[4:]), Threads: b[8]}
		copy(r.salt[:], b[9:])
		return r.argon2.validate()
	case kind == kindSegments && len(b) > sealSalt:
		copy(r.salt[:], b)
		r.set, err = segment.DecodeManifest(b[sealSalt:])
		return err
	case kind == kindPassword || kind == kindSegments:
		return errors.New("its length is wrong")
	}
	return fmt.Errorf("its kind is %d, this version of the node opens kinds %d (password) and %d (segments)", kind, kindPassword, kindSegments)
}

func sealChecksum(h header, body []byte) [sha256.Size]byte {
	return sha256.Sum256(wire.SigningBytes("keystore-seal-checksum", h.encode(), body))
}

// sealHash ties the root record to the header, the current seal record and the auto-unseal record, if there is one.
func sealHash(h header, record, auto []byte) [sha256.Size]byte {
	if auto != nil {
		return sha256.Sum256(wire.SigningBytes("keystore-seal-auto-hash", h.encode(), record, auto))
	}
	return sha256.Sum256(wire.SigningBytes("keystore-seal-hash", h.encode(), record))
}
