package coordinator

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// offer makes the Offer of a session for one of its members.
func (s *step) offer(r *run, m *Member) (*linkv1.Frame, error) {
	rec, err := must[termsRecord](s, TableTerms, r.req.SinoID)
	if err != nil {
		return nil, err
	}
	o := &linkv1.Offer{
		SessionId: r.sess.ID, SinoId: r.req.SinoID, JoinToken: m.Token, Terms: protoTerms(rec.Terms), Expires: r.req.Expires.Unix(),
	}
	if r.req.Type == wire.TypeKeygen {
		o.KeyId = r.req.KeyID
	}
	if a := rec.Authorization; a != nil {
		o.Authorization = &linkv1.Authorization{KeyId: a.KeyID, Expiry: a.Expiry, Nonce: a.Nonce, Signature: a.Signature}
	}
	for _, other := range r.sess.Members {
		o.Parties = append(o.Parties, &linkv1.Party{Index: uint32(other.Index), NodeId: string(other.NodeID)})
	}
	return &linkv1.Frame{Body: &linkv1.Frame_Offer{Offer: o}}, nil
}

func protoTerms(t manifest.Terms) *linkv1.Terms {
	out := &linkv1.Terms{
		Type: t.Type, RequestId: t.RequestID, KeyId: t.KeyID, T: uint32(t.T), N: uint32(t.N), Cryptography: t.Cryptography,
		Path: t.Path, SignType: t.SignType, Message: t.Message, TxInfo: t.TxInfo, TapScriptRoot: t.TapScriptRoot,
	}
	for _, id := range t.Parties {
		out.Parties = append(out.Parties, string(id))
	}
	return out
}

// beginOf makes the Begin of a session: what every party said of itself when it approved.
func beginOf(sess *Session) *linkv1.Frame {
	b := &linkv1.Begin{SessionId: sess.ID, Deadline: sess.Deadline.Unix()}
	for _, m := range sess.Members {
		b.Statements = append(b.Statements, &linkv1.Statement{
			Index: uint32(m.Index), NodeId: string(m.NodeID), Guarded: m.Guarded, Recipient: m.Recipient,
		})
	}
	return &linkv1.Frame{Body: &linkv1.Frame_Begin{Begin: b}}
}

// endOf makes the End of a session. It wants an acknowledgement: a node that is away hears of it when it is back.
func endOf(sess *Session) Delivery {
	end := &linkv1.End{SessionId: sess.ID, State: string(sess.State)}
	if sess.Failure != nil {
		end.Reason = sess.Failure.Message
	}
	return Delivery{Frame: &linkv1.Frame{Body: &linkv1.Frame_End{End: end}}, Receipt: Receipt{Session: sess.ID}}
}

func confirmationFrame(c Confirmation) (*linkv1.Frame, error) {
	body := new(linkv1.Confirmation)
	if err := proto.Unmarshal(c.Frame, body); err != nil {
		return nil, fmt.Errorf("confirmation: %w (%v)", ErrCorrupt, err)
	}
	return &linkv1.Frame{Body: &linkv1.Frame_Confirmation{Confirmation: body}}, nil
}

// The types of package manifest hold what is checked and signed; these turn frames into them. They fail on what has not
// the right lengths.

func contributionOf(c *linkv1.Contribution) (manifest.Contribution, error) {
	out := manifest.Contribution{SessionID: c.SessionId, Signature: c.Signature}
	if c.Index == 0 || c.Index > manifest.MaxParties || len(c.ManifestHash) != 32 || len(c.Random) != 32 || len(c.Ephemeral) != 32 {
		return out, refuse(CodeViolation, "a contribution has an index of 1 to %d, and 32 bytes each of manifest hash, random and ephemeral key", manifest.MaxParties)
	}
	out.Index = byte(c.Index)
	copy(out.ManifestHash[:], c.ManifestHash)
	copy(out.Random[:], c.Random)
	copy(out.Ephemeral[:], c.Ephemeral)
	return out, nil
}

// Bounds on what a report carries; a signature that is encrypted to a recipient is the longest of the bytes.
const (
	maxReportBytes  = 512
	maxReportReason = 4 << 10
)

func reportOf(r *linkv1.Report) (manifest.Report, error) {
	if r.Culprit > manifest.MaxParties || r.RecoveryId > 255 || len(r.Reason) > maxReportReason {
		return manifest.Report{}, refuse(CodeViolation, "a report names a culprit of 0 to %d, a recovery id of one byte and a reason of at most %d bytes", manifest.MaxParties, maxReportReason)
	}
	for _, b := range [][]byte{r.PublicKey, r.ChainCode, r.Digest, r.Result, r.DerivedKey, r.ReportSignature} {
		if len(b) > maxReportBytes {
			return manifest.Report{}, refuse(CodeViolation, "a field of a report has %d bytes: at most %d are taken", len(b), maxReportBytes)
		}
	}
	return manifest.Report{
		SessionID: r.SessionId, Completed: r.Completed, Reason: r.Reason, Culprit: byte(r.Culprit), PublicKey: r.PublicKey,
		ChainCode: r.ChainCode, Digest: r.Digest, Result: r.Result, RecoveryID: byte(r.RecoveryId), DerivedKey: r.DerivedKey,
		Released: r.Released, Encrypted: r.Encrypted, Signature: r.ReportSignature,
	}, nil
}

func confirmationOf(c *linkv1.Confirmation) (manifest.Confirmation, error) {
	out := manifest.Confirmation{KeyID: c.KeyId, Epoch: c.Epoch, Active: c.Active, Signature: c.Signature}
	if c.Index == 0 || c.Index > manifest.MaxParties || len(c.StatementHash) != 32 {
		return out, refuse(CodeViolation, "a confirmation has an index of 1 to %d and a statement hash of 32 bytes", manifest.MaxParties)
	}
	out.Index = byte(c.Index)
	copy(out.StatementHash[:], c.StatementHash)
	return out, nil
}

// storedReport reads a member's report; nil if there is none.
func (m *Member) storedReport() (*linkv1.Report, error) {
	if m.Report == nil {
		return nil, nil
	}
	r := new(linkv1.Report)
	if err := proto.Unmarshal(m.Report, r); err != nil {
		return nil, fmt.Errorf("report of party %d: %w (%v)", m.Index, ErrCorrupt, err)
	}
	return r, nil
}

func (m *Member) storedContribution() (*linkv1.Contribution, error) {
	c := new(linkv1.Contribution)
	if err := proto.Unmarshal(m.Contribution, c); err != nil {
		return nil, fmt.Errorf("contribution of party %d: %w (%v)", m.Index, ErrCorrupt, err)
	}
	return c, nil
}

// stored is the one form in which a message is kept.
func stored(m proto.Message) ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return b, nil
}
