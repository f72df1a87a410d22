package callback

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/go-chi/chi/v5"

	"github.com/countersign-mpc/countersign/ledger"
)

// ApprovalView is an approval with everything that an approver must see before signing.
type ApprovalView struct {
	ledger.Approval
	// Request is the recorded input of the decision that opened the approval: what was asked, what was decoded of it.
	Request json.RawMessage `json:"request"`
	// Reasons are why it waits.
	Reasons []ledger.Reason `json:"reasons"`
	// Signing is what is signed for either vote, as ledger.ApprovalSigningBytes makes it.
	Signing Signing `json:"signing"`
}

// Signing is the bytes that an approver signs: ASN.1 DER over their SHA-256 with P-256, or Ed25519 over them.
type Signing struct {
	Approve ledger.Hex `json:"approve"`
	Reject  ledger.Hex `json:"reject"`
}

// ApprovalList is the answer to GET /admin/v1/approvals.
type ApprovalList struct {
	Approvals []ledger.Approval `json:"approvals"`
}

var approvalStates = []ledger.ApprovalState{
	ledger.ApprovalPending, ledger.ApprovalApproved, ledger.ApprovalRejected, ledger.ApprovalExpired, ledger.ApprovalVoid,
}

// listApprovals serves GET /admin/v1/approvals?state=…: pending ones unless another state, or "all", is asked for.
func (s *Server) listApprovals(r *http.Request) (any, error) {
	state := ledger.ApprovalState(r.URL.Query().Get("state"))
	if state == "" {
		state = ledger.ApprovalPending
	}
	if state != "all" && !slices.Contains(approvalStates, state) {
		return nil, &adminError{http.StatusBadRequest, "state is pending, approved, rejected, expired, void or all"}
	}
	list, err := s.cfg.Ledger.Approvals(r.Context(), state != ledger.ApprovalPending)
	if err != nil {
		return nil, err
	}
	out := ApprovalList{Approvals: []ledger.Approval{}}
	for _, a := range list {
		if state == "all" || a.State == state {
			out.Approvals = append(out.Approvals, a)
		}
	}
	return out, nil
}

// showApproval serves GET /admin/v1/approvals/{id}.
func (s *Server) showApproval(r *http.Request) (any, error) {
	a, err := s.cfg.Ledger.Approval(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return nil, err
	}
	opened, err := s.cfg.Ledger.Decision(r.Context(), a.OpenedBy)
	if err != nil {
		return nil, err
	}
	return ApprovalView{
		Approval: a, Request: opened.Input, Reasons: opened.Reasons,
		Signing: Signing{ledger.ApprovalSigningBytes(a, ledger.VoteApprove), ledger.ApprovalSigningBytes(a, ledger.VoteReject)},
	}, nil
}

// takeVote serves POST /admin/v1/approvals/{id}/signatures.
func (s *Server) takeVote(r *http.Request) (any, error) {
	var vote ledger.Signed
	if err := readJSON(r, &vote); err != nil {
		return nil, err
	}
	id := chi.URLParam(r, "id")
	a, err := s.cfg.Ledger.SubmitApproval(r.Context(), id, vote)
	if err != nil {
		s.metrics.voted("refused")
		s.log.WarnContext(r.Context(), "vote refused", "approval", clip(id, keyIDLength), "operator", operatorOf(r.Context()), "error", err)
		return nil, err
	}
	s.metrics.voted(string(vote.Decision))
	s.log.InfoContext(r.Context(), "vote recorded", "approval", a.ID, "approver", vote.Approver, "decision", string(vote.Decision), "state", string(a.State), "operator", operatorOf(r.Context()))
	return a, nil
}
