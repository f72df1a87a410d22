package node

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/wire"
)

// target is the key that a request signs with, and how.
type target struct {
	cryptography string
	scheme       derive.Scheme
	root         []byte // the key's public key
	derived      derive.Derived
	scriptRoot   []byte // taproot-sign: 32 bytes, or nothing
	verifying    []byte // the key under which the signature verifies
}

// targetOf finds what the terms of a signing mean for a share. A request that the share's algorithm cannot serve is an
// error.
func targetOf(share *signing.Share, t manifest.Terms) (target, error) {
	out := target{cryptography: share.Algorithm().String(), root: share.PublicKey()}
	var err error
	if out.scheme, err = derive.SchemeOf(t.Type, out.cryptography); err != nil {
		return out, fmt.Errorf("key %s: %w", t.KeyID, err)
	}
	if t.TapScriptRoot != "" && out.scheme != derive.SchemeTaproot {
		return out, errors.New("tapScriptRoot is for taproot-sign only")
	}
	if out.scriptRoot, err = hex.DecodeString(t.TapScriptRoot); err != nil || (len(out.scriptRoot) != 0 && len(out.scriptRoot) != 32) {
		return out, errors.New("tapScriptRoot is neither empty nor 32 bytes of hex")
	}
	path, err := derive.ParsePath(t.Path)
	if err != nil {
		return out, fmt.Errorf("path: %w", err)
	}
	chain := share.ChainCode()
	if out.derived, err = derive.Child(out.cryptography, out.root, chain[:], path); err != nil {
		return out, fmt.Errorf("path: %w", err)
	}
	out.verifying, err = out.scheme.VerifyingKey(out.derived.PublicKey, out.scriptRoot)
	return out, err
}

// agrees holds what tx_info says of the key against the key: the callback decides by the one, and the other signs.
func (t target) agrees(terms manifest.Terms, info wire.TxInfo) error {
	if info.PublicKey != "" && !strings.EqualFold(info.PublicKey, hex.EncodeToString(t.derived.PublicKey)) {
		return fmt.Errorf("tx_info.publickKey is %q, and the key at path %q is %x: leave it out, or name the key that signs", excerpt(info.PublicKey),
			excerpt(terms.Path), t.derived.PublicKey)
	}
	if t.scheme != derive.SchemeTaproot || (len(terms.TxInfo) == 0 && len(t.scriptRoot) == 0) {
		return nil // with a root there has to be a tx_info that tells the callback
	}
	if root, err := hex.DecodeString(info.TapScriptRoot); err != nil || !bytes.Equal(root, t.scriptRoot) {
		return fmt.Errorf("tx_info.tapScriptRoot is %q and the request's tapScriptRoot is %q: both must name the same root",
			excerpt(info.TapScriptRoot), excerpt(terms.TapScriptRoot))
	}
	return nil
}

// message is what a stored request has signed: 32 bytes, or for Ed25519 the whole message.
func (r *requestRecord) message(cryptography string) ([]byte, error) {
	message := r.Digest
	if cryptography == wire.EdDSAEd25519 {
		var err error
		if message, err = hex.DecodeString(r.Message); err != nil {
			return nil, errors.New("the stored message is not hex")
		}
	}
	if digest := manifest.Digest(cryptography, message); len(digest) != 32 || !bytes.Equal(digest, r.Digest) {
		return nil, errors.New("the stored message is not the one that was asked for")
	}
	return message, nil
}

// acceptSign checks a signing against the share, and computes what is signed.
func (p *party) acceptSign(o offer, rec *requestRecord) error {
	if err := p.checkSigners(o); err != nil {
		return err
	}
	key, share, err := p.held(o.keyID)
	if err != nil {
		return err
	}
	defer share.Wipe()
	to, err := targetOf(share, o.terms)
	if err != nil {
		return err
	}
	info, err := txInfoOf(o.terms)
	if err != nil {
		return err
	}
	if err := to.agrees(o.terms, info); err != nil {
		return err
	}
	if err := computeDigest(o.terms, info, to.cryptography, rec); err != nil {
		return err
	}
	return key.checkRecipient(rec.SignType, o.parties)
}

// checkSigners checks the session's parties against the parties in this node's share.
func (p *party) checkSigners(o offer) error {
	key, share, err := p.held(o.keyID)
	if err != nil {
		return err
	}
	defer share.Wipe()
	if err := key.unusable(); err != nil {
		return err
	}
	last, self := byte(0), false
	for _, party := range o.parties {
		if party.Index <= last {
			return errors.New("the session's parties are not in the order of their indices")
		}
		last = party.Index
		held, ok := partyOf(key.Parties, party.Index)
		if !ok || held.NodeID != party.NodeID {
			return fmt.Errorf("party %d (%s) is not in this node's share of key %s", party.Index, party.NodeID.Short(), o.keyID)
		}
		self = self || party.NodeID == p.id
	}
	if !self {
		return errors.New("this node is not among the signers of the session")
	}
	if len(o.parties) != share.Threshold() {
		return fmt.Errorf("the session has %d signers: key %s needs exactly %d", len(o.parties), o.keyID, share.Threshold())
	}
	return p.checkPeers(o.parties)
}

// txInfoOf reads the tx_info of a request; without one it is empty.
func txInfoOf(t manifest.Terms) (wire.TxInfo, error) {
	if len(t.TxInfo) == 0 {
		return wire.TxInfo{}, nil
	}
	info, problems, err := wire.ReadTxInfo(t.TxInfo)
	if err != nil {
		return info, err
	}
	if len(problems) != 0 {
		return info, fmt.Errorf("tx_info%s %s", excerpt(problems[0].Pointer), excerpt(problems[0].Reason))
	}
	return info, nil
}

// computeDigest computes what is signed from what the requester sent, and what the callback is told of it.
func computeDigest(t manifest.Terms, info wire.TxInfo, cryptography string, rec *requestRecord) error {
	request := evidence.Request{
		RequestType: t.Type, Cryptography: cryptography, SignType: t.SignType, Message: t.Message, RawTx: info.RawTx,
		InputID: info.CurInputID, TapScriptRoot: info.TapScriptRoot, HasTxInfo: len(t.TxInfo) > 0,
	}
	if info.ExtraData != nil {
		for _, in := range info.ExtraData.VinList {
			request.InputIDs = append(request.InputIDs, in.ID)
		}
	}
	payload, err := signingDigest(request)
	if err != nil {
		return err
	}
	rec.Digest, rec.SignType, rec.Message = manifest.Digest(cryptography, payload.Digest), t.SignType, t.Message
	if payload.Kind == evidence.KindRaw {
		rec.SignType = wire.SignTypeRaw
	}
	if t.SignType != wire.SignTypeMessage {
		rec.Message = hex.EncodeToString(payload.Digest)
	}
	return nil
}

// signingDigest is evidence.SigningDigest, whose decoders are other people's: what they cannot take must refuse one request,
// not end the node.
func signingDigest(r evidence.Request) (payload evidence.Payload, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("what is to be signed cannot be decoded: the decoder failed")
		}
	}()
	return evidence.SigningDigest(r)
}
