package node

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// Buckets of the sealed store (docs/FORMATS.md, node).
const (
	bucketIdentity = "identity" // key "p256": the identity key
	bucketKey      = "key"      // key id: a share and what is known of it
	bucketRequest  = "request"  // sino_id: a request and what came of it
	bucketNonce    = "nonce"    // requester key id / nonce: which request used it, until when
	bucketReport   = "report"   // callback_id: a signature report that is not acknowledged yet
	bucketOutcome  = "outcome"  // callback_id: the word on how an approved request ended, as far as it is not acknowledged yet
	bucketSession  = "session"  // session id: that this node has contributed to it
)

const recordVersion = 1

// State of a request at this node.
type State string

// The states. Rejected, refused, done and share-released are final.
const (
	StateAsking   State = "asking"   // a callback body is stored; no answer that counts yet
	StateWaiting  State = "waiting"  // the callback said Wait
	StateApproved State = "approved" // the callback approved, or there is none
	StateRejected State = "rejected" // the callback rejected
	StateRefused  State = "refused"  // this node refused, or the callback could not be reached
	StateDone     State = "done"     // the result is stored
	// StateReleased: this node gave its share to the signature's recipient, and learns neither the signature nor whether
	// there is one.
	StateReleased State = "share-released"
)

func (s State) final() bool {
	return s == StateRejected || s == StateRefused || s == StateDone || s == StateReleased
}

// requestRecord is one request, as stored: the terms as they arrived, the callback body that approval was asked with, and
// the result.
type requestRecord struct {
	Version       int                     `json:"v"`
	SinoID        string                  `json:"sino_id"`
	KeyID         string                  `json:"key_id"`
	Content       [32]byte                `json:"content_hash"` // of Terms as offered
	Terms         manifest.Terms          `json:"terms"`        // without message and tx_info once the request is final
	Authorization *manifest.Authorization `json:"authorization,omitempty"`
	Digest        []byte                  `json:"digest,omitempty"`    // as in the manifest
	SignType      string                  `json:"sign_type,omitempty"` // as asked: a lone digest is raw data
	Message       string                  `json:"message,omitempty"`   // as the callback sees it
	TxInfo        []byte                  `json:"tx_info,omitempty"`   // as the callback sees it
	State         State                   `json:"state"`
	Reason        string                  `json:"reason,omitempty"`
	Recipient     string                  `json:"recipient,omitempty"` // keygen: what this node states of itself
	Ask           *askRecord              `json:"ask,omitempty"`
	Expires       time.Time               `json:"expires"`
	Sessions      []string                `json:"sessions,omitempty"` // joined, oldest first: each once
	Released      bool                    `json:"share_released,omitempty"`
	Report        *manifest.Report        `json:"report,omitempty"` // of the session that gave the result

	signature []byte // SHA-256 of the signature, while it is being stored
	lost      bool   // the share went out in a session that came to no result here, while that is being stored
}

// askRecord is one question to the callback, kept before it is sent: the protocol starts only from this body.
type askRecord struct {
	CallbackID string        `json:"callback_id"`
	Body       []byte        `json:"body"`
	Signature  string        `json:"signature"`
	Action     wire.Action   `json:"action,omitempty"`   // empty until an answer that counts has come
	Approved   bool          `json:"approved,omitempty"` // by one server at least, whatever Action is
	Reason     string        `json:"reason,omitempty"`
	Wait       time.Duration `json:"wait,omitempty"`
	AnsweredAt time.Time     `json:"answered_at,omitzero"`
	Outcome    string        `json:"outcome,omitempty"`  // the final word about it, once there is one: it is stored with the word itself
	Restored   bool          `json:"restored,omitempty"` // it came with a backup: what became of it since the store does not know
}

// owes tells whether a final word is due about the question: some server has approved it, or may have, and none was said.
func (a *askRecord) owes() bool {
	return a != nil && a.Outcome == "" && (a.Approved || a.Action == wire.Approve || a.Action == "")
}

// shrink drops what a final request is not needed for any more, so that requests which come to nothing cost little: what was
// asked for stays as its hash.
func (r *requestRecord) shrink() {
	if !r.State.final() {
		return
	}
	r.Terms.Message, r.Terms.TxInfo, r.Message, r.TxInfo = "", nil, "", nil
	if r.Ask != nil {
		ask := *r.Ask
		ask.Body, ask.Signature = nil, ""
		r.Ask = &ask
	}
}

