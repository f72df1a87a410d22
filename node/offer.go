package node

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// maxRequestLife bounds how far ahead a request may expire: a day, and an hour for clocks that differ.
const maxRequestLife = 25 * time.Hour

// offer is an Offer frame with its parts in the types that are checked.
type offer struct {
	session, sinoID, token, keyID string
	terms                         manifest.Terms
	auth                          *manifest.Authorization
	parties                       []manifest.Party // index and node id only
	expires                       time.Time
}

// readOffer turns a frame into an offer and checks its form.
func readOffer(o *linkv1.Offer) (offer, error) {
	t := o.GetTerms()
	out := offer{session: o.SessionId, sinoID: o.SinoId, token: o.JoinToken, keyID: o.KeyId, expires: time.Unix(o.Expires, 0)}
	if len(o.SessionId) == 0 || len(o.SessionId) > 64 || len(o.SinoId) == 0 || len(o.SinoId) > 64 || len(o.JoinToken) > 256 {
		return out, errors.New("session id, request id or join token is missing or too long")
	}
	out.terms = manifest.Terms{
		Type: t.GetType(), RequestID: t.GetRequestId(), KeyID: t.GetKeyId(), T: int(t.GetT()), N: int(t.GetN()),
		Cryptography: t.GetCryptography(), Path: t.GetPath(), SignType: t.GetSignType(), Message: t.GetMessage(),
		TxInfo: t.GetTxInfo(), TapScriptRoot: t.GetTapScriptRoot(),
	}
	for _, p := range t.GetParties() {
		id, err := wire.ParseNodeID(p)
		if err != nil {
			return out, fmt.Errorf("party of the request: %w", err)
		}
		out.terms.Parties = append(out.terms.Parties, id)
	}
	if err := out.terms.Validate(); err != nil {
		return out, err
	}
	if !out.terms.IsKeygen() {
		out.keyID = out.terms.KeyID
	}
	if len(out.keyID) == 0 || len(out.keyID) > 64 {
		return out, errors.New("key id is missing or too long")
	}
	if a := o.Authorization; a != nil {
		if len(a.KeyId) > 128 || len(a.Signature) > 128 {
			return out, errors.New("requester's signature is too long")
		}
		out.auth = &manifest.Authorization{KeyID: a.KeyId, Expiry: a.Expiry, Nonce: a.Nonce, Signature: a.Signature}
	}
	for _, p := range o.Parties {
		id, err := wire.ParseNodeID(p.NodeId)
		if err != nil || p.Index == 0 || p.Index > manifest.MaxParties {
			return out, fmt.Errorf("party %d of the session is not well formed", p.Index)
		}
		out.parties = append(out.parties, manifest.Party{Index: byte(p.Index), NodeID: id})
	}
	return out, nil
}

// accept decides by this node's own rules whether it takes part in what is offered, and makes the record of the request.
// An error is the reason of a refusal: it is told to the requester.
func (p *party) accept(o offer) (*requestRecord, error) {
	now := p.clock()
	if !o.expires.After(now) {
		return nil, errors.New("the request has expired")
	}
	if o.expires.After(now.Add(maxRequestLife)) {
		return nil, fmt.Errorf("the request would live until %s: at most %s are allowed", o.expires.UTC().Format(time.RFC3339), maxRequestLife)
	}
	err := p.checkRequester(o)
	if err != nil {
		return nil, err
	}
	rec := &requestRecord{SinoID: o.sinoID, KeyID: o.keyID, Content: o.terms.ContentHash(), Terms: o.terms, Authorization: o.auth, State: StateAsking, Expires: o.expires}
	if o.auth != nil {
		// The requester signed until when it wants this; how long the request lives is the coordinator's word only.
		if until := time.Unix(o.auth.Expiry, 0); until.Before(rec.Expires) {
			rec.Expires = until
		}
	}
	if !o.terms.IsKeygen() {
		return rec, p.acceptSign(o, rec)
	}
	if rec.Recipient, err = p.settings.Recipient(); err != nil {
		return nil, err
	}
	return rec, p.acceptKeygen(o)
}

