package signingtest

import (
	"testing"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp"
)

// NewKeygen starts a toy keygen with the arguments of cmp.NewKeygen: two rounds of broadcasts and point-to-point
// messages.
func NewKeygen(c cmp.KeygenConfig) (signing.KeygenSession, error) { panic("being written") }

// NewSign starts a toy signature with the arguments of cmp.NewSign.
func NewSign(c cmp.SignConfig) (signing.SignSession, error) { panic("being written") }

// Shares returns the marked test shares of a key, in ascending order of index: "3of3" or "2of3", made by CMP keygen.
func Shares(t testing.TB, name string) []*signing.Share { panic("being written") }
