package main

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/policy"
)

// past is what has happened before a request that is tried.
type past struct {
	used     []string
	approved bool
}

func (p *past) flags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&p.used, "used", nil, "what a window has used before, in base units or as a count, such as day=1000000; may be given several times")
	cmd.Flags().BoolVar(&p.approved, "approved", false, "as if everybody who may approve it had")
}

// fill writes it into a setting. A window that data.json does not have is refused: nothing would count under it.
func (p *past) fill(e *policy.Engine, set *callback.Setting) error {
	used, err := parseUsed(p.used)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(used)) {
		if e.WindowMax(id) == nil {
			return fmt.Errorf("--used: data.json has no window %q", id)
		}
	}
	set.Used, set.Approved = used, p.approved
	return nil
}

// parseUsed reads --used flags: what windows have used.
func parseUsed(flags []string) (map[string]*big.Int, error) {
	out := map[string]*big.Int{}
	for _, flag := range flags {
		id, text, _ := strings.Cut(flag, "=")
		n, ok := new(big.Int).SetString(text, 10)
		if id == "" || !ok || n.Sign() < 0 || len(text) > 80 {
			return nil, fmt.Errorf("--used: %q is no window with what it has used, in base units or as a count, such as day=1000000", flag)
		}
		out[id] = n
	}
	return out, nil
}