func (r *requestRecord) asked() wire.Asked {
	return wire.Asked{CallbackID: r.Ask.CallbackID, ExtraInfo: r.extraInfo()}
}

func (r *requestRecord) extraInfo() wire.ExtraInfo {
	return wire.ExtraInfo{SinoID: r.SinoID, RequestID: r.Terms.RequestID}
}

// KeyState is how far a share is.
type KeyState string

// The states of a share.
const (
	KeyPending KeyState = "pending" // stored here; not all parties have confirmed theirs
	KeyActive  KeyState = "active"  // all parties have confirmed: it signs, and its address may be shown
	// KeyUnconfirmed: the share came from a backup, and does not sign until the other parties have said that it is the newest.
	KeyUnconfirmed KeyState = "unconfirmed"
	KeyStale       KeyState = "stale" // it came from a backup, and the parties have made another since: it never signs
)

func article(s KeyState) string {
	if s == KeyActive || s == KeyUnconfirmed {
		return "an " + string(s)
	}
	return "a " + string(s)
}

// keyRecord is one share and what the parties said about it.
type keyRecord struct {
	Version   int                    `json:"v"`
	KeyID     string                 `json:"key_id"`
	Epoch     uint32                 `json:"epoch"`
	State     KeyState               `json:"state"`
	Share     []byte                 `json:"share"` // signing.Share, encoded
	Index     byte                   `json:"index"`
	Statement [32]byte               `json:"statement_hash"`
	Parties   []manifest.Party       `json:"parties"`
	Recipient string                 `json:"recipient,omitempty"`
	Confirmed map[byte]*confirmation `json:"confirmed"`          // by party, own included
	Told      bool                   `json:"told,omitempty"`     // the coordinator has taken over this node's word that its share is active
	Restored  *restored              `json:"restored,omitempty"` // unconfirmed and stale shares only
	Created   time.Time              `json:"created"`
	LastUsed  time.Time              `json:"last_used,omitzero"`
}

// confirmation is what one party has said of its share of this key and epoch.
type confirmation struct {
	Signature []byte `json:"signature"` // empty where the party has said so in an EpochStatement
	Active    bool   `json:"active"`
}

// wipe overwrites the share. The record must not be stored after that.
func (k *keyRecord) wipe() {
	if k != nil {
		secret.Wipe(k.Share)
		k.Share = nil
	}
}

// allConfirmed tells whether every party has stored its share.
func (k *keyRecord) allConfirmed() bool { return len(k.Confirmed) == len(k.Parties) }

// allActive tells whether every party uses its share.
func (k *keyRecord) allActive() bool {
	for _, c := range k.Confirmed {
		if !c.Active {
			return false
		}
	}
	return k.allConfirmed()
}

// nonceRecord says which request used up a requester's nonce.
type nonceRecord struct {
	Version int       `json:"v"`
	SinoID  string    `json:"sino_id"`
	Expires time.Time `json:"expires"`
}

// sessionRecord says that this node has contributed to a session, and for which request.
type sessionRecord struct {
	Version int       `json:"v"`
	SinoID  string    `json:"sino_id"`
	Joined  time.Time `json:"joined"`
}

// reportRecord is a signature report, or the word on how an approved request ended, that some callback server has not
// acknowledged yet.
type reportRecord struct {
	Version    int        `json:"v"`
	CallbackID string     `json:"callback_id"`
	Asked      wire.Asked `json:"asked"`
	Body       []byte     `json:"body"`
	Signature  string     `json:"signature"`

	word string // of an outcome, while it is being stored
}

// nonceKey names a nonce record: requester and nonce are bounded and checked before.
func nonceKey(a *manifest.Authorization) string {
	sum := sha256.Sum256(wire.SigningBytes("nonce", []byte(a.KeyID), []byte(a.Nonce)))
	return fmt.Sprintf("%x", sum)
}

// records reads and writes the node's records in its sealed store.
type records struct{ store *keystore.Store }

// view runs fn in a read-only transaction.
func (r records) view(fn func(*keystore.Tx) error) error { return r.run(r.store.View, fn) }

