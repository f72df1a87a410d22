package main

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/callback"
)

func (o *options) results() *cobra.Command {
	parent := &cobra.Command{
		Use: "results", Short: "List and read the signatures that nodes reported",
		Long: `Signatures of messages and of raw data (sign_type 2 and 3) are reported by the nodes, held against the request that was approved,
and kept sealed until retention removes them. What came of it:

  verified    a signature of the approved message under the key of the approved path
  unverified  of the right form; the key of that path is not known here: add a [[key]] with its chain code
  encrypted   encrypted to a key that this server does not have (decrypt-key-path), and kept as it came
  invalid     no signature of the approved message, or not under the key it was approved for
  unmatched   this server did not approve it: find out how it came to be

What is not of the form of a signature is rejected, counted and not kept.`,
		Example: "  callback results list --limit 5\n  callback results get 0190c1d2e3f4a5b6c7d8e9f0a1b2c3d4",
	}
	parent.AddCommand(o.resultsList(), o.resultsGet())
	return parent
}

func (o *options) resultsList() *cobra.Command {
	var server admin
	query := map[string]*string{"callback_id": new(string), "request_id": new(string), "status": new(string), "cursor": new(string)}
	limit, asJSON := 20, false
	cmd := &cobra.Command{
		Use: "list", Short: "List results, newest first, without the signatures",
		Example: "  callback results list --limit 5\n  callback results list --status unmatched --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			values := url.Values{"limit": {strconv.Itoa(limit)}}
			for key, value := range query {
				values.Set(key, *value)
			}
			var list callback.ResultList
			if err := o.call(cmd.Context(), &server, "GET", "/admin/v1/results?"+values.Encode(), nil, &list); err != nil {
				return err
			}
			if asJSON {
				return o.printJSON(list)
			}
			if len(list.Results) == 0 {
				fmt.Fprintln(o.out, "no results")
			}
			for _, r := range list.Results {
				fmt.Fprintf(o.out, "%s  %s  %-10s  %s  %s  %s\n", r.ID, r.Time, r.Status, printable(r.NodeName), printable(r.CallbackID), printable(r.RequestID))
			}
			if list.Next != "" {
				fmt.Fprintf(o.out, "more with --cursor %s\n", list.Next)
			}
			return nil
		},
	}
	server.flags(cmd)
	cmd.Flags().StringVar(query["callback_id"], "callback-id", "", "only those under this callback_id")
	cmd.Flags().StringVar(query["request_id"], "request-id", "", "only those of this request_id")
	cmd.Flags().StringVar(query["status"], "status", "", "only those of this status: see callback results --help")
	cmd.Flags().StringVar(query["cursor"], "cursor", "", "go on where the page before ended")
	cmd.Flags().IntVar(&limit, "limit", limit, "how many, at most 1000")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (o *options) resultsGet() *cobra.Command {
	var server admin
	callbackID, asJSON := "", false
	cmd := &cobra.Command{
		Use: "get [ID]", Short: "Print one result with its signature, by its id or by callback_id",
		Long: `Print one result with the signature, which is a secret for whoever may use it: mind where it goes. The server logs that it was
read. With --callback-id it is the newest one under that callback_id.`,
		Example: "  callback results get 0190c1d2e3f4a5b6c7d8e9f0a1b2c3d4\n  callback results get --callback-id 7d1c0b2a --json",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if (len(args) == 1) == (callbackID != "") {
			return errors.New("give either the id of a result (callback results list) or --callback-id")
		}
		id := strings.Join(args, "")
		if id == "" {
			var list callback.ResultList
			query := url.Values{"callback_id": {callbackID}, "limit": {"1"}}
			if err := o.call(cmd.Context(), &server, "GET", "/admin/v1/results?"+query.Encode(), nil, &list); err != nil {
				return err
			}
			if len(list.Results) == 0 {
				return refused(errors.New("no result was reported under this callback_id"))
			}
			id = list.Results[0].ID
		}
		var view callback.ResultView
		if err := o.call(cmd.Context(), &server, "GET", "/admin/v1/results/"+url.PathEscape(id), nil, &view); err != nil {
			return err
		}
		if asJSON {
			return o.printJSON(view)
		}
		printResult(printer{o.out}, view)
		return nil
	}
	server.flags(cmd)
	cmd.Flags().StringVar(&callbackID, "callback-id", "", "of the approved check, instead of an id")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printResult(p printer, r callback.ResultView) {
	p.line("result", r.ID+" of "+r.Time)
	p.line("status", r.Status+": "+r.Reason)
	p.line("node", r.NodeName)
	p.line("callback_id", r.CallbackID)
	p.line("sino_id", r.SinoID)
	p.line("request_id", r.RequestID)
	p.line("approved by", r.Check)
	p.line("message", r.Message)
	for _, d := range r.Digests {
		p.line("digest", d.String())
	}
	p.line("scheme", r.Scheme)
	if r.Key != "" {
		p.line("public key", r.Key+" (from "+r.KeySource+")")
	}
	p.line("signature", r.Signature.String())
	p.line("ciphertext", r.Ciphertext.String())
}
