package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/callback"
)

func (o *options) decisions() *cobra.Command {
	var server admin
	query := map[string]*string{"callback_id": new(string), "request_id": new(string), "sino_id": new(string), "cursor": new(string)}
	limit, asJSON := 20, false
	cmd := &cobra.Command{
		Use: "decisions [ID]", Short: "List recorded decisions, newest first, or show one with its input, rules and reply",
		Example: `  callback decisions --limit 5
  callback decisions --request-id r-17 --json
  callback decisions 0190c1d2e3f4a5b6c7d8e9f0a1b2c3d4`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				var view callback.DecisionView
				if err := o.call(cmd.Context(), &server, "GET", "/admin/v1/decisions/"+url.PathEscape(args[0]), nil, &view); err != nil {
					return err
				}
				return o.printJSON(view)
			}
			values := url.Values{"limit": {strconv.Itoa(limit)}}
			for key, value := range query {
				values.Set(key, *value)
			}
			return o.listDecisions(cmd.Context(), &server, values, asJSON)
		},
	}
	server.flags(cmd)
	cmd.Flags().StringVar(query["callback_id"], "callback-id", "", "only those about this callback_id")
	cmd.Flags().StringVar(query["request_id"], "request-id", "", "only those about this request_id")
	cmd.Flags().StringVar(query["sino_id"], "sino-id", "", "only those about this sino_id")
	cmd.Flags().StringVar(query["cursor"], "cursor", "", "go on where the page before ended")
	cmd.Flags().IntVar(&limit, "limit", limit, "how many, at most 1000")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (o *options) listDecisions(ctx context.Context, server *admin, query url.Values, asJSON bool) error {
	var list callback.DecisionList
	if err := o.call(ctx, server, "GET", "/admin/v1/decisions?"+query.Encode(), nil, &list); err != nil {
		return err
	}
	if asJSON {
		return o.printJSON(list)
	}
	if len(list.Decisions) == 0 {
		fmt.Fprintln(o.out, "no decisions")
	}
	for _, d := range list.Decisions {
		fmt.Fprintf(o.out, "%s  %s  %-7s  %s  %s  %s\n", d.ID, d.Time, d.Action, d.Path, printable(d.CallbackID), printable(d.Rule))
	}
	if list.Next != "" {
		fmt.Fprintf(o.out, "more with --cursor %s\n", list.Next)
	}
	return nil
}
