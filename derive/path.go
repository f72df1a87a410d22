package derive

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxDepth is the number of levels that a path may have. BIP32 allows 255; no standard of BIP43's family uses more
// than five, and a bound keeps the work for an untrusted path small.
const MaxDepth = 10

// HardenedStart is the first hardened index (BIP32, "Extended keys"): indices from here on need the private key.
const HardenedStart = uint32(1) << 31

// ErrHardened is wrapped by every error that is due to a hardened index.
var ErrHardened = errors.New("hardened index")

// Path is a list of non-hardened BIP32 child indices, from the root downwards. The empty path is the root. Make one
// with ParsePath; a Path made by hand is checked again by Secp256k1Child.
type Path []uint32

// ParsePath reads a derivation path such as "m/44/60/0/0/0". "" and "m" are the root. Every level is a decimal number
// below 2^31 without sign, blanks or leading zeros, and there are at most MaxDepth levels, so each path has exactly one
// spelling beside the root's two. A hardened level (44', 44h or a number from 2^31) is an error that wraps ErrHardened.
func ParsePath(s string) (Path, error) {
	if s == "" || s == "m" {
		return Path{}, nil
	}
	rest, ok := strings.CutPrefix(s, "m/")
	if !ok {
		return nil, fmt.Errorf("derivation path %s: it must be \"m\" or start with \"m/\", as in m/44/60/0/0/0", quote(s))
	}
	n := strings.Count(rest, "/") + 1
	if n > MaxDepth {
		return nil, fmt.Errorf("derivation path has %d levels: at most %d are allowed", n, MaxDepth)
	}
	path := make(Path, 0, n)
	for range n {
		level, behind, _ := strings.Cut(rest, "/")
		rest = behind
		index, err := parseIndex(level)
		if err != nil {
			return nil, fmt.Errorf("derivation path %s: level %d: %w", quote(s), len(path)+1, err)
		}
		path = append(path, index)
	}
	return path, nil
}

func parseIndex(level string) (uint32, error) {
	if level == "" {
		return 0, errors.New("the index is empty: write a number between 0 and 2147483647")
	}
	if strings.ContainsAny(level[len(level)-1:], "'hH") {
		return 0, hardened(level)
	}
	for _, c := range []byte(level) {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%s is not a decimal number: write a number between 0 and 2147483647", quote(level))
		}
	}
	if len(level) > 1 && level[0] == '0' {
		return 0, fmt.Errorf("%s has leading zeros: write the index without them", quote(level))
	}
	n, err := strconv.ParseUint(level, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%s is over 2^32-1: write a number between 0 and 2147483647", quote(level))
	}
	if n >= uint64(HardenedStart) {
		return 0, hardened(level)
	}
	return uint32(n), nil
}

func hardened(level string) error {
	return fmt.Errorf("%s is a %w: it is derived from the private key, which exists nowhere in a threshold key; "+
		"use the plain index (44 for 44'), which gives another address than a hardened wallet's", quote(level), ErrHardened)
}

// quote bounds what an error repeats of its input.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		return strconv.Quote(s[:most]) + "..."
	}
	return strconv.Quote(s)
}

// String gives the canonical form: "m" for the root, else "m/" and the indices in decimal.
func (p Path) String() string {
	var b strings.Builder
	b.WriteByte('m')
	for _, index := range p {
		b.WriteByte('/')
		b.WriteString(strconv.FormatUint(uint64(index), 10))
	}
	return b.String()
}
