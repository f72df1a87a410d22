package policy

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"

	"github.com/countersign-mpc/countersign/wire"
)

func (c *compiler) compileGroups() map[string]Group {
	approvers := c.compileApprovers()
	groups := make(map[string]Group, len(c.file.Groups))
	for _, name := range sortedKeys(c.file.Groups) {
		at := []string{"groups", name}
		c.name(at, name)
		group := Group{Name: name}
		members := slices.Sorted(slices.Values(c.file.Groups[name].Members))
		for i, member := range members {
			approver, known := approvers[member]
			switch {
			case !known:
				c.add(under(at, "members"), "%q is not an approver of /approvers", member)
			case i > 0 && members[i-1] == member:
				c.add(under(at, "members"), "%q stands there twice", member)
			default:
				group.Approvers = append(group.Approvers, approver)
			}
		}
		if len(members) == 0 {
			c.add(under(at, "members"), "is empty: nobody could approve")
		}
		group.Revision = group.revision()
		groups[name] = group
	}
	return groups
}

func (c *compiler) compileApprovers() map[string]Approver {
	approvers := make(map[string]Approver, len(c.file.Approvers))
	byKey := map[string]string{}
	for _, name := range sortedKeys(c.file.Approvers) {
		at := []string{"approvers", name}
		c.name(at, name)
		f := c.file.Approvers[name]
		approver, err := newApprover(name, f)
		if err != nil {
			c.add(under(at, "public_key"), "%v", err)
		} else if other, ok := byKey[approver.KeyID]; ok {
			c.add(under(at, "public_key"), "is also that of %s: one key would count twice in a quorum", other)
		}
		c.keyIDs(under(at, "requester_key_ids"), f.RequesterKeyIDs)
		byKey[approver.KeyID] = name
		approvers[name] = approver
	}
	return approvers
}

func newApprover(name string, f fileApprover) (Approver, error) {
	a := Approver{Name: name, RequesterKeyIDs: slices.Clone(f.RequesterKeyIDs)}
	der, err := base64.StdEncoding.Strict().DecodeString(f.PublicKey)
	if err != nil || f.PublicKey == "" {
		return a, errors.New("is not base64 of a public key (SPKI DER, as between the lines of a PEM file)")
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return a, errors.New("is not a public key in SPKI DER")
	}
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return a, errors.New("is not on P-256: approvers sign with P-256 or Ed25519")
		}
	case ed25519.PublicKey:
	default:
		return a, errors.New("is of another kind: approvers sign with P-256 or Ed25519")
	}
	canonical, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return a, errors.New("cannot be written as SPKI DER")
	}
	sum := sha256.Sum256(canonical)
	a.PublicKey, a.spki, a.KeyID = key, canonical, hex.EncodeToString(sum[:])
	return a, nil
}

// revision is hex SHA-256 over the group's name and its members' names and keys (docs/FORMATS.md, "policy").
func (g Group) revision() string {
	var members []byte
	for _, a := range g.Approvers {
		sum := sha256.Sum256(wire.SigningBytes("approver", []byte(a.Name), a.spki))
		members = append(members, sum[:]...)
	}
	sum := sha256.Sum256(wire.SigningBytes("approver-group", []byte(g.Name), members))
	return hex.EncodeToString(sum[:])
}

// keys returns the approvers' names, sorted.
func (g Group) keys() []string {
	names := make([]string, len(g.Approvers))
	for i, a := range g.Approvers {
		names[i] = a.Name
	}
	return names
}

// groupDocument is what Rego sees of the groups: for each member the ids under which the same person might ask.
func (c *compiler) groupDocument() map[string]any {
	out := make(map[string]any, len(c.groups))
	for name, group := range c.groups {
		members := make(map[string][]string, len(group.Approvers))
		for _, a := range group.Approvers {
			members[a.Name] = append([]string{a.Name, a.KeyID}, a.RequesterKeyIDs...)
		}
		out[name] = map[string]any{"revision": group.Revision, "members": members}
	}
	return out
}
