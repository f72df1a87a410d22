package eddsa

import (
	"github.com/countersign-mpc/countersign/signing/eddsa/internal/library"
)

// Party is what a test may put in the library's place.
type Party = party

// NewKeygenWith is NewKeygen with something in the library's place.
func NewKeygenWith(c KeygenConfig, start func(library.Config) (Party, [32]byte, error)) (*Keygen, error) {
	return newKeygen(c, start)
}
