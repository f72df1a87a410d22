package coordinator

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// target is what a request signs, under which key: what the coordinator computes of it itself.
type target struct {
	scheme       derive.Scheme
	derivedKey   []byte
	verifyingKey []byte
	message      []byte // what is signed, where the terms name it; nil: the nodes compute it
}

// targetOf computes the target of terms under a key that is known.
func targetOf(key *Key, t manifest.Terms) (*target, error) {
	scheme, err := derive.SchemeOf(t.Type, key.Cryptography)
	if err != nil {
		return nil, err
	}
	path, err := derive.ParsePath(t.Path)
	if err != nil {
		return nil, err
	}
	child, err := derive.Child(key.Cryptography, key.PublicKey, key.ChainCode, path)
	if err != nil {
		return nil, err
	}
	root, err := hex.DecodeString(t.TapScriptRoot)
	if err != nil {
		return nil, errors.New("tapScriptRoot is not hex")
	}
	verifyingKey, err := scheme.VerifyingKey(child.PublicKey, root)
	if err != nil {
		return nil, err
	}
	return &target{scheme: scheme, derivedKey: child.PublicKey, verifyingKey: verifyingKey, message: messageOf(t, key.Cryptography)}, nil
}

// target computes the target of a request that was taken.
func (s *step) target(req *Request) (*target, *Key, error) {
	key, err := must[Key](s, TableKeys, req.KeyID)
	if err != nil {
		return nil, nil, err
	}
	rec, err := must[termsRecord](s, TableTerms, req.SinoID)
	if err != nil {
		return nil, nil, err
	}
	t, err := targetOf(key, rec.Terms)
	if err != nil {
		return nil, nil, fmt.Errorf("what request %s signs: %w (%v)", req.SinoID, ErrCorrupt, err)
	}
	return t, key, nil
}

// checkReport holds a reported result against those of the other parties and against the key. A failure is the party's.
func (s *step) checkReport(r *run, m *Member, f *linkv1.Report) (*Failure, error) {
	key, err := must[Key](s, TableKeys, r.req.KeyID)
	if err != nil {
		return nil, err
	}
	var problem error
	if r.req.Type == wire.TypeKeygen {
		problem = checkKeyReport(f, key.Cryptography)
	} else {
		t, _, err := s.target(r.req)
		if err != nil {
			return nil, err
		}
		problem = t.check(f, key)
		switch {
		case problem != nil:
		case r.req.Recipient != nil:
			problem = checkReleased(f, m.Index, r.req, t.scheme)
		default:
			problem = t.checkSignature(f)
		}
	}
	if problem != nil {
		text := "the result that party " + m.Name + " reports does not verify: " + problem.Error()
		return &Failure{Cause: CauseReportInvalid, Message: text, Party: m.Name}, nil
	}
	return r.sess.compare(m, f)
}

// compare holds a party's report against those of the others.
func (sess *Session) compare(m *Member, f *linkv1.Report) (*Failure, error) {
	for i := range sess.Members {
		other := &sess.Members[i]
		if other.Index == m.Index || !other.completed() {
			continue
		}
		theirs, err := other.storedReport()
		if err != nil {
			return nil, err
		}
		if what := difference(theirs, f); what != "" {
			text := fmt.Sprintf("parties %s and %s report different results: %s", other.Name, m.Name, what)
			return &Failure{Cause: CauseReportsDiffer, Message: text}, nil
		}
	}
	return nil, nil
}

func checkKeyReport(f *linkv1.Report, cryptography string) error {
	if len(f.Digest) != 0 || len(f.Result) != 0 || len(f.DerivedKey) != 0 || f.RecoveryId != 0 || f.Released || f.Encrypted {
		return errors.New("a keygen has no digest, signature or derived key")
	}
	_, err := derive.Child(cryptography, f.PublicKey, f.ChainCode, nil)
	return err
}

