package evidence_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/wire"
)

func ask(requestType, cryptography, signType, message, rawTx string, hasTxInfo bool) evidence.Request {
	return evidence.Request{
		RequestType: requestType, Cryptography: cryptography, SignType: signType, Message: message, RawTx: rawTx, HasTxInfo: hasTxInfo,
	}
}

func TestSigningDigest(t *testing.T) {
	const sign, secp, ed = wire.TypeSign, wire.ECDSASecp256k1, wire.EdDSAEd25519
	token := erc20(t)
	digest := strings.Repeat("ab", 32)
	long := strings.Repeat("cd", 200)
	for name, c := range map[string]struct {
		request  evidence.Request
		kind     evidence.Kind
		digest   string
		computed bool
	}{
		"transaction":              {ask(sign, secp, "1", "", token.RawTx, true), evidence.KindEVMTransaction, token.Message, true},
		"transaction with digest":  {ask(sign, secp, "1", token.Message, token.RawTx, true), evidence.KindEVMTransaction, token.Message, true},
		"transaction, no tx_info":  {ask(sign, secp, "1", "", token.RawTx, false), evidence.KindEVMTransaction, token.Message, true},
		"digest with tx_info":      {ask(sign, secp, "1", digest, "", true), evidence.KindDigest, digest, false},
		"digest in capitals":       {ask(sign, secp, "1", "0x"+strings.ToUpper(digest), "", true), evidence.KindDigest, digest, false},
		"only a digest":            {ask(sign, secp, "1", digest, "", false), evidence.KindRaw, digest, false},
		"raw":                      {ask(sign, secp, "3", digest, "", true), evidence.KindRaw, digest, false},
		"EIP-191":                  {ask(sign, secp, "2", "Hello Joe", "", false), evidence.KindEIP191, "a080337ae51c4e064c189e113edd0ba391df9206e2f49db658bb32cf2911730b", true},
		"EIP-712":                  {ask(sign, secp, "2", mail, "", false), evidence.KindEIP712, "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2", true},
		"Schnorr":                  {ask(wire.TypeBIP340SchnorrSign, secp, "1", digest, "", true), evidence.KindDigest, digest, false},
		"Taproot":                  {ask(wire.TypeTaprootSign, secp, "3", digest, "", true), evidence.KindRaw, digest, false},
		"Ed25519 message":          {ask(sign, ed, "1", long, "", true), evidence.KindDigest, long, false},
		"Ed25519 raw, single byte": {ask(sign, ed, "3", "0x07", "", false), evidence.KindRaw, "07", false},
	} {
		p, err := evidence.SigningDigest(c.request)
		if err != nil || p.Kind != c.kind || hex.EncodeToString(p.Digest) != c.digest || p.Computed != c.computed {
			t.Errorf("%s: %s %x computed %v, %v", name, p.Kind, p.Digest, p.Computed, err)
		}
	}
}

