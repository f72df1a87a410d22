package coordinator

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// submitAnew is what a requester can do once a share was used without a result.
const submitAnew = "submit it anew under another request_id"

// isRecipientKey tells whether a text is what a node states as its recipient: the one hex form of a P-256 SPKI.
func isRecipientKey(text string) bool {
	der, err := hex.DecodeString(text)
	if err != nil || hex.EncodeToString(der) != text {
		return false
	}
	pub, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return false
	}
	key, ok := pub.(*ecdsa.PublicKey)
	return ok && key.Curve == elliptic.P256()
}

// recipient is the party of a keygen that wants results for itself alone; nil if none does.
func (sess *Session) recipient() *Recipient {
	for _, m := range sess.Members {
		if m.Recipient != "" {
			return &Recipient{Index: m.Index, Key: m.Recipient}
		}
	}
	return nil
}

// recipientConflict says which parties of a keygen want results for themselves alone where more than one does; else empty.
func (sess *Session) recipientConflict() string {
	if sess.Type != wire.TypeKeygen {
		return ""
	}
	var names []string
	for _, m := range sess.Members {
		if m.Recipient != "" {
			names = append(names, m.Name)
		}
	}
	if len(names) < 2 {
		return ""
	}
	return "parties " + strings.Join(names, " and ") +
		" encrypt the results of their keys (encrypt-signature), and a key has one recipient: turn it off at all of them but one"
}

// recipientOf is the party that alone learns what the terms ask for; nil if every party may. Results of sign_type 2 and 3 are
// for the key's recipient, and a digest without a tx_info is sign_type 3 for the nodes.
func recipientOf(key *Key, t manifest.Terms) *Recipient {
	if t.IsKeygen() || (t.SignType == wire.SignTypeTransaction && len(t.TxInfo) > 0) {
		return nil
	}
	return key.Recipient
}

// releasedBy names the parties that gave their shares to the recipient; empty if none did.
func (sess *Session) releasedBy() string {
	var names []string
	for _, m := range sess.Members {
		if m.Released {
			names = append(names, m.Name)
		}
	}
	return strings.Join(names, ", ")
}

// released is what becomes of a failure after parties gave their shares away: no other session can follow, since they have
// used them for this request.
func released(names string, f Failure) Failure {
	return Failure{Cause: CauseReleased, Party: f.Party,
		Message: f.Message + "; no other session follows, since these parties have released their shares to the recipient: " + names + "; " + submitAnew}
}

// stopReleased ends a request that is about to have, or has, another session although a party has released its share in an
// earlier one.
func (s *step) stopReleased(r *run) error {
	f := released(r.sess.releasedBy(), *r.sess.Failure)
	now, err := s.current(r.req.SinoID)
	if err != nil {
		return err
	}
	if !now.sess.State.Final() {
		return s.fail(now, f)
	}
	return s.failRequest(now.req, f)
}

// checkReleased holds a report against a request whose result is for its recipient alone: the recipient reports ciphertext,
// the others nothing of the signature. What is said of a report that breaks this holds no byte of it.
func checkReleased(f *linkv1.Report, index byte, req *Request, scheme derive.Scheme) error {
	if index != req.Recipient.Index {
		if !f.Released || f.Encrypted || len(f.Result) != 0 || f.RecoveryId != 0 {
			return errors.New("the signature of this request is for its recipient alone: another party reports that it released its share, and nothing else")
		}
		return nil
	}
	if f.Released || !f.Encrypted || f.RecoveryId != 0 {
		return errors.New("the signature of this request is for its recipient alone, which reports it encrypted and not otherwise")
	}
	return checkCiphertext(f.Result, scheme)
}

// Lengths of what is encrypted to a recipient (ECIES over P-256): a point, an initialisation vector, as many bytes as the
// signature has, a tag.
const (
	eciesPoint     = 65
	eciesOverhead  = eciesPoint + 16 + 32
	signatureBytes = 64
)

// checkCiphertext checks what can be seen from outside: the length, for ECDSA with or without v, and the point. What is in it
// is for the recipient's key.
func checkCiphertext(b []byte, scheme derive.Scheme) error {
	n := len(b) - eciesOverhead
	if n != signatureBytes && (scheme != derive.SchemeECDSA || n != signatureBytes+1) {
		return fmt.Errorf("an encrypted signature does not have %d bytes", len(b))
	}
	if _, err := ecdh.P256().NewPublicKey(b[:eciesPoint]); err != nil {
		return errors.New("an encrypted signature begins with a point of P-256")
	}
	return nil
}
