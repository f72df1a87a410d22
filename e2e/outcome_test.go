package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/countersign-mpc/countersign/e2e/cluster"
)

// outcomeCommands are what scripts can do about how requests end that the callback has approved.
func (w *world) outcomeCommands() map[string]command {
	return map[string]command{
		// outcomes on|off: whether nodes a and b tell the callback how requests end; restarts them
		"outcomes": simple(1, func(ctx context.Context, a []string) error { return w.c.TellOutcomes(ctx, a[0] == "on") }),
		// approved ID N: until the callback has approved the request for so many nodes, and nothing else
		"approved": simple(2, w.approved),
		// told NODE WORD N: until the node has told the callback so often that a request ended so, and everything is acknowledged
		"told": simple(3, w.told),
	}
}

func (w *world) approved(ctx context.Context, a []string) error {
	want, err := strconv.Atoi(a[1])
	if err != nil {
		return err
	}
	return cluster.Eventually(ctx, a[0]+" to be approved", func() (bool, error) {
		decisions, err := w.c.API().Decisions(ctx, w.sino[a[0]])
		if err != nil {
			return false, err
		}
		for _, d := range decisions {
			if d.Action != "Approve" {
				return true, fmt.Errorf("a decision is %s by %s", d.Action, d.Rule)
			}
		}
		if len(decisions) != want {
			return false, fmt.Errorf("there are %d decisions", len(decisions))
		}
		return true, nil
	})
}

func (w *world) told(ctx context.Context, a []string) error {
	want, err := strconv.ParseFloat(a[2], 64)
	if err != nil {
		return err
	}
	metric := func(name string) (float64, error) { return w.c.API().Metric(ctx, w.c.Ports.Monitoring[a[0]], name) }
	return cluster.Eventually(ctx, "outcome "+a[1]+" of node "+a[0], func() (bool, error) {
		said, err := metric(fmt.Sprintf("countersign_node_outcomes_total{word=%q}", a[1]))
		if err != nil || said != want {
			return false, errors.Join(err, fmt.Errorf("it was told %v times", said))
		}
		waiting, err := metric("countersign_node_unacknowledged_outcomes")
		return err == nil && waiting == 0, err
	})
}
