package e2e_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/btcsuite/btcd/btcec/v2"

	"github.com/countersign-mpc/countersign/e2e/cluster"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// asked is a request of another kind than a transfer, with what is needed to verify what comes of it.
type asked struct {
	key   cluster.Request // the keygen
	spend *cluster.Spend  // of a Bitcoin payment
	terms manifest.Terms  // else
}

// kindCommands are about requests of other kinds than transfers.
func (w *world) kindCommands() map[string]command {
	return map[string]command{
		// spend ID taproot|tree|rune|brc20|three [field=value…]: ask for a Bitcoin payment; see changes for the fields
		"spend": simple(2, w.spend),
		// sign ID KEY SIGN_TYPE TEXT [field=value…]: ask for a message or for raw data
		"sign": simple(4, w.signData),
		// good ID: others' code verifies what came of it
		"good": simple(1, w.good),
		// newkey NAME CRYPTOGRAPHY T: a key of a, b and c, T of which sign
		"newkey": simple(3, w.newKey),
		// encrypt on|off: whether node a has the results of keys that are made from now on encrypted
		"encrypt": simple(1, func(ctx context.Context, a []string) error { return w.c.Encrypt(ctx, a[0] == "on") }),
		// decrypt on|off: whether the callback has the key for them; restarts it
		"decrypt": simple(1, func(ctx context.Context, a []string) error { w.c.Decrypts = a[0] == "on"; return w.c.Learn(ctx) }),
		// stored ID verified|encrypted: what the callback keeps of an encrypted result
		"stored": simple(2, w.stored),
		// secret ID NAME…: neither the logs of processes nor the callback's store hold the signature that the callback keeps
		"secret": simple(1, w.secret),
		// unmatched: a result that nobody asked for is found out, and counted
		"unmatched": simple(0, w.unmatched),
		// segments NODE…: change a running node from its password to 2-of-3 segments, which are in $SETUP/segments/NODE
		"segments": simple(1, func(ctx context.Context, a []string) error {
			return w.each(a, func(n string) error { return w.c.Segment(ctx, n) })
		}),
		// takeaway NODE: have a running node write a backup, and copy it to $SETUP/usb/NODE.db
		"takeaway": simple(1, func(ctx context.Context, a []string) error { _, err := w.c.Backup(ctx, a[0]); return err }),
		// lose NODE: kill a node and destroy its folder; it gets another one, with a configuration alone, at $NODE_X
		"lose": w.lose,
		// share NODE KEY STATE: until the node's share of a key is in a state
		"share": simple(3, w.shareState),
	}
}

// newKey makes a key of all three nodes and tells the callback about it: it may sign raw data, messages and by scripts.
func (w *world) newKey(ctx context.Context, a []string) error {
	name, cryptography := a[0], a[1]
	t, err := strconv.Atoi(a[2])
	if err != nil {
		return err
	}
	terms := w.keygenTerms("key-"+name, "c")
	terms.Cryptography, terms.T = cryptography, t
	if err := w.submit(ctx, terms.RequestID, terms); err != nil {
		return err
	}
	made, err := w.c.API().Await(ctx, w.sino[terms.RequestID], "the keygen", func(r cluster.Request) bool { return r.State == "completed" })
	if err != nil {
		return err
	}
	w.keys[name] = made
	return w.c.Learn(ctx, cluster.Key{PublicKey: made.PublicKey, ChainCode: made.ChainCode, Raw: true, Messages: cryptography == wire.ECDSASecp256k1})
}

// spends are the Bitcoin payments that scripts can ask for, each with the amount that it moves where nothing else is said.
var spends = map[string]func(key *btcec.PublicKey, amount uint64) (cluster.Spend, error){
	"taproot": func(key *btcec.PublicKey, _ uint64) (cluster.Spend, error) { return cluster.TaprootSpend(key, false) },
	"tree":    func(key *btcec.PublicKey, _ uint64) (cluster.Spend, error) { return cluster.TaprootSpend(key, true) },
	"rune":    func(key *btcec.PublicKey, n uint64) (cluster.Spend, error) { return cluster.RuneSpend(key, n*100) },
	"brc20": func(key *btcec.PublicKey, n uint64) (cluster.Spend, error) {
		return cluster.InscriptionSpend(key, strconv.FormatUint(n, 10))
	},
	"three": func(key *btcec.PublicKey, n uint64) (cluster.Spend, error) {
		return cluster.ThreeSpend(key, int64(n)*1000)
	},
}

