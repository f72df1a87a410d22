package node

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/signing"
)

// finishSign takes the end of a signing: the signature, or, where another party alone learns that, the word that this
// node's share was given to it.
func (p *party) finishSign(s *session, protocol signing.SignSession) error {
	signature, err := protocol.Signature()
	defer clear(signature.Bytes[:]) // Go may have copied it elsewhere
	forOther := s.recipient.Index != 0 && s.recipient.Index != s.self
	switch {
	case forOther && err == nil:
		return fmt.Errorf("the protocol gave this node a signature that is for party %d alone: it is not given out", s.recipient.Index)
	case forOther && errors.Is(err, signing.ErrForRecipient):
		report := s.report()
		report.Released = true
		return p.complete(s, StateReleased, report, p.used(s, nil))
	case err != nil:
		return err
	}
	if !s.target.scheme.Verify(s.target.verifying, s.message, signature.Bytes[:]) {
		return errors.New("the finished signature does not verify: it is not given out")
	}
	return p.finishSignature(s, &signature)
}

// finishSignature stores a signature, encrypted where it is for a recipient, with its reports, and reports it.
func (p *party) finishSignature(s *session, signature *signing.Signature) error {
	info, err := txInfoOf(s.record.Terms)
	if err != nil {
		return err
	}
	reported := plainSignature(s.target.scheme, s.record.SignType, p.settings.OnEVM(info.ChainSymbol), signature)
	sum := sha256.Sum256(reported)
	s.signature = sum[:]
	report := s.report()
	if s.recipient.Index == 0 {
		report.Result, report.RecoveryID = bytes.Clone(signature.Bytes[:]), signature.RecoveryID
	} else {
		if reported, err = encrypted(s.manifest.Recipient, reported); err != nil {
			return fmt.Errorf("encrypt the signature: %w", err)
		}
		report.Result, report.Encrypted = reported, true
	}
	toCallback, err := p.signatureReport(s.record, reported)
	if err != nil {
		return err
	}
	if err := p.complete(s, StateDone, report, p.used(s, toCallback)); err != nil {
		return err
	}
	if toCallback != nil {
		p.carry(bucketReport, toCallback.CallbackID)
	}
	return nil
}

// report is what is reported of a signing that came to its end, without the signature.
func (s *session) report() *manifest.Report {
	return &manifest.Report{SessionID: s.id, Completed: true, PublicKey: s.target.root, Digest: s.manifest.Digest, DerivedKey: s.target.derived.PublicKey}
}

// used notes that the key has been used, and keeps the report to the callback, if one is due, until it is acknowledged.
func (p *party) used(s *session, toCallback *reportRecord) func(*keystore.Tx) error {
	return func(tx *keystore.Tx) error {
		err := changeKey(tx, s.manifest.KeyID, func(key *keyRecord) (bool, error) {
			key.LastUsed = p.clock()
			return true, nil
		})
		if err != nil || toCallback == nil {
			return err
		}
		return put(tx, bucketReport, toCallback.CallbackID, toCallback)
	}
}
