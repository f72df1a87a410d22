package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/wire"
)

func (o *options) sessions() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "sessions", Short: "List the sessions that run and those that are over, with why they failed", Args: cobra.NoArgs,
		Long: `List sessions, the newest first: those that are offered to the node or run, then up to 200 that are over since its process
began. Their states:

  asking, waiting, approved   offered: what the callback has said of the request so far
  gathering                   joined: not every party is there
  computing                   the protocol runs
  completed, share-released   over, with the signature or key, or with the share given to the party that alone learns it
  failed                      over without a result; the reason says why

No secret is ever shown, and nothing of what is signed.`,
		Example: "  mpc-node sessions\n  mpc-node sessions --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, err := o.call(cmd.Context(), http.MethodGet, "/sys/sessions", nil)
			if err != nil {
				return err
			}
			return printList[sessionLine](o.out, body, asJSON, "this node has no sessions")
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// sessionLine is what is printed of a session.
type sessionLine struct {
	SessionID string `json:"session_id"`
	SinoID    string `json:"sino_id"`
	RequestID string `json:"request_id,omitempty"`
	Type      string `json:"type"`
	KeyID     string `json:"key_id"`
	Parties   []struct {
		Index  int         `json:"index"`
		NodeID wire.NodeID `json:"node_id"`
	} `json:"parties"`
	State   string    `json:"state"`
	Since   time.Time `json:"since"`
	Reason  string    `json:"reason,omitempty"`
	Culprit int       `json:"culprit,omitempty"`
}

func (s sessionLine) print(w io.Writer) {
	fmt.Fprintf(w, "%s  %s  %s  since %s\n", s.SessionID, plain(s.Type), s.State, s.Since.UTC().Format(time.RFC3339))
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %-8s  %s\n", name, plain(value))
		}
	}
	line("request", strings.TrimSpace(s.SinoID+"  "+s.RequestID))
	line("key", s.KeyID)
	var parties []string
	for _, p := range s.Parties {
		parties = append(parties, fmt.Sprintf("%d %s", p.Index, p.NodeID.Short()))
	}
	line("parties", strings.Join(parties, ", "))
	line("reason", s.Reason)
	if s.Culprit != 0 {
		line("culprit", fmt.Sprintf("party %d has broken the protocol", s.Culprit))
	}
}

// plain is text from outside as a terminal may show it: on one line, without control characters.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, text)
}
