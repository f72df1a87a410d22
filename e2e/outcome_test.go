package e2e_test

import (
	"context"
	"fmt"
	"strconv"
	"time"
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

// until asks again and again until something holds or ctx ends.
func until(ctx context.Context, what string, ok func() (bool, error)) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		done, err := ok()
		if err != nil || done {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("this did not happen: %s", what)
		case <-ticker.C:
		}
	}
}

func (w *world) approved(ctx context.Context, a []string) error {
	want, err := strconv.Atoi(a[1])
	if err != nil {
		return err
	}
	return until(ctx, a[0]+" to be approved", func() (bool, error) {
		decisions, err := w.c.API().Decisions(ctx, w.sino[a[0]])
		if err != nil {
			return false, err
		}
		for _, d := range decisions {
			if d.Action != "Approve" {
				return false, fmt.Errorf("a decision is %s by %s", d.Action, d.Rule)
			}
		}
		return len(decisions) == want, nil
	})
}

func (w *world) told(ctx context.Context, a []string) error {
	want, err := strconv.ParseFloat(a[2], 64)
	if err != nil {
		return err
	}
	metric := func(name string) (float64, error) { return w.c.API().Metric(ctx, w.c.Ports.Monitoring[a[0]], name) }
	return until(ctx, "outcome "+a[1]+" of node "+a[0], func() (bool, error) {
		said, err := metric(fmt.Sprintf("countersign_node_outcomes_total{word=%q}", a[1]))
		if err != nil || said != want {
			return false, err
		}
		waiting, err := metric("countersign_node_unacknowledged_outcomes")
		return waiting == 0, err
	})
}