// checkRequester verifies who asked, where the node is set to know.
func (p *party) checkRequester(o offer) error {
	known, required, err := p.settings.Requesters()
	if err != nil {
		return prefixed("the requesters of this node cannot be read", err)
	}
	if o.auth == nil {
		if required {
			return errors.New("the request is not signed: this node takes requests only from the keys listed in its [authorization]")
		}
		return nil
	}
	key, ok := known[o.auth.KeyID]
	if !ok {
		return fmt.Errorf("requester key %.16s… is not listed in this node's [authorization]", o.auth.KeyID)
	}
	return o.auth.Verify(key, o.terms, p.clock())
}

func (p *party) acceptKeygen(o offer) error {
	t := o.terms
	if t.Cryptography != wire.ECDSASecp256k1 && t.Cryptography != wire.EdDSAEd25519 {
		return fmt.Errorf("keygen of cryptography %q is not done: %s and %s are", excerpt(t.Cryptography), wire.ECDSASecp256k1, wire.EdDSAEd25519)
	}
	if err := p.checkKeygenParties(o); err != nil {
		return err
	}
	held, err := p.records.key(o.keyID)
	if err != nil {
		return err
	}
	if held != nil {
		held.wipe()
		return fmt.Errorf("this node holds %s share of key %s already: make a new keygen request", article(held.State), o.keyID)
	}
	return nil
}

// checkKeygenParties holds the session's parties against those that the request names, in their order.
func (p *party) checkKeygenParties(o offer) error {
	t := o.terms
	if len(o.parties) != t.N {
		return fmt.Errorf("the session has %d parties, the request %d", len(o.parties), t.N)
	}
	for i, id := range t.Parties {
		if o.parties[i].NodeID != id || int(o.parties[i].Index) != i+1 {
			return fmt.Errorf("party %d of the session is not party %d of the request", o.parties[i].Index, i+1)
		}
	}
	if !p.isParty(o.parties) {
		return errors.New("this node is not a party of the request")
	}
	return p.checkPeers(o.parties)
}

// checkPeers refuses parties that are not on this node's allow-list.
func (p *party) checkPeers(parties []manifest.Party) error {
	allowed, err := p.settings.Parties()
	if err != nil {
		return prefixed("the allow-list of parties cannot be read", err)
	}
	for _, party := range parties {
		if party.NodeID != p.id && !allowed[party.NodeID] {
			return fmt.Errorf("party %d (%s) is not on this node's allow-list (parties.party-ids)", party.Index, party.NodeID.Short())
		}
	}
	return nil
}

// requesterInfo is tx_info as the callback sees it: compact, with the requester that this node verified and no other.
func requesterInfo(o offer) ([]byte, error) {
	requester := wire.Requester{}
	if o.auth != nil {
		requester = wire.Requester{KeyID: o.auth.KeyID, Signature: hex.EncodeToString(o.auth.Signature)}
	}
	if len(o.terms.TxInfo) == 0 && o.auth == nil {
		return nil, nil
	}
	out, err := wire.SetRequester(o.terms.TxInfo, requester)
	if err != nil {
		return nil, fmt.Errorf("tx_info: %w", err)
	}
	return out, nil
}

// takeNonce makes sure that a requester's signature serves one request only.
func takeNonce(rec *requestRecord) func(*keystore.Tx) error {
	return func(tx *keystore.Tx) error {
		a := rec.Authorization
		if a == nil {
			return nil
		}
		used := new(nonceRecord)
		found, err := get(tx, bucketNonce, nonceKey(a), used)
		if err != nil {
			return err
		}
		if found && used.SinoID != rec.SinoID {
			return errNonceUsed
		}
		return put(tx, bucketNonce, nonceKey(a), nonceRecord{Version: recordVersion, SinoID: rec.SinoID, Expires: time.Unix(a.Expiry, 0)})
	}
}

var errNonceUsed = errors.New("the requester's signature was used for another request already: sign each request anew")

func (p *party) isParty(parties []manifest.Party) bool {
	for _, party := range parties {
		if party.NodeID == p.id {
			return true
		}
	}
	return false
}

func partyOf(parties []manifest.Party, index byte) (manifest.Party, bool) {
	for _, p := range parties {
		if p.Index == index {
			return p, true
		}
	}
	return manifest.Party{}, false
}
