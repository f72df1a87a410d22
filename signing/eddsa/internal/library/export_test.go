package library

import "github.com/countersign-mpc/countersign/signing"

// ProofContext is what the proof of a party is bound to.
func (c Config) ProofContext(id signing.PartyID) []byte { return c.proofContext(id) }
