package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// maxLine bounds a line of an exported log in bytes: a recorded input has at most ledger.MaxBytes.
const maxLine = ledger.MaxBytes + 1<<20

// logEntry is a line of an exported log: OPA's decision-log event, with what a backtest needs beside.
type logEntry struct {
	Labels     map[string]string `json:"labels"`
	DecisionID string            `json:"decision_id"`
	Path       string            `json:"path"`
	Input      json.RawMessage   `json:"input"`
	Result     json.RawMessage   `json:"result"`
	Revision   string            `json:"revision"`
	// Erased and Masked are JSON pointers of what the export removed from the event or wrote over.
	Erased    []string      `json:"erased,omitempty"`
	Masked    []string      `json:"masked,omitempty"`
	Timestamp string        `json:"timestamp"`
	Past      callback.Past `json:"countersign"` // without its input
}

// pastOfFile reads an exported log.
func pastOfFile(path string) (iter.Seq2[callback.Past, error], int, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	var all []callback.Past
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var e logEntry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, 0, refused(fmt.Errorf("%s: line %d is no entry of an exported log: %v", path, len(all)+1, err))
		}
		if len(e.Erased)+len(e.Masked) > 0 {
			return nil, 0, refused(fmt.Errorf("%s: line %d was exported with masks: what is missing cannot be judged again", path, len(all)+1))
		}
		e.Past.Input = e.Input
		all = append(all, e.Past)
	}
	if err := lines.Err(); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", path, err)
	}
	return func(yield func(callback.Past, error) bool) {
		for _, p := range all {
			if !yield(p, nil) {
				return
			}
		}
	}, len(all), nil
}

// writeEntry writes one line of an exported log, with masks applied and recorded.
func writeEntry(w io.Writer, p callback.Past, masks []mask) error {
	input, masked, erased, err := applyMasks(p.Input, masks)
	if err != nil {
		return err
	}
	p.Input = nil
	result, err := json.Marshal(map[string]wire.Action{"action": p.Action})
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(logEntry{
		Labels: map[string]string{"app": "countersign/callback"}, DecisionID: p.ID, Path: "countersign/decision", Input: input, Result: result,
		Revision: p.Revision, Masked: masked, Erased: erased, Timestamp: p.Time.UTC().Format("2006-01-02T15:04:05.000000000Z"), Past: p,
	})
}
