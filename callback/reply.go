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
	defer s.metrics.begin(stageReply).stop()
	data := wire.ResponseData{
		CallbackID: a.Check.CallbackID, SinoID: a.Check.ExtraInfo.SinoID, RequestID: a.Check.ExtraInfo.RequestID, Action: o.Action,
	}
	if o.Action == wire.Wait {
		data.WaitTime = wire.WaitSeconds(time.Duration(o.WaitSeconds) * time.Second)
	}
	return s.seal(a.node, data, o)
}

// seal signs a reply.
func (s *Server) seal(n *node, data wire.ResponseData, o ledger.Outcome) ([]byte, error) {
	body, err := wire.Reply(n.ReplyKey, data, s.cfg.ActionStyle, ErrorText(o))
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

// ruleLimit is the rule of the shipped policy that says most about a payment that nobody had to approve.
const ruleLimit = "limit.per_transaction"

// rule names the one rule that says most about a decision, as lists and the log show it: the first of the deciding
// severity. To approve, all of them had to give their proof: the one under which people approved, where they did, comes
// before all others, and after it the limit.
func rule(o ledger.Outcome) string {
	if o.Action == wire.Approve && o.Approval != nil && o.Approval.Requirement.Rule != "" {
		return o.Approval.Requirement.Rule
	}
	first := ""
	for _, r := range o.Reasons {
		if r.Severity != o.Action {
			continue
		}
		if o.Action == wire.Approve && r.Rule == ruleLimit {
			return ruleLimit
		}
		if first == "" {
			first = r.Rule
		}
	}
	return first
}

// clip cuts text to at most limit bytes, at a character's boundary.
func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len("...")], "") + "..."
}
