package callback

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/ecies"
	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// What a signature that a node reported was found to be. Only the first three are acknowledged with Approve.
const (
	// ResultVerified: a signature of the approved message under the key of the approved key and path.
	ResultVerified = "verified"
	// ResultUnverified: of the right form, but the key of the path is not known here.
	ResultUnverified = "unverified"
	// ResultEncrypted: encrypted to a key that this server does not have, and kept as it came.
	ResultEncrypted = "encrypted"
	// ResultInvalid: no signature of the approved message, or not under the key it was approved for.
	ResultInvalid = "invalid"
	// ResultUnmatched: no check of this node was approved under this callback_id for this message.
	ResultUnmatched = "unmatched"
	// ResultMalformed: not of the form of a signature, or a body that cannot be judged.
	ResultMalformed = "malformed"
)

// keptStatuses are those that a kept result may have.
var keptStatuses = []string{ResultVerified, ResultUnverified, ResultEncrypted, ResultInvalid, ResultUnmatched}

// What is counted beside them, and has no record.
const (
	resultConflict      = "conflict"      // another report under the same callback_id
	resultUndecryptable = "undecryptable" // of an approved check, but it does not open
)

// alarming says which results somebody has to look at: a signature may exist that this server did not approve.
func alarming(status string) bool {
	switch status {
	case ResultVerified, ResultUnverified, ResultEncrypted:
		return false
	}
	return true
}

// resultFormat is the first member of what is sealed of a result (docs/FORMATS.md, callback).
const resultFormat = "countersign/callback-result/v1"

// sealedResult is what is sealed: the signature, or the ciphertext where it could not be opened.
type sealedResult struct {
	Format     string     `json:"format"`
	Signature  ledger.Hex `json:"signature"`
	Ciphertext ledger.Hex `json:"ciphertext"`
}

// The lengths of signatures, in bytes: r ‖ s, R ‖ s, and with the recovery value v behind.
const (
	plainLength     = 64
	recoveredLength = 65
)

var errForm = errors.New("signature is neither the hex of 64 or 65 bytes nor of such bytes encrypted")

// read takes the bytes that were reported, which by their number are a signature or an encrypted one.
func (r *reportRecord) read(signature string) error {
	raw, err := hex.DecodeString(strings.TrimPrefix(signature, "0x"))
	if err != nil {
		return errForm
	}
	switch len(raw) {
	case plainLength, recoveredLength:
		r.keepPlain(raw)
	case ecies.Overhead + plainLength, ecies.Overhead + recoveredLength:
		r.ciphertext = raw
		sum := sha256.Sum256(raw)
		r.CiphertextSHA256 = hex.EncodeToString(sum[:])
	default:
		return errForm
	}
	return nil
}

func (r *reportRecord) keepPlain(raw []byte) {
	sum := sha256.Sum256(raw)
	r.plain, r.ciphertext = raw, nil
	r.SignatureSHA256, r.CiphertextSHA256 = hex.EncodeToString(sum[:]), ""
}

// wipe forgets the signature. r may be nil.
func (r *reportRecord) wipe() {
	if r != nil {
		secret.Wipe(r.plain)
		r.plain = nil
	}
}

// judgeResult opens a signature of an approved request where it is encrypted and this server can, and verifies it.
func (s *Server) judgeResult(n *node, rec *reportRecord, request *wire.Parsed, digests [][]byte) (ledger.Reason, error) {
	if rec.ciphertext != nil && n.DecryptKey == nil {
		rec.Status = ResultEncrypted
		return ledger.Reason{Rule: RuleReportMessage, Severity: wire.Approve, Message: "the approved check was about this message; the signature is kept encrypted, as it came"}, nil
	}
	if rec.ciphertext != nil {
		plain, err := ecies.Decrypt(n.DecryptKey, rec.ciphertext)
		if err != nil {
			return ledger.Reason{}, &wire.Error{Code: wire.CodeDecrypt, Detail: "the signature result does not open with the key configured for this node: " +
				"check decrypt-key-path here against encrypt-signature.public-key-path there"}
		}
		rec.keepPlain(plain)
	}
	e := s.examine(request, digests, rec.plain)
	rec.Status, rec.Scheme, rec.Key, rec.KeySource = e.status, string(e.scheme), hex.EncodeToString(e.signer.key), e.signer.source
	if e.status == ResultInvalid {
		return rejected(RuleReportSignature, e.reason), nil
	}
	return ledger.Reason{Rule: RuleReportMessage, Severity: wire.Approve, Message: e.reason}, nil
}

