package signing

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// maxMaterial bounds each half of a Material, in bytes. CMP needs 7241 for nine parties.
const maxMaterial = 64 << 10

// validate checks everything that can be checked without the protocol that made the share.
func (c *Contents) validate() error {
	g := groupOf(c.Algorithm)
	if g == nil {
		return fmt.Errorf("%s is not known", c.Algorithm)
	}
	if err := CheckParties(slices.Collect(maps.Keys(c.PublicShares)), c.Index, c.Threshold); err != nil {
		return err
	}
	if c.Material.Protocol == 0 {
		return errors.New("it does not say which protocol made it")
	}
	if len(c.Material.Public) > maxMaterial || len(c.Material.Secret) > maxMaterial {
		return fmt.Errorf("protocol material is longer than %d bytes", maxMaterial)
	}
	if err := c.checkSecret(g); err != nil {
		return err
	}
	return c.checkPolynomial(g)
}

// CheckParties checks the parties of a key: 2..9 of them, all different, ids in 1..9, self among them, and
// 2 <= t <= n.
func CheckParties(parties []PartyID, self PartyID, t int) error {
	n := len(parties)
	if n < 2 || n > MaxParties {
		return fmt.Errorf("%d parties: a key has 2 to %d", n, MaxParties)
	}
	if t < 2 || t > n {
		return fmt.Errorf("threshold %d of %d: t, the number of signers needed, is 2 to n", t, n)
	}
	sorted := slices.Sorted(slices.Values(parties))
	if sorted[0] < 1 || sorted[n-1] > MaxParties {
		return fmt.Errorf("party ids %v: they must be 1 to %d", sorted, MaxParties)
	}
	if len(slices.Compact(sorted)) != n {
		return errors.New("a party is named twice")
	}
	if !slices.Contains(parties, self) {
		return fmt.Errorf("own %s is not among the parties", self)
	}
	return nil
}

// CheckSigners checks that signers can sign with this share: exactly t parties of the key, all different, its own party
// among them.
func (s *Share) CheckSigners(signers []PartyID) error {
	if len(signers) != s.threshold {
		return fmt.Errorf("%d signers are named: the key needs exactly %d", len(signers), s.threshold)
	}
	for _, id := range signers {
		if _, ok := s.shares[id]; !ok {
			return fmt.Errorf("signer %s has no share of the key", id)
		}
	}
	return CheckParties(signers, s.index, len(signers))
}

// checkSecret compares the secret with the own public share.
func (c *Contents) checkSecret(g group) error {
	own, err := g.public(c.Secret)
	if err != nil {
		return err
	}
	if !bytes.Equal(own, c.PublicShares[c.Index]) {
		return errors.New("the secret does not belong to the own public share")
	}
	return nil
}

// checkPolynomial checks that the public key and all public shares are values, at 0 and at the party ids, of one
// polynomial in the exponent of degree t-1, and of no lower one: any t parties, and no fewer, can then sign for this
// key and for no other.
func (c *Contents) checkPolynomial(g group) error {
	ids := slices.Sorted(maps.Keys(c.PublicShares))
	for _, id := range ids {
		if err := g.check(c.PublicShares[id]); err != nil {
			return fmt.Errorf("public share of %s: %w", id, err)
		}
	}
	if err := g.check(c.PublicKey); err != nil {
		return fmt.Errorf("public key: %w", err)
	}
	base := ids[:c.Threshold]
	if !bytes.Equal(g.interpolate(c.PublicShares, base, 0), c.PublicKey) {
		return errors.New("the public shares do not stand for the public key")
	}
	if bytes.Equal(g.interpolate(c.PublicShares, base[1:], 0), c.PublicKey) {
		return fmt.Errorf("fewer than t = %d public shares stand for the public key", c.Threshold)
	}
	for _, id := range ids[c.Threshold:] {
		if !bytes.Equal(g.interpolate(c.PublicShares, base, id), c.PublicShares[id]) {
			return fmt.Errorf("the public share of %s is not on the polynomial of the others", id)
		}
	}
	return nil
}