func TestSigningDigestRefuses(t *testing.T) {
	const sign, secp, ed = wire.TypeSign, wire.ECDSASecp256k1, wire.EdDSAEd25519
	raw, digest := erc20(t).RawTx, strings.Repeat("ab", 32)
	for name, c := range map[string]struct {
		request evidence.Request
		want    string
	}{
		"keygen":              {ask("keygen", secp, "1", digest, "", true), "signs nothing"},
		"no request type":     {ask("", secp, "1", digest, "", true), "signs nothing"},
		"no cryptography":     {ask(sign, "", "1", digest, "", true), "cryptography"},
		"unknown curve":       {ask(sign, "ecdsa-p256", "1", digest, "", true), "cryptography"},
		"no sign type":        {ask(sign, secp, "", digest, "", true), "sign_type"},
		"sign type 4":         {ask(sign, secp, "4", digest, "", true), "sign_type"},
		"Schnorr, Ed25519":    {ask(wire.TypeBIP340SchnorrSign, ed, "1", digest, "", true), "needs a"},
		"EIP-191, Taproot":    {ask(wire.TypeTaprootSign, secp, "2", "hello", "", true), "sign_type 2"},
		"EIP-191, Ed25519":    {ask(sign, ed, "2", "hello", "", true), "sign_type 2"},
		"rawTx as message":    {ask(sign, secp, "2", "hello", raw, true), "sign_type 1"},
		"rawTx as raw":        {ask(sign, secp, "3", digest, raw, true), "sign_type 1"},
		"rawTx for Taproot":   {ask(wire.TypeTaprootSign, secp, "1", digest, raw, true), "not decoded"},
		"rawTx for Ed25519":   {ask(sign, ed, "1", digest, raw, true), "not decoded"},
		"rawTx is a PSBT":     {ask(sign, secp, "1", digest, "cHNidP8BAHECAAAA", true), "PSBT"},
		"rawTx does not fit":  {ask(sign, secp, "1", digest, "0x02c0", true), "does not decode"},
		"digest short":        {ask(sign, secp, "1", digest[2:], "", true), "32 bytes"},
		"digest long":         {ask(sign, secp, "3", digest+"00", "", true), "32 bytes"},
		"no digest":           {ask(sign, secp, "1", "", "", true), "32 bytes"},
		"digest is no hex":    {ask(sign, secp, "3", "hello", "", true), "32 bytes"},
		"digest beside rawTx": {ask(sign, secp, "1", "zz", raw, true), "32 bytes"},
		"empty message":       {ask(sign, ed, "3", "0x", "", true), "1 to"},
		"odd message":         {ask(sign, ed, "3", "0x0", "", true), "not hex"},
		"message too long":    {ask(sign, ed, "3", strings.Repeat("00", evidence.MaxMessage+1), "", true), "1 to"},
		"empty text":          {ask(sign, secp, "2", "", "", true), "empty"},
	} {
		p, err := evidence.SigningDigest(c.request)
		if err == nil || p.Digest != nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, evidence.ErrDigestMismatch) {
			t.Errorf("%s: %+v, %v; want %q", name, p, err, c.want)
		}
	}
	p, err := evidence.SigningDigest(ask(sign, secp, "1", digest, raw, true))
	if !errors.Is(err, evidence.ErrDigestMismatch) || p.Digest != nil {
		t.Errorf("another digest than rawTx's: %+v, %v", p, err)
	}
}

// FuzzSigningDigest: whatever comes, a node signs 32 bytes with secp256k1, and what it computed is what a callback sees.
func FuzzSigningDigest(f *testing.F) {
	c := erc20(f)
	f.Add(wire.TypeSign, wire.ECDSASecp256k1, "1", c.Message, c.RawTx, true)
	f.Add(wire.TypeSign, wire.ECDSASecp256k1, "2", mail, "", false)
	f.Add(wire.TypeSign, wire.EdDSAEd25519, "3", "00", "", false)
	f.Fuzz(func(t *testing.T, requestType, cryptography, signType, message, rawTx string, hasTxInfo bool) {
		p, err := evidence.SigningDigest(ask(requestType, cryptography, signType, message, rawTx, hasTxInfo))
		if err != nil {
			return
		}
		if len(p.Digest) == 0 || cryptography == wire.ECDSASecp256k1 && len(p.Digest) != 32 {
			t.Fatalf("a digest of %d bytes", len(p.Digest))
		}
		if p.Kind == evidence.KindEVMTransaction {
			found := evidence.Check(evidence.Claim{Family: evidence.FamilyEVM, RawTx: rawTx, Message: hex.EncodeToString(p.Digest)})
			if found.Decoded == nil || found.Decoded.Digest != hex.EncodeToString(p.Digest) {
				t.Fatalf("node signs %x, the callback sees %+v", p.Digest, found.Decoded)
			}
		}
	})
}