// changes are what a script changes of a request: of the terms before the requester signs them, or of who signs.
type changes struct {
	terms    func(*manifest.Terms)
	claim    func(map[string]any)
	amount   uint64
	unsigned bool
	tampered bool
	signers  []wire.NodeID
}

// changes reads field=value: amount; message, path, root, signers; unsigned, tampered; anything else is a field of tx_info, or of
// its first runeDetails or brc20Details where it is written as details.FIELD (claim.amount is tx_info's).
func (w *world) changes(fields []string) changes {
	c := changes{terms: func(*manifest.Terms) {}, claim: func(map[string]any) {}, amount: 100}
	for _, f := range fields {
		field, value, _ := strings.Cut(f, "=")
		terms, claim := c.terms, c.claim
		switch field {
		case "amount":
			c.amount, _ = strconv.ParseUint(value, 10, 64)
		case "message":
			c.terms = func(t *manifest.Terms) { terms(t); t.Message = value }
		case "path":
			c.terms = func(t *manifest.Terms) { terms(t); t.Path = value }
		case "type":
			c.terms = func(t *manifest.Terms) { terms(t); t.Type = value }
		case "root":
			c.terms = func(t *manifest.Terms) { terms(t); t.TapScriptRoot = value }
		case "unsigned":
			c.unsigned = true
		case "tampered":
			c.tampered = true
		case "signers":
			for name := range strings.SplitSeq(value, ",") {
				c.signers = append(c.signers, w.nodeID(name))
			}
		default:
			c.claim = func(info map[string]any) { claim(info); setClaim(info, field, value) }
		}
	}
	return c
}

func setClaim(info map[string]any, field, value string) {
	inner, ok := strings.CutPrefix(field, "details.")
	if !ok {
		info[strings.TrimPrefix(field, "claim.")] = value
		return
	}
	for _, name := range []string{"runeDetails", "brc20Details"} {
		if details, ok := info[name].([]any); ok {
			details[0].(map[string]any)[inner] = value
		}
	}
}

// spend asks for the signatures of a Bitcoin payment: one request, or for several inputs ID-0, ID-1 …
func (w *world) spend(ctx context.Context, a []string) error {
	id, build := a[0], spends[a[1]]
	if build == nil {
		return fmt.Errorf("no payment %q", a[1])
	}
	path := cluster.TaprootPath
	if a[1] == "three" {
		path = cluster.SegwitPath
	}
	made := w.keys["main"]
	key, err := w.c.API().Secp256k1Child(ctx, made, path)
	if err != nil {
		return err
	}
	change := w.changes(a[2:])
	spend, err := build(key, change.amount)
	if err != nil {
		return err
	}
	spend.RequestID, spend.KeyID, spend.Claim = id, made.KeyID, change.claim
	w.asked[id] = asked{key: made, spend: &spend}
	for i := range spend.Payment.Coins {
		terms, err := spend.Terms(i)
		if err != nil {
			return err
		}
		change.terms(&terms)
		if err := w.submitChanged(ctx, terms, change); err != nil {
			return err
		}
	}
	return nil
}

// signData asks for the signature of a message (sign_type 2), or of raw data, of which the text's bytes are the hash or, for Ed25519,
// the whole.
func (w *world) signData(ctx context.Context, a []string) error {
	id, made, signType, text := a[0], w.keys[a[1]], a[2], a[3]
	if made.KeyID == "" {
		return fmt.Errorf("no key %q", a[1])
	}
	terms := manifest.Terms{Type: wire.TypeSign, RequestID: id, KeyID: made.KeyID, Path: cluster.Path, SignType: signType, Message: text}
	if signType != wire.SignTypeMessage {
		terms.Message = hex.EncodeToString([]byte(text))
	}
	if len(made.PublicKey) == 66 && signType != wire.SignTypeMessage {
		digest, err := cluster.MessageDigest(text)
		if err != nil {
			return err
		}
		terms.Message = hex.EncodeToString(digest)
	}
	change := w.changes(a[4:])
	change.terms(&terms)
	w.asked[id] = asked{key: made, terms: terms}
	return w.submitChanged(ctx, terms, change)
}

