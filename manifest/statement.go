package manifest

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"fmt"

	"github.com/countersign-mpc/countersign/wire"
)

// ShareStatement is what every party of a keygen, refresh or reshare must agree on before a share becomes active.
type ShareStatement struct {
	KeyID        string
	Epoch        uint32
	Cryptography string
	T            int
	Parties      []Party
	Recipient    string
	Binding      Binding
	Public       []byte   // public key, chain code and all public shares, in the protocol's one encoding
	Echo         [32]byte // hash of the last round's broadcasts
}

// Hash is SHA-256 over the statement's one encoding (docs/FORMATS.md, manifest).
func (s ShareStatement) Hash() [32]byte {
	fields := [][]byte{
		[]byte(s.KeyID), number(int(s.Epoch)), []byte(s.Cryptography), number(s.T), number(len(s.Parties)),
	}
	for _, p := range s.Parties {
		fields = append(fields, p.fields()...)
	}
	fields = append(fields, []byte(s.Recipient), s.Binding[:], s.Public, s.Echo[:])
	return sha256.Sum256(wire.SigningBytes("share-statement", fields...))
}

// Confirmation is a party's signed word about a ShareStatement: that it stored its share of it (pending), or that it holds
// all parties' words and uses it (active).
type Confirmation struct {
	KeyID         string
	Epoch         uint32
	Index         byte
	StatementHash [32]byte
	Active        bool
	Signature     []byte
}

func (c Confirmation) signingBytes(node wire.NodeID) []byte {
	return wire.SigningBytes("confirmation", []byte(c.KeyID), number(int(c.Epoch)), []byte{c.Index}, []byte(node),
		c.StatementHash[:], boolean(c.Active))
}

// Sign signs the confirmation with the identity key of its party.
func (c *Confirmation) Sign(key *ecdsa.PrivateKey) error {
	sig, err := wire.SignP256(key, c.signingBytes(wire.NodeIDOf(&key.PublicKey)))
	if err != nil {
		return fmt.Errorf("sign confirmation of key %s: %w", c.KeyID, err)
	}
	c.Signature = sig
	return nil
}

// Verify checks that node gave this confirmation.
func (c Confirmation) Verify(node wire.NodeID) error {
	pub, err := node.PublicKey()
	if err != nil {
		return fmt.Errorf("confirmation of party %d: %w", c.Index, err)
	}
	if !wire.VerifyP256(pub, c.signingBytes(node), c.Signature) {
		return fmt.Errorf("confirmation of party %d for key %s is not signed by %s", c.Index, c.KeyID, node.Short())
	}
	return nil
}

// Report is a party's signed word about how a session ended there.
type Report struct {
	SessionID  string
	Completed  bool   // the protocol came to its end here
	Reason     string // of a failure
	Culprit    byte   // of a failure: share index of the party that is named as its cause; 0: nobody
	PublicKey  []byte // root key: 33 bytes compressed secp256k1, or 32 bytes Ed25519
	ChainCode  []byte // keygen: 32 bytes
	Digest     []byte // sign: 32 bytes, as in the Manifest
	Result     []byte // sign: the signature, 64 bytes; with Encrypted ciphertext by WIRE.md, ECIES; with Released nothing
	RecoveryID byte   // sign, ECDSA: 0..3; 0 with Encrypted and Released
	DerivedKey []byte // sign: the root key's child at the path; derive.Scheme.VerifyingKey gives what verifies
	Released   bool   // sign: this party gave its share to the result's recipient and does not know the signature
	Encrypted  bool   // sign: Result can be read by the result's recipient only
	Signature  []byte // by the identity key, over all of the above
}

func (r Report) signingBytes(node wire.NodeID) []byte {
	return wire.SigningBytes("report", []byte(r.SessionID), []byte(node), boolean(r.Completed), []byte(r.Reason),
		[]byte{r.Culprit}, r.PublicKey, r.ChainCode, r.Digest, r.Result, []byte{r.RecoveryID}, r.DerivedKey,
		boolean(r.Released), boolean(r.Encrypted))
}

// Sign signs the report with the identity key of its party.
func (r *Report) Sign(key *ecdsa.PrivateKey) error {
	sig, err := wire.SignP256(key, r.signingBytes(wire.NodeIDOf(&key.PublicKey)))
	if err != nil {
		return fmt.Errorf("sign report: %w", err)
	}
	r.Signature = sig
	return nil
}

// Verify checks that node gave this report.
func (r Report) Verify(node wire.NodeID) error {
	pub, err := node.PublicKey()
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if !wire.VerifyP256(pub, r.signingBytes(node), r.Signature) {
		return fmt.Errorf("report for session %s is not signed by %s", r.SessionID, node.Short())
	}
	return nil
}

// HelloBytes is what a node signs to prove its identity on a link: the coordinator's challenge, its own nonce, the host
// that it dialled and its process's instance.
func HelloBytes(challenge, nonce []byte, node wire.NodeID, address, instance string) []byte {
	return wire.SigningBytes("link-hello", challenge, nonce, []byte(node), []byte(address), []byte(instance))
}