// check holds what every report of a signing says against the key and, where the request names it, against the message.
func (t *target) check(f *linkv1.Report, key *Key) error {
	switch {
	case !bytes.Equal(f.PublicKey, key.PublicKey):
		return errors.New("it names another public key than the key's")
	case len(f.ChainCode) != 0 && !bytes.Equal(f.ChainCode, key.ChainCode):
		return errors.New("it names another chain code than the key's")
	case len(f.Digest) != 32:
		return fmt.Errorf("its digest has %d bytes, not 32", len(f.Digest))
	case t.message != nil && !bytes.Equal(manifest.Digest(key.Cryptography, t.message), f.Digest):
		return errors.New("it signs another message than was asked for")
	case !bytes.Equal(f.DerivedKey, t.derivedKey):
		return errors.New("it names another derived key than the path gives")
	}
	return nil
}

// checkSignature verifies a finished signature under the key that was computed here.
func (t *target) checkSignature(f *linkv1.Report) error {
	if f.Released || f.Encrypted {
		return errors.New("every party learns the signature of this request: none of them releases its share to another, or encrypts")
	}
	message := t.message
	if message == nil {
		if t.scheme == derive.SchemeEd25519 {
			return errors.New("the request names no message")
		}
		message = f.Digest
	}
	if !t.scheme.Verify(t.verifyingKey, message, f.Result) {
		return fmt.Errorf("%w as %s under the key that the request asks for", derive.ErrSignature, t.scheme)
	}
	if t.scheme != derive.SchemeECDSA {
		if f.RecoveryId != 0 {
			return fmt.Errorf("a signature by %s has no recovery id", t.scheme)
		}
		return nil
	}
	id, err := derive.RecoveryID(t.verifyingKey, message, f.Result)
	if err != nil {
		return err
	}
	if f.RecoveryId != uint32(id) {
		return fmt.Errorf("its recovery id is %d where %d recovers the key", f.RecoveryId, id)
	}
	return nil
}

// difference names what two reports differ in; empty if they agree. A party that released its share says nothing of the
// signature.
func difference(a, b *linkv1.Report) string {
	for _, f := range []struct {
		name string
		a, b []byte
	}{
		{"public key", a.PublicKey, b.PublicKey}, {"chain code", a.ChainCode, b.ChainCode}, {"digest", a.Digest, b.Digest},
		{"derived key", a.DerivedKey, b.DerivedKey},
	} {
		if !bytes.Equal(f.a, f.b) {
			return f.name
		}
	}
	switch {
	case a.Released || b.Released:
		return ""
	case !bytes.Equal(a.Result, b.Result):
		return "signature"
	case a.RecoveryId != b.RecoveryId:
		return "recovery id"
	}
	return ""
}

// result is the signature that parties of a session have reported, nil if it does not count (yet). Each report was verified
// and agrees with the others. The word of one party is enough where the request names what is signed; else it could be an
// old signature of something else, and two parties must have said the same. What is encrypted counts by the word of its
// recipient, who is the only one that it could deceive.
func (s *step) result(req *Request, sess *Session) (*Result, error) {
	if sess.Type == wire.TypeKeygen {
		return nil, nil
	}
	var report *linkv1.Report
	said := 0
	for i := range sess.Members {
		m := &sess.Members[i]
		if !m.completed() || (req.Recipient != nil && m.Index != req.Recipient.Index) {
			continue
		}
		said++
		var err error
		if report, err = m.storedReport(); err != nil {
			return nil, err
		}
	}
	if said == 0 {
		return nil, nil
	}
	t, _, err := s.target(req)
	if err != nil {
		return nil, err
	}
	if said < 2 && t.message == nil && req.Recipient == nil {
		return nil, nil
	}
	return &Result{PublicKey: report.PublicKey, Digest: report.Digest, Signature: report.Result, Encrypted: report.Encrypted,
		RecoveryID: byte(report.RecoveryId), DerivedKey: report.DerivedKey, Scheme: t.scheme, VerifyingKey: t.verifyingKey}, nil
}
