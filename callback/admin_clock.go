package callback

import (
	"net/http"
	"time"
)

// ClockConfirmation is the body of POST /admin/v1/clock/confirm: who says that the clock is right, and why.
type ClockConfirmation struct {
	Operator string `json:"operator"` // may be empty where the server knows who asks, and is then that one's name
	Reason   string `json:"reason"`   // may be empty
}

// ClockView is the answer to it: what was recorded.
type ClockView struct {
	ID       string    `json:"id"`      // of the entry in the log
	Time     time.Time `json:"time"`    // the clock's, which is the ledger's from now on
	Before   time.Time `json:"before"`  // the newest time that had been recorded
	Doubted  bool      `json:"doubted"` // approvals had been waiting for the clock
	Operator string    `json:"operator"`
	Reason   string    `json:"reason"`
}

// confirmClock serves POST /admin/v1/clock/confirm: an operator's word that the clock is right, so that approvals go on.
func (s *Server) confirmClock(r *http.Request) (any, error) {
	var said ClockConfirmation
	if err := readJSON(r, &said); err != nil {
		return nil, err
	}
	if who := operatorOf(r.Context()); who != tokenHolder {
		if said.Operator != "" && said.Operator != who {
			return nil, &adminError{http.StatusForbidden, "you are known here as " + who + ": the clock is confirmed under that name or not at all"}
		}
		said.Operator = who
	}
	before, err := s.cfg.Ledger.Summary(r.Context())
	if err != nil {
		return nil, err
	}
	rec, err := s.cfg.Ledger.ConfirmClock(r.Context(), said.Operator, said.Reason)
	if err != nil {
		return nil, err
	}
	s.log.WarnContext(r.Context(), "clock confirmed", "entry", rec.ID, "operator", rec.Operator, "time", rec.Time, "before", rec.Before, "doubted", before.ClockJumped)
	return ClockView{rec.ID, rec.Time, rec.Before, before.ClockJumped, rec.Operator, rec.Reason}, nil
}
