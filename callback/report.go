package callback

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/countersign-mpc/countersign/ecies"
	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// The rules under which reports of nodes are acknowledged or not.
const (
	RuleReportCheck     = "report.check"     // whether this node's check was approved
	RuleReportMessage   = "report.message"   // whether it was about this message
	RuleReportSignature = "report.signature" // whether the signature, or its hash, has the form of one
	RuleReportOutcome   = "report.outcome"   // whether the outcome is one of the protocol's words
)

// reportFormat is the first member of what is recorded of a report (docs/FORMATS.md, callback).
const reportFormat = "countersign/callback-report/v1"

// reportRecord is what is recorded of a report: what was said, about which check, and never a signature itself.
type reportRecord struct {
	Format     string     `json:"format"`
	Endpoint   string     `json:"endpoint"`
	Node       nodeRecord `json:"node"`
	CallbackID string     `json:"callback_id"`
	SinoID     string     `json:"sino_id"`
	RequestID  string     `json:"request_id"`
	Message    string     `json:"message"` // what was signed, or the outcome's word
	// SignatureSHA256 is of the signature's bytes, decrypted where they came encrypted and could be; CiphertextSHA256 of
	// those that could not.
	SignatureSHA256  string `json:"signature_sha256"`
	CiphertextSHA256 string `json:"ciphertext_sha256"`
	Check            string `json:"check"` // id of the decision that approved; "" if none did
}

type nodeRecord struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// report answers /rawdata_signature and /outcome: it records what a node says of an approved check, and acknowledges it
// with Approve only if this node's check of that callback_id was approved and, for a signature, was about that message.
func (s *Server) report(r *http.Request, a *asked) ([]byte, error) {
	ask := a.ask()
	rec := &reportRecord{
		Format: reportFormat, Endpoint: strings.TrimPrefix(string(a.Path), "/"), Node: nodeRecord{string(a.node.id), a.node.Name},
		CallbackID: ask.CallbackID, SinoID: ask.SinoID, RequestID: ask.RequestID, Message: a.Check.RequestDetail.Message,
	}
	// Asked before Decide, since a store need not allow a read within its write; an approval that is given stays given.
	check, approved, err := s.cfg.Ledger.ApprovedCheck(r.Context(), ask.Node, ask.CallbackID)
	expired := errors.Is(err, ledger.ErrExpired)
	if err != nil && !expired {
		return nil, wireError(err)
	}
	return s.decide(r.Context(), a, ask, func(context.Context, ledger.State) (ledger.Verdict, error) {
		why, err := a.judgeReport(rec, check, approved, expired)
		if err != nil {
			return ledger.Verdict{}, err
		}
		input, err := json.Marshal(rec)
		if err != nil {
			return ledger.Verdict{}, fmt.Errorf("record a report: %w", err)
		}
		return ledger.Verdict{Action: why.Severity, Reasons: []ledger.Reason{why}, Fired: []string{why.Rule}, Input: input}, nil
	})
}

func rejected(rule, message string) ledger.Reason {
	return ledger.Reason{Rule: rule, Severity: wire.Reject, Message: message}
}

// judgeReport completes the record and says whether the report is acknowledged. The only error is that an encrypted
// signature does not open.
func (a *asked) judgeReport(rec *reportRecord, check ledger.Record, approved, expired bool) (ledger.Reason, error) {
	if len(a.Problems) > 0 {
		return rejected("request.malformed", clip(a.Problems[0].Pointer+": "+a.Problems[0].Reason, maxName)), nil
	}
	if expired {
		return rejected(RuleReportCheck, "the check under this callback_id was approved, but its record is no longer kept"), nil
	}
	if !approved {
		return rejected(RuleReportCheck, "no check of this node was approved under this callback_id"), nil
	}
	rec.Check = check.ID
	if a.Path == wire.PathOutcome {
		return a.judgeOutcome(rec), nil
	}
	message, err := checkedMessage(check)
	if err != nil {
		return ledger.Reason{}, err
	}
	if message != rec.Message {
		return rejected(RuleReportMessage, "the approved check was about another message"), nil
	}
	return a.judgeSignature(rec)
}

// checkedMessage is the message of an approved check, out of its recorded input.
func checkedMessage(check ledger.Record) (string, error) {
	var input struct {
		Request struct {
			Message string `json:"message"`
		} `json:"request"`
	}
	if err := json.Unmarshal(check.Input, &input); err != nil {
		return "", fmt.Errorf("%w: the input of decision %s cannot be read", ledger.ErrDamaged, check.ID)
	}
	return input.Request.Message, nil
}

// judgeOutcome takes the word of a node on how an approved request ended. That the first word stands follows from the
// ledger: another body under the same callback_id is refused.
func (a *asked) judgeOutcome(rec *reportRecord) ledger.Reason {
	switch rec.Message {
	case wire.OutcomeSigned, wire.OutcomeNotSigned, wire.OutcomeUnknown:
	default:
		return rejected(RuleReportOutcome, fmt.Sprintf("message is not %q, %q or %q", wire.OutcomeSigned, wire.OutcomeNotSigned, wire.OutcomeUnknown))
	}
	signature := a.Check.RequestDetail.Signature
	sum, err := hex.DecodeString(signature)
	if signature != "" && (err != nil || len(sum) != sha256.Size) {
		return rejected(RuleReportSignature, "signature is not the hex SHA-256 of a signature")
	}
	rec.SignatureSHA256 = hex.EncodeToString(sum)
	return ledger.Reason{Rule: RuleReportOutcome, Severity: wire.Approve, Message: "recorded"}
}

// judgeSignature records the hash of a signature. An encrypted one is opened where this server has the key.
func (a *asked) judgeSignature(rec *reportRecord) (ledger.Reason, error) {
	raw, err := hex.DecodeString(strings.TrimPrefix(a.Check.RequestDetail.Signature, "0x"))
	if err != nil || len(raw) == 0 {
		return rejected(RuleReportSignature, "signature is not hex"), nil
	}
	encrypted := len(raw) > ecies.Overhead // a plain signature is shorter than that
	if encrypted && a.node.DecryptKey != nil {
		plain, err := ecies.Decrypt(a.node.DecryptKey, raw)
		if err != nil {
			return ledger.Reason{}, &wire.Error{Code: wire.CodeDecrypt, Detail: "the signature result does not open with the key configured for this node: " +
				"check decrypt-key-path here against encrypt-signature.public-key-path there"}
		}
		defer secret.Wipe(plain)
		raw, encrypted = plain, false
	}
	sum := sha256.Sum256(raw)
	if encrypted {
		rec.CiphertextSHA256 = hex.EncodeToString(sum[:])
	} else if len(raw) != 64 && len(raw) != 65 {
		return rejected(RuleReportSignature, fmt.Sprintf("a signature has 64 or 65 bytes, not %d", len(raw))), nil
	} else {
		rec.SignatureSHA256 = hex.EncodeToString(sum[:])
	}
	return ledger.Reason{Rule: RuleReportMessage, Severity: wire.Approve, Message: "the approved check was about this message"}, nil
}
