package ledger

import (
	"encoding/json"
	"time"

	"github.com/countersign-mpc/countersign/wire"
)

// Record is a decision as it stands in the log.
type Record struct {
	ID    string    `json:"id"`
	Index int64     `json:"index"` // in the log; not part of the entry
	Time  time.Time `json:"time"`

	Ask Ask `json:"-"`

	Action      wire.Action  `json:"action"`
	Verdict     wire.Action  `json:"verdict"` // what the evaluation said; differs from Action where the ledger stepped in
	Reasons     []Reason     `json:"reasons"`
	WaitSeconds int          `json:"wait_seconds,omitempty"`
	Requirement *Requirement `json:"requirement,omitempty"`
	Revision    string       `json:"revision"`
	Fired       []string     `json:"fired"`
	ClockJumped bool         `json:"clock_jumped,omitempty"`
	Approval    string       `json:"approval,omitempty"` // id of the one that was opened, waited for or used
	Opened      bool         `json:"opened,omitempty"`   // this decision opened it
	Voided      []string     `json:"voided,omitempty"`   // ids of approvals that it made void

	Input json.RawMessage `json:"input"`
	Reply []byte          `json:"-"` // as it was sent
}

// Filter selects decisions; empty fields select all.
type Filter struct {
	CallbackID string
	RequestID  string
}

// Page is a part of a list, newest first.
type Page struct {
	Decisions []Record `json:"decisions"`
	Next      string   `json:"next,omitempty"` // cursor of the next page; "" at the end
}