// examination is what was found of a plain signature.
type examination struct {
	status, reason string
	scheme         derive.Scheme
	signer         signer
}

func (e examination) invalid(format string, args ...any) examination {
	e.status, e.reason = ResultInvalid, fmt.Sprintf(format, args...)
	return e
}

// examine holds a signature against the approved request: its form, and the message and the key that it verifies with.
func (s *Server) examine(request *wire.Parsed, digests [][]byte, signature []byte) (e examination) {
	d := &request.Check.RequestDetail
	var err error
	if e.scheme, err = schemeOf(request); err != nil {
		return e.invalid("the approved check was of no signature scheme: %v", err)
	}
	digest, err := signedDigest(d, digests)
	if err != nil {
		return e.invalid("%v", err)
	}
	id, err := recoveryValue(e.scheme, d.SignType, signature)
	if err != nil {
		return e.invalid("%v", err)
	}
	if e.signer, err = s.cfg.Keys.signer(request); err != nil {
		return e.invalid("the approved check's key: %v", err)
	}
	rs := signature[:plainLength]
	if e.signer.key == nil {
		return s.recover(e, request, digest, rs, id)
	}
	verifying, err := verifyingKey(e.scheme, e.signer.key, request)
	if err != nil {
		return e.invalid("the approved check's key: %v", err)
	}
	if !e.scheme.Verify(verifying, digest, rs) {
		return e.invalid("it is no %s signature of the approved message under the key of that path", e.scheme)
	}
	if id != noRecovery {
		if actual, err := derive.RecoveryID(verifying, digest, rs); err != nil || actual != id {
			return e.invalid("its recovery value v gives another key than the one that signed")
		}
	}
	e.status, e.reason = ResultVerified, "it is a signature of the approved message under the key of that path"
	return e
}

// recover does what can be done where the key of the path is not known: an ECDSA signature with v gives a key, which is
// only worth something where its address is known.
func (s *Server) recover(e examination, request *wire.Parsed, digest, rs []byte, id byte) examination {
	e.status, e.reason = ResultUnverified, "the approved check was about this message; the key of that path is not known here"
	if id == noRecovery {
		return e
	}
	key, err := derive.RecoverECDSA(digest, rs, id)
	if err != nil {
		return e.invalid("it is a signature under no key")
	}
	if request.TxInfo == nil {
		return e
	}
	from, err := derive.ParseEVMAddress(request.TxInfo.From)
	if err != nil { // not claimed, or of another chain
		return e
	}
	found := signer{key: key, source: KeyFromAddress}
	if found.evmAddress() != derive.FormatEVMAddress(from) {
		return e.invalid("it is a signature by another address than tx_info.from")
	}
	e.signer = found
	e.status, e.reason = ResultVerified, "it is a signature of the approved message by tx_info.from"
	return e
}

// noRecovery says that a signature has no recovery value.
const noRecovery = 0xff

// firstMessageV is v of recovery id 0 in the signature of a message (EIP-191, and WIRE.md's sign_type 2).
const firstMessageV = 27

// recoveryValue checks a signature's length and gives its recovery id: r ‖ s ‖ v with v 27 or 28 for sign_type 2, v 0 or 1
// for other ECDSA signatures that have one, and 64 bytes for all other schemes.
func recoveryValue(scheme derive.Scheme, signType string, signature []byte) (byte, error) {
	if len(signature) == plainLength {
		if scheme == derive.SchemeECDSA && signType == wire.SignTypeMessage {
			return 0, errors.New("a signature of sign_type 2 has 65 bytes, v among them")
		}
		return noRecovery, nil
	}
	v := signature[plainLength]
	switch {
	case scheme != derive.SchemeECDSA:
		return 0, fmt.Errorf("a signature of scheme %s has 64 bytes", scheme)
	case signType == wire.SignTypeMessage && (v == firstMessageV || v == firstMessageV+1):
		return v - firstMessageV, nil
	case signType == wire.SignTypeMessage:
		return 0, errors.New("v of a signature of sign_type 2 is 27 or 28")
	case v > 1:
		return 0, errors.New("v of a signature that is not of sign_type 2 is 0 or 1")
	}
	return v, nil
}