// update runs fn in a transaction that is on the disk when this returns nil.
func (r records) update(fn func(*keystore.Tx) error) error { return r.run(r.store.Update, fn) }

// run runs fn in a transaction. What the store itself says names its file: of that others hear no more than its state.
func (r records) run(transaction func(func(*keystore.Tx) error) error, fn func(*keystore.Tx) error) error {
	var own error
	err := transaction(func(tx *keystore.Tx) error {
		own = fn(tx)
		return own
	})
	if err == nil || own != nil || errors.Is(err, keystore.ErrSealed) || errors.Is(err, keystore.ErrClosed) {
		return err
	}
	return &private{err, "this node could not use its key store: its log says why"}
}

func put(tx *keystore.Tx, bucket, key string, record any) error {
	data, err := json.Marshal(record)
	defer secret.Wipe(data)
	if err != nil {
		return fmt.Errorf("encode %s record: %w", bucket, err)
	}
	return tx.Put(bucket, key, data)
}

// get reads one record; found is false if there is none.
func get(tx *keystore.Tx, bucket, key string, record any) (found bool, err error) {
	data, err := tx.Get(bucket, key)
	if errors.Is(err, keystore.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer secret.Wipe(data)
	return true, decode(bucket, key, data, record)
}

// decode reads a record and refuses a version that this program does not know.
func decode(bucket, key string, data []byte, record any) error {
	var head struct {
		Version int `json:"v"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("record %s/%s does not parse: %v", bucket, key, err)
	}
	if head.Version != recordVersion {
		return fmt.Errorf("record %s/%s has version %d, this program reads %d: use the version that wrote it, or a newer one", bucket, key, head.Version, recordVersion)
	}
	if err := json.Unmarshal(data, record); err != nil {
		return fmt.Errorf("record %s/%s does not parse: %v", bucket, key, err)
	}
	return nil
}

// saveRequest stores one request; extra, if not nil, joins the same transaction.
func (r records) saveRequest(rec *requestRecord, extra func(*keystore.Tx) error) error {
	rec.Version = recordVersion
	rec.shrink()
	err := r.update(func(tx *keystore.Tx) error {
		if extra != nil {
			if err := extra(tx); err != nil {
				return err
			}
		}
		return put(tx, bucketRequest, rec.SinoID, rec)
	})
	if err != nil {
		return fmt.Errorf("store request %s: %w", rec.SinoID, err)
	}
	return nil
}

func (r records) request(sinoID string) (*requestRecord, error) {
	rec := new(requestRecord)
	found := false
	err := r.view(func(tx *keystore.Tx) (err error) {
		found, err = get(tx, bucketRequest, sinoID, rec)
		return err
	})
	if err != nil || !found {
		return nil, err
	}
	return rec, nil
}

// key reads one key's record; nil if there is none. The caller wipes it.
func (r records) key(keyID string) (*keyRecord, error) {
	rec := new(keyRecord)
	found := false
	err := r.view(func(tx *keystore.Tx) (err error) {
		found, err = get(tx, bucketKey, keyID, rec)
		return err
	})
	if err != nil || !found {
		return nil, err
	}
	return rec, nil
}

// updateKey changes one key's record in a transaction; change may say that nothing needs to be written.
func (r records) updateKey(keyID string, change func(*keyRecord) (write bool, err error)) error {
	return r.update(func(tx *keystore.Tx) error { return changeKey(tx, keyID, change) })
}

// changeKey is updateKey inside a transaction.
func changeKey(tx *keystore.Tx, keyID string, change func(*keyRecord) (write bool, err error)) error {
	rec := new(keyRecord)
	defer rec.wipe()
	found, err := get(tx, bucketKey, keyID, rec)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("key %s is not held here", keyID)
	}
	write, err := change(rec)
	if err != nil || !write {
		return err
	}
	return put(tx, bucketKey, keyID, rec)
}

// each calls f with every record of a bucket.
func each[T any](r records, bucket string, f func(*T) error) error {
	return r.view(func(tx *keystore.Tx) error {
		return tx.ForEach(bucket, "", func(key string, data []byte) error {
			rec := new(T)
			if err := decode(bucket, key, data, rec); err != nil {
				return err
			}
			return f(rec)
		})
	})
}
