package mpcapi

import (
	"encoding/hex"
	"time"

	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/wire"
)

// createdView is the published answer to keygen, sign and create-session.
type createdView struct {
	SessionID   string            `json:"session_id"`
	SessionType string            `json:"session_type"`
	RequestID   string            `json:"request_id"`
	SinoID      string            `json:"sino_id"`
	AccountID   string            `json:"account_id"`
	KeyID       string            `json:"key_id"`
	MessageHash string            `json:"message_hash,omitempty"`
	ThresholdN  int               `json:"threshold_n"`
	ThresholdT  int               `json:"threshold_t"`
	JoinTokens  map[string]string `json:"join_tokens"`
	Status      string            `json:"status"`
	ExpiresAt   int64             `json:"expires_at"`
	Revision    uint64            `json:"revision"`
	Request     *requestView      `json:"request,omitempty"` // where the caller waited
}

func viewCreated(st coordinator.Status) createdView {
	sess := st.Sessions[len(st.Sessions)-1]
	out := createdView{
		SessionID: sess.ID, SessionType: sessionType(sess.Type), RequestID: st.Request.RequestID, SinoID: st.Request.SinoID,
		AccountID: st.Request.Account, KeyID: st.Request.KeyID, ThresholdN: st.Request.N, ThresholdT: st.Request.T,
		JoinTokens: make(map[string]string, len(sess.Members)), Status: string(sess.State), ExpiresAt: st.Request.Expires.Unix(),
		Revision: st.Request.Revision,
	}
	for _, m := range sess.Members {
		out.JoinTokens[m.Label] = m.Token
	}
	return out
}

// sessionType is keygen or sign: the published types.
func sessionType(requestType string) string {
	if requestType == wire.TypeKeygen {
		return "keygen"
	}
	return "sign"
}

// memberView is a party of a session.
type memberView struct {
	PartyID    string `json:"party_id"`
	PartyIndex int    `json:"party_index"` // from 0, as published
	ShareIndex int    `json:"share_index"` // from 1
	Name       string `json:"name"`
	NodeID     string `json:"node_id"`
	DeviceType string `json:"device_type,omitempty"`
	DeviceID   string `json:"device_id,omitempty"`
	Status     string `json:"status"`
	Answer     string `json:"answer,omitempty"` // asking, waiting, approved, rejected, refused, done
	Reason     string `json:"reason,omitempty"`
	CallbackID string `json:"callback_id,omitempty"`
	Released   bool   `json:"released,omitempty"` // it gave its share to the recipient, and knows no signature
}

func viewMember(m coordinator.Member) memberView {
	out := memberView{
		PartyID: m.Label, PartyIndex: int(m.Index) - 1, ShareIndex: int(m.Index), Name: m.Name, NodeID: string(m.NodeID), DeviceType: m.DeviceType,
		DeviceID: m.DeviceID, Status: string(m.State), Answer: string(m.Approval), Reason: m.Reason, CallbackID: m.CallbackID, Released: m.Released,
	}
	if m.State == coordinator.MemberInvited {
		out.Status = "waiting" // as published
	}
	return out
}

// sessionView is the published session status, of both calls that give it.
type sessionView struct {
	SessionID        string       `json:"session_id"`
	SessionType      string       `json:"session_type"`
	SinoID           string       `json:"sino_id"`
	RequestID        string       `json:"request_id"`
	KeyID            string       `json:"key_id"`
	Status           string       `json:"status"`
	ThresholdT       int          `json:"threshold_t"`
	ThresholdN       int          `json:"threshold_n"`
	Participants     []memberView `json:"participants"`
	CompletedParties int          `json:"completed_parties"`
	TotalParties     int          `json:"total_parties"`
	PublicKey        string       `json:"public_key,omitempty"`
	signatureView
	Error     string `json:"error,omitempty"`
	ErrorCode string `json:"error_code,omitempty"`
	CreatedAt int64  `json:"created_at"`
	Deadline  int64  `json:"deadline,omitempty"`
	EndedAt   int64  `json:"ended_at,omitempty"`
	ExpiresAt int64  `json:"expires_at"` // of the request
	Revision  uint64 `json:"revision"`   // of the request
}

func viewSession(s coordinator.Session, st coordinator.Status) sessionView {
	out := sessionView{
		SessionID: s.ID, SessionType: sessionType(s.Type), SinoID: s.SinoID, RequestID: st.Request.RequestID, KeyID: s.KeyID, Status: string(s.State),
		ThresholdT: s.T, ThresholdN: s.N, TotalParties: len(s.Members), CreatedAt: s.Created.Unix(), Deadline: unix(s.Deadline), EndedAt: unix(s.Ended),
		ExpiresAt: st.Request.Expires.Unix(), Revision: st.Request.Revision,
	}
	for _, m := range s.Members {
		out.Participants = append(out.Participants, viewMember(m))
		if m.State == coordinator.MemberCompleted {
			out.CompletedParties++
		}
	}
	out.Error, out.ErrorCode = failureOf(s.Failure)
	if s.State == coordinator.StateCompleted && st.Key.State == coordinator.KeyActive {
		out.PublicKey = hex.EncodeToString(st.Key.PublicKey)
	}
	if s.State == coordinator.StateCompleted {
		out.signatureView = viewSignature(st)
	}
	return out
}