// signedDigest is what was to be signed under this check: its one digest, or the one of several that its message names.
func signedDigest(d *wire.RequestDetail, digests [][]byte) ([]byte, error) {
	if len(digests) == 1 {
		return digests[0], nil
	}
	message, err := hex.DecodeString(strings.TrimPrefix(d.Message, "0x"))
	if err == nil {
		for _, digest := range digests {
			if bytes.Equal(digest, message) {
				return digest, nil
			}
		}
	}
	return nil, errors.New("the approved check was about several digests, and its message names none of them")
}

func schemeOf(request *wire.Parsed) (derive.Scheme, error) {
	r := evidenceRequest(request)
	return derive.SchemeOf(r.RequestType, r.Cryptography)
}

// verifyingKey is what a signature verifies under: for taproot the output key of the request's script tree.
func verifyingKey(scheme derive.Scheme, key []byte, request *wire.Parsed) ([]byte, error) {
	if scheme != derive.SchemeTaproot || request.TxInfo == nil {
		return scheme.VerifyingKey(key, nil)
	}
	root, err := hex.DecodeString(strings.TrimPrefix(request.TxInfo.TapScriptRoot, "0x"))
	if err != nil {
		return nil, errors.New("tx_info.tapScriptRoot is not hex")
	}
	return scheme.VerifyingKey(key, root)
}

// sealResult seals what was reported for the store.
func (s *Server) sealResult(ask *ledger.Ask, rec *reportRecord) ([]byte, error) {
	plain, err := json.Marshal(sealedResult{resultFormat, rec.plain, rec.ciphertext})
	defer secret.Wipe(plain)
	if err != nil {
		return nil, fmt.Errorf("seal a result: %w", err)
	}
	return s.cfg.ResultKey.seal(ask, plain), nil
}

// openResult is the other way. The caller wipes what it returns.
func (s *Server) openResult(ask *ledger.Ask, sealed []byte) (*sealedResult, error) {
	plain, err := s.cfg.ResultKey.open(ask, sealed)
	if err != nil {
		return nil, err
	}
	defer secret.Wipe(plain)
	r := &sealedResult{}
	if err := json.Unmarshal(plain, r); err != nil || r.Format != resultFormat {
		return nil, fmt.Errorf("%w: a sealed result is of an unknown form", ledger.ErrDamaged)
	}
	return r, nil
}

// requestOf is the request that an approved check was about, made again of its recorded input.
func requestOf(check ledger.Record) (*wire.Parsed, error) {
	var input policy.Input
	if err := json.Unmarshal(check.Input, &input); err != nil {
		return nil, fmt.Errorf("%w: the input of decision %s cannot be read", ledger.ErrDamaged, check.ID)
	}
	request, err := RequestOf(&input)
	if err != nil {
		return nil, fmt.Errorf("%w: the input of decision %s is of no request: %w", ledger.ErrDamaged, check.ID, err)
	}
	return request, nil
}

// RequestOf makes the request to /check again that an input was made of, as far as it is hashed for approvals and as far
// as what it has signed depends on it.
func RequestOf(in *policy.Input) (*wire.Parsed, error) {
	r := &in.Request
	check := &wire.Check{CallbackID: r.CallbackID, RequestType: r.RequestType, RequestDetail: wire.RequestDetail{
		Cryptography: r.Cryptography, SignType: r.SignType, PublicKey: r.PublicKey, Path: r.Path, Message: r.Message,
	}}
	if len(in.TxInfo) > 0 && !bytes.Equal(in.TxInfo, []byte("null")) {
		check.RequestDetail.TxInfo = in.TxInfo
	}
	body, err := check.Marshal()
	if err != nil {
		return nil, err
	}
	return wire.ParseCheck(wire.PathCheck, body)
}
