package callback

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/go-chi/chi/v5"

	"github.com/countersign-mpc/countersign/ledger"
)

// DecisionSummary is a decision in a list.
type DecisionSummary struct {
	ID          string `json:"id"`
	Time        string `json:"time"` // RFC 3339, UTC
	Node        string `json:"node"` // id of the node
	Path        string `json:"path"`
	CallbackID  string `json:"callback_id"`
	SinoID      string `json:"sino_id"`
	RequestID   string `json:"request_id"`
	RequestType string `json:"request_type"`
	Action      string `json:"action"`
	Rule        string `json:"rule"`  // the one that says most: see docs/FORMATS.md
	Error       string `json:"error"` // the reasons that decided, as the node got them
	WaitSeconds int    `json:"wait_seconds"`
	Approval    string `json:"approval"` // id of the one that was opened, waited for or used
	Revision    string `json:"revision"`
}

// DecisionView is a decision with everything that is recorded of it.
type DecisionView struct {
	DecisionSummary
	Requester  string        `json:"requester"`
	IntentHash ledger.Hash   `json:"intent_hash"`
	Digests    []ledger.Hex  `json:"digests"`
	BodyHash   ledger.Hash   `json:"body_hash"`
	Reply      string        `json:"reply"` // as it was sent
	Record     ledger.Record `json:"record"`
}

// DecisionList is the answer to GET /admin/v1/decisions.
type DecisionList struct {
	Decisions []DecisionSummary `json:"decisions"`
	Next      string            `json:"next"` // the cursor of the next page; "" at the end
}

func summarise(r ledger.Record) DecisionSummary {
	o := ledger.Outcome{Action: r.Action, Reasons: r.Reasons}
	if r.Approval != "" {
		o.Approval = &ledger.Approval{ID: r.Approval}
		if r.Requirement != nil {
			o.Approval.Requirement = *r.Requirement
		}
	}
	return DecisionSummary{
		ID: r.ID, Time: r.Time.UTC().Format("2006-01-02T15:04:05.000Z"), Node: r.Ask.Node, Path: string(r.Ask.Path),
		CallbackID: r.Ask.CallbackID, SinoID: r.Ask.SinoID, RequestID: r.Ask.RequestID, RequestType: r.Ask.RequestType,
		Action: string(r.Action), Rule: rule(o), Error: ErrorText(o), WaitSeconds: r.WaitSeconds, Approval: r.Approval,
		Revision: r.Revision,
	}
}

// maxSearch is how many decisions are looked at for one page of those with a sino_id, which is not indexed.
const maxSearch = 10000

// listDecisions serves GET /admin/v1/decisions?callback_id=&request_id=&sino_id=&limit=&cursor=, newest first.
func (s *Server) listDecisions(r *http.Request) (any, error) {
	q := r.URL.Query()
	limit, err := pageLimit(q)
	if err != nil {
		return nil, err
	}
	filter := ledger.Filter{CallbackID: q.Get("callback_id"), RequestID: q.Get("request_id")}
	out := DecisionList{Decisions: []DecisionSummary{}, Next: q.Get("cursor")}
	for looked := 0; len(out.Decisions) < limit && looked < maxSearch; {
		page, err := s.cfg.Ledger.Decisions(r.Context(), filter, limit-len(out.Decisions), out.Next)
		if err != nil {
			return nil, err
		}
		looked += max(1, len(page.Decisions))
		for _, d := range page.Decisions {
			if selected(d.Ask, q.Get("request_id"), q.Get("sino_id")) {
				out.Decisions = append(out.Decisions, summarise(d))
			}
		}
		if out.Next = page.Next; out.Next == "" {
			break
		}
	}
	return out, nil
}

// pageLimit reads how many are wanted on a page.
func pageLimit(q url.Values) (int, error) {
	text := q.Get("limit")
	if text == "" {
		return ledger.DefaultPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > ledger.MaxPage {
		return 0, &adminError{http.StatusBadRequest, "limit is a number from 1 to " + strconv.Itoa(ledger.MaxPage)}
	}
	return n, nil
}

// selected holds a decision against what the ledger did not look for.
func selected(a ledger.Ask, requestID, sinoID string) bool {
	return (requestID == "" || a.RequestID == requestID) && (sinoID == "" || a.SinoID == sinoID)
}

// showDecision serves GET /admin/v1/decisions/{id}.
func (s *Server) showDecision(r *http.Request) (any, error) {
	rec, err := s.cfg.Ledger.Decision(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return nil, err
	}
	out := DecisionView{
		DecisionSummary: summarise(rec), Requester: rec.Ask.Requester, IntentHash: rec.Ask.IntentHash, Digests: []ledger.Hex{},
		BodyHash: rec.Ask.BodyHash, Reply: string(rec.Reply), Record: rec,
	}
	for _, d := range rec.Ask.Digests {
		out.Digests = append(out.Digests, d)
	}
	return out, nil
}