// signatureView is a finished signature. Encrypted, it is ciphertext for the recipient: nothing of it was verified but who
// reported it.
type signatureView struct {
	Scheme       string         `json:"scheme,omitempty"`        // ecdsa, bip340, taproot, ed25519
	VerifyingKey string         `json:"verifying_key,omitempty"` // what it verifies under
	Signature    string         `json:"signature,omitempty"`     // r ‖ s, or R ‖ s
	RecoveryID   *int           `json:"recovery_id,omitempty"`   // ECDSA
	Encrypted    bool           `json:"encrypted,omitempty"`
	Recipient    *recipientView `json:"recipient,omitempty"` // of what is encrypted
}

func viewSignature(st coordinator.Status) (out signatureView) {
	r := st.Request.Result
	if r == nil || r.Signature == nil {
		return out
	}
	out = signatureView{Scheme: string(r.Scheme), VerifyingKey: hex.EncodeToString(r.VerifyingKey), Signature: hex.EncodeToString(r.Signature),
		Encrypted: r.Encrypted}
	if r.Scheme == "" { // a result of an earlier version
		out.Scheme, out.VerifyingKey = string(derive.SchemeECDSA), hex.EncodeToString(r.DerivedKey)
	}
	if r.Encrypted {
		out.Recipient = viewRecipient(st.Key, st.Request.Recipient)
	} else if out.Scheme == string(derive.SchemeECDSA) {
		out.RecoveryID = new(int(r.RecoveryID))
	}
	return out
}

// recipientView is the party of a key to which its results of sign_type 2 and 3 belong.
type recipientView struct {
	ShareIndex int    `json:"share_index"`
	Name       string `json:"name"`
	NodeID     string `json:"node_id"`
	PublicKey  string `json:"public_key"` // SPKI of the key that results are encrypted to
}

func viewRecipient(k coordinator.Key, r *coordinator.Recipient) *recipientView {
	if r == nil {
		return nil
	}
	out := &recipientView{ShareIndex: int(r.Index), PublicKey: r.Key}
	for _, seat := range k.Seats {
		if seat.Index == r.Index {
			out.Name, out.NodeID = seat.Name, string(seat.NodeID)
		}
	}
	return out
}

func failureOf(f *coordinator.Failure) (message, code string) {
	if f == nil {
		return "", ""
	}
	return f.Message, string(f.Cause)
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// requestView is a request with what came of it.
type requestView struct {
	SinoID       string `json:"sino_id"`
	RequestID    string `json:"request_id"`
	RequestType  string `json:"request_type"`
	AccountID    string `json:"account_id"`
	State        string `json:"state"`
	Revision     uint64 `json:"revision"`
	Error        string `json:"error,omitempty"` // why it failed, or why its last session did
	ErrorCode    string `json:"error_code,omitempty"`
	KeyID        string `json:"key_id"`
	KeyState     string `json:"key_state"`
	Cryptography string `json:"cryptography"`
	ThresholdT   int    `json:"threshold_t"`
	ThresholdN   int    `json:"threshold_n"`
	Path         string `json:"path,omitempty"`
	PublicKey    string `json:"public_key,omitempty"` // the root's
	ChainCode    string `json:"chain_code,omitempty"`
	DerivedKey   string `json:"derived_key,omitempty"` // at the path
	Digest       string `json:"digest,omitempty"`      // of Ed25519: SHA-256 of the message
	signatureView
	Parties   []memberView  `json:"parties"`  // of the latest session
	Sessions  []sessionView `json:"sessions"` // oldest first
	CreatedAt int64         `json:"created_at"`
	ExpiresAt int64         `json:"expires_at"`
}

func viewRequest(st coordinator.Status) requestView {
	r := st.Request
	out := requestView{
		SinoID: r.SinoID, RequestID: r.RequestID, RequestType: r.Type, AccountID: r.Account, State: string(r.State), Revision: r.Revision, KeyID: r.KeyID,
		KeyState: string(st.Key.State), Cryptography: st.Key.Cryptography, ThresholdT: r.T, ThresholdN: r.N, Path: r.Path, CreatedAt: r.Created.Unix(), ExpiresAt: r.Expires.Unix(),
	}
	out.Error, out.ErrorCode = failureOf(r.Failure)
	for _, s := range st.Sessions {
		out.Sessions = append(out.Sessions, viewSession(s, st))
	}
	out.Parties = out.Sessions[len(out.Sessions)-1].Participants
	if result := r.Result; result != nil {
		out.PublicKey, out.ChainCode, out.DerivedKey = hex.EncodeToString(result.PublicKey), hex.EncodeToString(result.ChainCode), hex.EncodeToString(result.DerivedKey)
		out.Digest, out.signatureView = hex.EncodeToString(result.Digest), viewSignature(st)
	}
	return out
}
