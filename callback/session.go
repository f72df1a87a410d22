package callback

import (
	"fmt"
	"slices"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// sessionLife is for how long after its first Approve a sino_id stands for one session that makes a key or a presignature:
// longer than any request lives, and shorter than nodes remember which they have worked on (30 days).
const sessionLife = 7 * 24 * time.Hour

// session is what an Approve of a request counts in which nothing is signed yet: one session, whichever node asks for it and
// however often. Its name is the sino_id, which is bound to what is made. Nil where no window counts it.
func (c *Case) session(e *policy.Engine, p *wire.Parsed) *ledger.Execution {
	x := &ledger.Execution{Charges: charges(e, &c.Input), Within: sessionLife}
	if len(x.Charges) == 0 {
		return nil
	}
	name, d := p.Check.ExtraInfo.SinoID, &p.Check.RequestDetail
	if name == "" {
		c.Input.Problems = append(c.Input.Problems, policy.Problem{
			Rule: policy.RuleWindowScope, Field: "/extra_info/sino_id", Message: "is missing, and windows count sessions by it",
		})
		return nil
	}
	parties := slices.Sorted(slices.Values(d.PartyIDs))
	content := append([]string{c.Intent.String(), fmt.Sprint(d.T), fmt.Sprint(d.N)}, parties...)
	x.Anchors = []ledger.Hash{anchor("session", name)}
	x.Bindings = []ledger.Binding{{
		What: "session " + clip(name, maxName), Name: anchor("session-content", name), Value: anchor("session-of", content...),
	}}
	return x
}