func (w *world) submitChanged(ctx context.Context, terms manifest.Terms, change changes) error {
	order := cluster.Order{Terms: terms, Signers: change.signers}
	if !change.unsigned {
		auth, err := w.c.API().Authorize(terms)
		if err != nil {
			return err
		}
		order.Authorization = &auth
	}
	if change.tampered {
		order.Terms.Path += "/1"
	}
	r, err := w.c.API().SubmitOrder(ctx, order)
	if err == nil {
		w.sino[terms.RequestID] = r.SinoID
	}
	return err
}

// good verifies what came of a request with code that is not this project's.
func (w *world) good(ctx context.Context, a []string) error {
	asked, ok := w.asked[a[0]]
	if !ok {
		return fmt.Errorf("nothing was asked for as %q", a[0])
	}
	if asked.spend == nil {
		return w.goodData(ctx, a[0], asked)
	}
	payment := asked.spend.Payment
	for i := range payment.Coins {
		id := a[0]
		if len(payment.Coins) > 1 {
			id = fmt.Sprintf("%s-%d", a[0], i)
		}
		signature, _, err := w.signature(ctx, id)
		if err != nil {
			return err
		}
		if err := payment.Finish(i, signature); err != nil {
			return err
		}
	}
	return payment.Accept()
}

func (w *world) signature(ctx context.Context, id string) ([]byte, cluster.Request, error) {
	r, err := w.c.API().Get(ctx, w.sino[id], 0)
	if err != nil {
		return nil, r, err
	}
	signature, err := hex.DecodeString(r.Signature)
	if err != nil || len(signature) != 64 || r.Encrypted {
		return nil, r, fmt.Errorf("the signature is %q (encrypted: %t)", r.Signature, r.Encrypted)
	}
	return signature, r, nil
}

func (w *world) goodData(ctx context.Context, id string, asked asked) error {
	signature, r, err := w.signature(ctx, id)
	if err != nil {
		return err
	}
	child, err := w.c.API().Child(ctx, asked.key.KeyID, asked.terms.Path)
	if err != nil {
		return err
	}
	if len(asked.key.PublicKey) == 64 {
		message, err := hex.DecodeString(asked.terms.Message)
		if err != nil {
			return err
		}
		public, err := hex.DecodeString(child.DerivedKey)
		if err != nil || len(public) != ed25519.PublicKeySize || !ed25519.Verify(public, message, signature) {
			return errors.New("crypto/ed25519 does not verify the signature")
		}
		return nil
	}
	return w.recovers(asked.terms, append(signature, byte(r.RecoveryID)), child.EVMAddress)
}

// recovers has go-ethereum recover an address from a signature of 65 bytes, or of 64 without the recovery id.
func (w *world) recovers(terms manifest.Terms, signature []byte, want string) error {
	digest, err := hex.DecodeString(terms.Message)
	if terms.SignType == wire.SignTypeMessage {
		digest, err = cluster.MessageDigest(terms.Message)
	}
	if err != nil {
		return err
	}
	candidates := [][]byte{signature}
	if len(signature) == 64 { // r ‖ s alone, as of raw data: the address is one of two
		candidates = [][]byte{append(bytes.Clone(signature), 0), append(bytes.Clone(signature), 1)}
	}
	var signer string
	for _, c := range candidates {
		if signer, err = cluster.MessageSigner(digest, c); err == nil && signer == want {
			return nil
		}
	}
	return errors.Join(err, fmt.Errorf("go-ethereum recovers %s, the key's address is %s", signer, want))
}
