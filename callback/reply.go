package callback

import (
	"fmt"
	"strings"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// reply makes the bytes of a decision. It is a function of its arguments, so that a recorded decision gives the recorded
// bytes again.
func (s *Server) reply(a *asked, o ledger.Outcome) ([]byte, error) {
	defer s.metrics.stage("reply")()
	data := wire.ResponseData{
		CallbackID: a.Check.CallbackID, SinoID: a.Check.ExtraInfo.SinoID, RequestID: a.Check.ExtraInfo.RequestID, Action: o.Action,
	}
	if o.Action == wire.Wait {
		data.WaitTime = wire.WaitSeconds(time.Duration(o.WaitSeconds) * time.Second)
	}
	body, err := wire.Reply(a.node.ReplyKey, data, s.cfg.ActionStyle, ErrorText(o))
	if err != nil {
		return nil, fmt.Errorf("make the reply: %w", err)
	}
	return body, nil
}

// ErrorText is what stands in the reply's error: the reasons of the deciding severity, each behind its rule's id, and,
// where approvals are waited for, the id of what has to be approved. It is empty on Approve and at most
// policy.MaxErrorText bytes.
func ErrorText(o ledger.Outcome) string {
	if o.Action == wire.Approve {
		return ""
	}
	var parts []string
	for _, r := range o.Reasons {
		if r.Severity != o.Action {
			continue
		}
		text := r.Rule + ": "
		if len(parts) == 0 && o.Action == wire.Wait && o.Approval != nil { // first, since nodes cut long texts
			text += "waiting for approval " + o.Approval.ID + ": "
		}
		parts = append(parts, text+r.Message)
	}
	return clip(strings.Join(parts, "; "), policy.MaxErrorText)
}

// rule is the first rule that decided.
func rule(o ledger.Outcome) string {
	for _, r := range o.Reasons {
		if r.Severity == o.Action {
			return r.Rule
		}
	}
	return ""
}

// clip cuts text to at most limit bytes, at a character's boundary.
func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len("...")], "") + "..."
}
