package callback

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// The rules under which reports of nodes are acknowledged or not.
const (
	RuleReportCheck     = "report.check"     // whether this node's check was approved
	RuleReportMessage   = "report.message"   // whether it was about this message
	RuleReportSignature = "report.signature" // whether the signature, or its hash, is of its form, and is one of that message
	RuleReportOutcome   = "report.outcome"   // whether the outcome is one of the protocol's words
)

// reportFormat is the first member of what is recorded of a report (docs/FORMATS.md, callback).
const reportFormat = "countersign/callback-report/v2"

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
	// Status is what was found of a signature: one of the Result constants; "" of an outcome. Key is the public key of
	// key and path, as far as it is known, KeySource how.
	Status    string `json:"status"`
	Scheme    string `json:"scheme"`
	Key       string `json:"key"`
	KeySource string `json:"key_source"`

	plain, ciphertext []byte // to be sealed; at most one of them
}

type nodeRecord struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// report answers /rawdata_signature and /outcome: it records what a node says of an approved check, and acknowledges it
// with Approve only if this node's check of that callback_id was approved and, for a signature, was about that message
// and the signature is not known to be wrong.
func (s *Server) report(r *http.Request, a *asked) ([]byte, error) {
	ask := a.ask()
	ask.Amends = amends(a.Path, a.Check.RequestDetail.Message)
	var rec *reportRecord
	// Asked before Decide, since a store need not allow a read within its write; an approval that is given stays given.
	check, approved, err := s.cfg.Ledger.ApprovedCheck(r.Context(), ask.Node, ask.CallbackID)
	expired := errors.Is(err, ledger.ErrExpired)
	if err != nil && !expired {
		return nil, wireError(err)
	}
	reply, _, err := s.decide(r.Context(), a, ask, func(context.Context, ledger.State) (ledger.Verdict, error) {
		rec.wipe()
		rec = a.newReport(&ask)
		why, err := s.judgeReport(a, rec, check, approved, expired)
		if err != nil {
			return ledger.Verdict{}, err
		}
		return s.recordReport(&ask, rec, why)
	})
	s.watch(r.Context(), a, rec, err)
	rec.wipe()
	return reply, err
}

// amends tells whether a report may follow another of its name that said that nothing was signed.
func amends(path wire.Path, message string) bool {
	return path == wire.PathOutcome && message == wire.OutcomeSigned
}

func (a *asked) newReport(ask *ledger.Ask) *reportRecord {
	return &reportRecord{
		Format: reportFormat, Endpoint: strings.TrimPrefix(string(a.Path), "/"), Node: nodeRecord{string(a.node.id), a.node.Name},
		CallbackID: ask.CallbackID, SinoID: ask.SinoID, RequestID: ask.RequestID, Message: a.Check.RequestDetail.Message,
	}
}

// recordReport makes the verdict: what is recorded of the report in the log, and the signature beside it, sealed.
func (s *Server) recordReport(ask *ledger.Ask, rec *reportRecord, why ledger.Reason) (ledger.Verdict, error) {
	input, err := json.Marshal(rec)
	if err != nil {
		return ledger.Verdict{}, fmt.Errorf("record a report: %w", err)
	}
	v := ledger.Verdict{Action: why.Severity, Reasons: []ledger.Reason{why}, Fired: []string{why.Rule}, Input: input}
	v.Concluded = rec.concluded(why.Severity)
	if rec.plain != nil || rec.ciphertext != nil {
		v.Attachment, err = s.sealResult(ask, rec)
	}
	return v, err
}

// concluded is what an acknowledged report says of how the signing ended that was approved; "" for nothing. A signature that is
// acknowledged counts as one also where this server cannot open or verify it: nothing frees the room that it may have used.
func (r *reportRecord) concluded(action wire.Action) ledger.Conclusion {
	switch {
	case action != wire.Approve:
	case r.Endpoint == strings.TrimPrefix(string(wire.PathOutcome), "/"):
		return ledger.Conclusion(r.Message)
	default:
		return ledger.ConcludedSigned
	}
	return ""
}

// watch counts what came of a signature result, and says aloud what should not have come: by ids, never by content.
func (s *Server) watch(ctx context.Context, a *asked, rec *reportRecord, err error) {
	if a.Path != wire.PathRawdata {
		return
	}
	status := ""
	switch {
	case errors.Is(err, ledger.ErrConflict):
		status = resultConflict
	case err != nil && wire.CodeOf(err) == wire.CodeDecrypt:
		status = resultUndecryptable
	case err == nil && rec != nil: // else it was answered before, or nothing was decided
		status = rec.Status
	}
	if status == "" {
		return
	}
	s.metrics.result(status)
	level := slog.LevelInfo
	if alarming(status) {
		level = slog.LevelWarn
	}
	ask := a.ask()
	s.log.Log(ctx, level, "signature result", "status", status, "node", a.node.Name, "callback_id", ask.CallbackID,
		"sino_id", ask.SinoID, "request_id", ask.RequestID)
}

func rejected(rule, message string) ledger.Reason {
	return ledger.Reason{Rule: rule, Severity: wire.Reject, Message: message}
}

// judgeReport completes the record and says whether the report is acknowledged. The only error of the sender's making is
// that an encrypted signature of an approved check does not open.
func (s *Server) judgeReport(a *asked, rec *reportRecord, check ledger.Record, approved, expired bool) (ledger.Reason, error) {
	if len(a.Problems) > 0 {
		if a.Path == wire.PathRawdata {
			rec.Status = ResultMalformed
		}
		return rejected("request.malformed", clip(a.Problems[0].Pointer+": "+a.Problems[0].Reason, maxName)), nil
	}
	if a.Path == wire.PathOutcome {
		return a.judgeOutcome(rec, check, approved, expired), nil
	}
	formed := rec.read(a.Check.RequestDetail.Signature)
	rec.Status = ResultUnmatched
	switch {
	case expired:
		return rejected(RuleReportCheck, "the check under this callback_id was approved, but its record is no longer kept"), nil
	case !approved:
		return rejected(RuleReportCheck, "no check of this node was approved under this callback_id"), nil
	}
	rec.Check = check.ID
	request, err := requestOf(check)
	switch {
	case err != nil:
		return ledger.Reason{}, err
	case len(check.Ask.Digests) == 0:
		return rejected(RuleReportCheck, "the approved check was about no signature"), nil
	case request.Check.RequestDetail.Message != rec.Message:
		return rejected(RuleReportMessage, "the approved check was about another message"), nil
	case formed != nil:
		rec.Status = ResultMalformed
		return rejected(RuleReportSignature, formed.Error()), nil
	}
	return s.judgeResult(a.node, rec, request, check.Ask.Digests)
}

// judgeOutcome takes the word of a node on how an approved request ended. That the first word stands follows from the
// ledger: another body under the same callback_id is refused.
func (a *asked) judgeOutcome(rec *reportRecord, check ledger.Record, approved, expired bool) ledger.Reason {
	switch {
	case expired:
		return rejected(RuleReportCheck, "the check under this callback_id was approved, but its record is no longer kept")
	case !approved:
		return rejected(RuleReportCheck, "no check of this node was approved under this callback_id")
	}
	rec.Check = check.ID
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
