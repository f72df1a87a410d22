package coordinator

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

const maxDeviceText = 128 // bytes of device_type and device_id

// Submit takes an order: a request is made, its first session offered to the parties. An order with the request id of an
// earlier one of the account gives that request if it asks for the same, and is refused with CodeRequestConflict if it
// asks for anything else. created tells whether the request is new.
func (c *Coordinator) Submit(ctx context.Context, o Order) (status Status, created bool, err error) {
	if err := o.check(); err != nil {
		return Status{}, false, err
	}
	err = c.update(ctx, func(s *step) error {
		created = false
		req, err := s.submit(o, &created)
		if err != nil {
			return err
		}
		status, err = s.status(req)
		return err
	})
	if err != nil {
		return Status{}, false, err
	}
	return status, created, nil
}

// check is what can be said of an order without the store.
func (o *Order) check() error {
	if err := checkAccount(o.Account); err != nil {
		return err
	}
	t := o.Terms
	texts := []string{t.Type, t.RequestID, t.KeyID, t.Cryptography, t.Path, t.SignType, t.Message, t.TapScriptRoot, string(t.TxInfo)}
	for _, p := range o.Participants {
		texts = append(texts, p.Party, p.DeviceType, p.DeviceID)
		if len(p.DeviceType) > maxDeviceText || len(p.DeviceID) > maxDeviceText {
			return refuse(CodeInvalid, "device_type and device_id have %d bytes at most", maxDeviceText).field("participants", "too long")
		}
	}
	for _, text := range texts {
		if !utf8.ValidString(text) {
			return refuse(CodeInvalid, "a field is not valid UTF-8")
		}
	}
	if len(o.Participants) > manifest.MaxParties {
		return refuse(CodeInvalid, "%d participants: a key has %d at most", len(o.Participants), manifest.MaxParties).field("participants", "too many")
	}
	if o.Authorization != nil && t.RequestID == "" {
		return refuse(CodeInvalid, "authorization is a signature over request_id too: send both").field("request_id", "missing")
	}
	switch t.Type {
	case wire.TypeKeygen:
		return o.checkKeygen()
	case wire.TypeSign, wire.TypeBIP340SchnorrSign, wire.TypeTaprootSign:
		return checkSign(t)
	case wire.TypeRefresh, wire.TypeReshare, wire.TypePreSign, wire.TypePreSignOnline:
		return refuse(CodeUnsupported, "request_type %s is not done by this version: %s are", t.Type, requestTypes).field("request_type", "not supported")
	default:
		return refuse(CodeInvalid, "request_type %q is unknown: it is one of %s", clip(t.Type, 40), requestTypes).field("request_type", "unknown")
	}
}

func (s *step) submit(o Order, created *bool) (*Request, error) {
	terms := o.Terms
	known, err := s.requestOf(o.Account, terms.RequestID)
	if err != nil {
		return nil, err
	}
	seats, err := s.resolve(o.Account, o.Participants)
	if err != nil {
		return nil, err
	}
	var key *Key
	if terms.IsKeygen() {
		for i := range seats {
			seats[i].Index = byte(i + 1)
			terms.Parties = append(terms.Parties, seats[i].NodeID)
		}
	} else {
		if key, err = s.keyFor(o.Account, &terms, known); err != nil {
			return nil, err
		}
		if (o.WantT != 0 && o.WantT != key.T) || (o.WantN != 0 && o.WantN != len(key.Seats)) {
			return nil, refuse(CodeThreshold, "key %s is %d of %d", key.ID, key.T, len(key.Seats)).field("threshold_t", "not that of the key")
		}
		if err := checkMessage(terms, key.Cryptography); err != nil {
			return nil, err
		}
		if seats, err = signersOf(key, seats, recipientOf(key, terms)); err != nil {
			return nil, err
		}
	}
	if terms.RequestID == "" {
		terms.RequestID = newRequestID()
	}
	if err := terms.Validate(); err != nil {
		return nil, refuse(CodeInvalid, "%v", err)
	}
	hash := terms.ContentHash()
	if known != nil {
		if !known.sameAs(hash[:], seats, len(o.Participants) > 0) {
			return nil, refuse(CodeRequestConflict, "request_id %s stands for a request with other content already (sino_id %s): use a new one", clip(terms.RequestID, 64), known.SinoID).field("request_id", "in use")
		}
		return known, nil
	}
	*created = true
	req := &Request{
		SinoID: newUUID(), Account: o.Account, RequestID: terms.RequestID, Type: terms.Type, ContentHash: hash[:], KeyID: terms.KeyID,
		T: terms.T, N: terms.N, Path: terms.Path, Seats: seats, Named: !terms.IsKeygen() && len(o.Participants) > 0,
		Created: s.now, State: StateCreated,
	}
	return req, s.open(req, key, o, terms)
}

