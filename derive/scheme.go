package derive

import (
	"bytes"
	"fmt"
)

// The types of requests that sign, by their names in wire.
const (
	typeSign    = "sign"
	typeBIP340  = "bip340-schnorr-sign"
	typeTaproot = "taproot-sign"
)

// Scheme is a signature scheme together with the key that it verifies under.
type Scheme string

// The schemes. Signatures have 64 bytes: r ‖ s for ECDSA, R.x ‖ s for both kinds of BIP340, R ‖ s for Ed25519.
const (
	// SchemeECDSA is ECDSA over secp256k1 with low s.
	SchemeECDSA Scheme = "ecdsa"
	// SchemeBIP340 is BIP340 under the derived key's x-only form.
	SchemeBIP340 Scheme = "bip340"
	// SchemeTaproot is BIP340 under the BIP341 output key of the derived key.
	SchemeTaproot Scheme = "taproot"
	// SchemeEd25519 is Ed25519 by RFC 8032, without prehashing.
	SchemeEd25519 Scheme = "ed25519"
)

// SchemeOf gives the scheme that a request asks for: of type sign, bip340-schnorr-sign or taproot-sign, with a key of that
// cryptography. Types that sign nothing, and a type that its key cannot serve, are errors.
func SchemeOf(requestType, cryptography string) (Scheme, error) {
	if cryptography != CryptographySecp256k1 && cryptography != CryptographyEd25519 {
		return "", unknownCryptography(cryptography)
	}
	ed25519 := cryptography == CryptographyEd25519
	switch requestType {
	case typeSign:
		if ed25519 {
			return SchemeEd25519, nil
		}
		return SchemeECDSA, nil
	case typeBIP340, typeTaproot:
		if ed25519 {
			return "", fmt.Errorf("%s needs a key of %s, this one is of %s", requestType, CryptographySecp256k1, cryptography)
		}
		if requestType == typeTaproot {
			return SchemeTaproot, nil
		}
		return SchemeBIP340, nil
	default:
		return "", fmt.Errorf("request type %s signs nothing: use %s, %s or %s",
			quote(requestType), typeSign, typeBIP340, typeTaproot)
	}
}

// VerifyingKey gives the key under which a signature of this scheme verifies, from the derived public key (33 bytes
// compressed, 32 for SchemeEd25519): 33 bytes for SchemeECDSA, 32 for the others. tapScriptRoot is for SchemeTaproot
// alone, 32 bytes or empty (see TaprootOutputKey); with another scheme it must be empty.
func (s Scheme) VerifyingKey(derivedPublicKey, tapScriptRoot []byte) ([]byte, error) {
	if len(tapScriptRoot) != 0 && s != SchemeTaproot {
		return nil, fmt.Errorf("verifying key: tapScriptRoot is for %s, not for %s", typeTaproot, quote(string(s)))
	}
	if s == SchemeEd25519 {
		if _, err := parseEd25519(derivedPublicKey); err != nil {
			return nil, fmt.Errorf("verifying key: %w", err)
		}
		return bytes.Clone(derivedPublicKey), nil
	}
	if _, err := parsePublicKey(derivedPublicKey); err != nil {
		return nil, fmt.Errorf("verifying key: %w", err)
	}
	switch s {
	case SchemeECDSA:
		return bytes.Clone(derivedPublicKey), nil
	case SchemeBIP340:
		return bytes.Clone(derivedPublicKey[1:]), nil
	case SchemeTaproot:
		key, err := TaprootOutputKey(derivedPublicKey, tapScriptRoot)
		if err != nil {
			return nil, fmt.Errorf("verifying key: %w", err)
		}
		return key.OutputKey[:], nil
	default:
		return nil, fmt.Errorf("verifying key: signature scheme %s is unknown", quote(string(s)))
	}
}

// Verify reports whether signature (64 bytes) is one of message under verifyingKey, which VerifyingKey gives. The message
// has 32 bytes for SchemeECDSA, the digest, and any length for the others. Each scheme takes one form of a signature
// only: see VerifyECDSA, VerifyBIP340 and VerifyEd25519. An unknown scheme verifies nothing.
func (s Scheme) Verify(verifyingKey, message, signature []byte) bool {
	switch s {
	case SchemeECDSA:
		return VerifyECDSA(verifyingKey, message, signature)
	case SchemeBIP340, SchemeTaproot:
		return VerifyBIP340(verifyingKey, message, signature)
	case SchemeEd25519:
		return VerifyEd25519(verifyingKey, message, signature)
	default:
		return false
	}
}
