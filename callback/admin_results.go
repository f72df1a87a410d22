package callback

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// ResultSummary is a signature result in a list.
type ResultSummary struct {
	ID         string `json:"id"`   // of the decision about the report
	Time       string `json:"time"` // RFC 3339, UTC
	Node       string `json:"node"` // id of the node
	NodeName   string `json:"node_name"`
	CallbackID string `json:"callback_id"`
	SinoID     string `json:"sino_id"`
	RequestID  string `json:"request_id"`
	Status     string `json:"status"`     // one of the Result constants
	Action     string `json:"action"`     // with which it was acknowledged
	Reason     string `json:"reason"`     // why that status
	Check      string `json:"check"`      // id of the decision that approved; "" if none did
	Scheme     string `json:"scheme"`     // "" unless it was looked at
	Key        string `json:"key"`        // public key of key and path, as far as it is known
	KeySource  string `json:"key_source"` // how it is known: one of the Key constants
}

// ResultView is a result with what was signed and the signature itself.
type ResultView struct {
	ResultSummary
	Message    string       `json:"message"`    // as the check had it
	Digests    []ledger.Hex `json:"digests"`    // of the check that approved
	Signature  ledger.Hex   `json:"signature"`  // r ‖ s, r ‖ s ‖ v or R ‖ s; empty where it could not be opened
	Ciphertext ledger.Hex   `json:"ciphertext"` // what came instead (WIRE.md, "ECIES"); empty where there is a signature
}

// ResultList is the answer to GET /admin/v1/results.
type ResultList struct {
	Results []ResultSummary `json:"results"`
	Next    string          `json:"next"` // the cursor of the next page; "" at the end
}

func resultSummary(r ledger.Record) (ResultSummary, *reportRecord, error) {
	rec := &reportRecord{}
	if err := json.Unmarshal(r.Input, rec); err != nil || rec.Format != reportFormat {
		return ResultSummary{}, nil, fmt.Errorf("%w: decision %s has a result and is about none", ledger.ErrDamaged, r.ID)
	}
	d := summarise(r)
	out := ResultSummary{
		ID: d.ID, Time: d.Time, Node: d.Node, NodeName: rec.Node.Name, CallbackID: d.CallbackID, SinoID: d.SinoID, RequestID: d.RequestID,
		Status: rec.Status, Action: d.Action, Check: rec.Check, Scheme: rec.Scheme, Key: rec.Key, KeySource: rec.KeySource,
	}
	if len(r.Reasons) > 0 {
		out.Reason = r.Reasons[0].Message
	}
	return out, rec, nil
}

// listResults serves GET /admin/v1/results?callback_id=&request_id=&status=&limit=&cursor=, newest first.
func (s *Server) listResults(r *http.Request) (any, error) {
	q := r.URL.Query()
	limit, err := pageLimit(q)
	if err != nil {
		return nil, err
	}
	status := q.Get("status")
	if status != "" && !slices.Contains(keptStatuses, status) {
		return nil, &adminError{http.StatusBadRequest, "status is one of " + strings.Join(keptStatuses, ", ")}
	}
	filter := ledger.Filter{CallbackID: q.Get("callback_id"), RequestID: q.Get("request_id"), Attached: true}
	out := ResultList{Results: []ResultSummary{}, Next: q.Get("cursor")}
	for looked := 0; len(out.Results) < limit && looked < maxSearch; {
		page, err := s.cfg.Ledger.Decisions(r.Context(), filter, limit-len(out.Results), out.Next)
		if err != nil {
			return nil, err
		}
		looked += max(1, len(page.Decisions))
		for _, d := range page.Decisions {
			summary, _, err := resultSummary(d)
			if err != nil {
				return nil, err
			}
			if selected(d.Ask, q.Get("request_id"), "") && (status == "" || summary.Status == status) {
				out.Results = append(out.Results, summary)
			}
		}
		if out.Next = page.Next; out.Next == "" {
			break
		}
	}
	return out, nil
}

// showResult serves GET /admin/v1/results/{id}. That it was read is logged.
func (s *Server) showResult(r *http.Request) (any, error) {
	rec, err := s.cfg.Ledger.Decision(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return nil, err
	}
	if rec.Ask.Path != wire.PathRawdata || rec.Attachment == nil {
		return nil, &adminError{http.StatusNotFound, "decision " + rec.ID + " is about no signature result that was kept: see GET /admin/v1/results"}
	}
	sealed, err := s.cfg.Ledger.Attachment(r.Context(), rec.ID)
	if err != nil {
		return nil, err
	}
	opened, err := s.openResult(&rec.Ask, sealed)
	if err != nil {
		return nil, err
	}
	summary, report, err := resultSummary(rec)
	if err != nil {
		return nil, err
	}
	out := ResultView{ResultSummary: summary, Message: report.Message, Digests: []ledger.Hex{}, Signature: opened.Signature, Ciphertext: opened.Ciphertext}
	if report.Check != "" {
		check, err := s.cfg.Ledger.Decision(r.Context(), report.Check)
		if err != nil && !errors.Is(err, ledger.ErrExpired) {
			return nil, err
		}
		for _, d := range check.Ask.Digests {
			out.Digests = append(out.Digests, d)
		}
	}
	s.log.InfoContext(r.Context(), "signature result read", "result", rec.ID, "callback_id", rec.Ask.CallbackID, "operator", operatorOf(r.Context()), "client", client(r))
	return out, nil
}