// open checks what depends on the present only, stores a new request and offers its first session.
func (s *step) open(req *Request, key *Key, o Order, terms manifest.Terms) error {
	life, err := s.c.limits.life(o.Life)
	if err != nil {
		return err
	}
	req.Expires = s.now.Add(life).Truncate(time.Second) // as nodes are told it, so that neither side ends a request before the other
	if key != nil {
		if key.State != KeyActive {
			return refuse(CodeKeyNotActive, "key %s is %s: it signs once all its parties have confirmed their shares", key.ID, key.State).field("key_id", string(key.State))
		}
		if _, err := targetOf(key, terms); err != nil {
			return refuse(CodeInvalid, "key %s cannot sign this: %v", key.ID, err)
		}
		req.T, req.N, req.Recipient = key.T, len(key.Seats), recipientOf(key, terms)
	}
	open, err := s.keys(TableOpen, prefixOf(req.Account), s.c.limits.OpenRequests)
	if err != nil {
		return err
	}
	if len(open) >= s.c.limits.OpenRequests {
		return refuse(CodeTooMany, "%d requests of this account are open, the most that is allowed: wait for one to end", len(open))
	}
	if terms.IsKeygen() {
		req.KeyID = newUUID()
		key = &Key{ID: req.KeyID, Account: req.Account, SinoID: req.SinoID, Cryptography: terms.Cryptography, T: terms.T,
			Seats: req.Seats, State: KeyPending, Created: s.now}
		if err := s.newKey(key); err != nil {
			return err
		}
	}
	if err := put(s, TableTerms, req.SinoID, &termsRecord{Terms: terms, Authorization: o.Authorization}); err != nil {
		return err
	}
	for table, k := range map[Table]string{TableRequestIDs: keyOf(req.Account, req.RequestID), TableOpen: keyOf(req.Account, req.SinoID)} {
		if err := s.Put(table, k, []byte(req.SinoID)); err != nil {
			return fmt.Errorf("store request: %w", err)
		}
	}
	s.info("request taken", "sino_id", req.SinoID, "account", req.Account, "type", req.Type, "key_id", req.KeyID)
	s.after = append(s.after, func() { s.c.metrics.requests.WithLabelValues(req.Type).Inc() })
	return s.startSession(req)
}

func (l Limits) life(asked time.Duration) (time.Duration, error) {
	switch {
	case asked == 0:
		return l.RequestLife, nil
	case asked < MinRequestLife || asked > l.RequestLife:
		return 0, refuse(CodeInvalid, "a request may live for %s to %s", MinRequestLife, l.RequestLife).field("expires_in_seconds", "out of bounds")
	}
	return asked, nil
}

// requestOf finds the request behind an account's request id; nil if there is none.
func (s *step) requestOf(account, requestID string) (*Request, error) {
	if requestID == "" || len(requestID) > manifest.MaxTextSize {
		return nil, nil
	}
	id, err := s.Get(TableRequestIDs, keyOf(account, requestID))
	if err != nil {
		return nil, fmt.Errorf("read request id: %w", err)
	}
	if id == nil {
		return nil, nil
	}
	return must[Request](s, TableRequests, string(id))
}

func (r *Request) sameAs(hash []byte, seats []Seat, named bool) bool {
	if !bytes.Equal(r.ContentHash, hash) {
		return false
	}
	if r.Type == wire.TypeKeygen {
		return true // its parties are part of the terms
	}
	return r.Named == named && (!named || slices.EqualFunc(r.Seats, seats, func(a, b Seat) bool { return a.NodeID == b.NodeID }))
}

// keyFor finds the key that signs: the one that is named, or the account's only active one that can sign this.
func (s *step) keyFor(account string, terms *manifest.Terms, known *Request) (*Key, error) {
	if terms.KeyID == "" && known != nil {
		terms.KeyID = known.KeyID
	}
	if terms.KeyID == "" {
		active, err := s.activeKeys(account, func(key *Key) bool { return serves(key.Cryptography, *terms) })
		if err != nil {
			return nil, err
		}
		switch len(active) {
		case 0:
			return nil, refuse(CodeKeyNotActive, "this account has no active key that signs this: make one first (POST /api/v1/mpc/keygen)").field("key_id", "missing")
		case 1:
			terms.KeyID = active[0].ID
		default:
			return nil, refuse(CodeInvalid, "this account has several active keys: name one by key_id").field("key_id", "missing")
		}
	}
	if len(terms.KeyID) > manifest.MaxTextSize {
		return nil, refuse(CodeNotFound, "there is no such key").field("key_id", "not found")
	}
	key, err := get[Key](s, TableKeys, terms.KeyID)
	if err != nil {
		return nil, err
	}
	if key == nil || key.Account != account {
		return nil, refuse(CodeNotFound, "there is no key %s in this account", clip(terms.KeyID, 64)).field("key_id", "not found")
	}
	return key, nil
}

// signersOf gives the seats of a signing: those of the named signers, or all of the key. The party that the result is for has
// to be one of them: the others give their shares to it.
func signersOf(key *Key, named []Seat, recipient *Recipient) ([]Seat, error) {
	if len(named) == 0 {
		return key.Seats, nil
	}
	switch {
	case len(named) < key.T:
		return nil, refuse(CodeThreshold, "%d signers are named: key %s needs %d", len(named), key.ID, key.T).field("participants", "too few")
	case len(named) > key.T:
		return nil, refuse(CodeInvalid, "%d signers are named: key %s needs exactly %d; name so many, or none", len(named), key.ID, key.T).field("participants", "too many")
	}
	there := recipient == nil
	for i := range named {
		seat := slices.IndexFunc(key.Seats, func(k Seat) bool { return k.NodeID == named[i].NodeID })
		if seat < 0 {
			return nil, refuse(CodeInvalid, "%s is not a party of key %s", named[i].Name, key.ID).field(fmt.Sprintf("participants[%d].party_id", i), "not a party of the key")
		}
		named[i].Index = key.Seats[seat].Index
		there = there || named[i].Index == recipient.Index
	}
	if !there {
		return nil, refuse(CodeInvalid, "results of key %s for sign_type 2 and 3 belong to party %s (encrypt-signature), which is not among the named signers: name it, or nobody",
			key.ID, key.seatAt(recipient.Index).Name).field("participants", "without the recipient")
	}
	slices.SortFunc(named, func(a, b Seat) int { return cmp.Compare(a.Index, b.Index) })
	return named, nil
}
