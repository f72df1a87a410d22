package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/policy"
)

func (o *options) policySchema() *cobra.Command {
	data, rules, forOPA := false, false, false
	cmd := &cobra.Command{
		Use: "schema", Short: "Print the JSON schema of a policy's input, of data.json, or of data as rules see it",
		Long: `Print a JSON schema (draft 7) in which each field has its type, its unit and what it means: of a rule's input; with --data of
data.json as it is written, for editors; with --rules of what rules see of it as data. With --opa the input's schema is as OPA's
compiler can use it: OPA knows nothing of a value that may be null, so that null is left out.`,
		Example: `  callback policy schema
  callback policy schema --data > data.schema.json
  callback policy schema --opa > schemas/input.json && opa check --schema schemas policy`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text := policy.InputSchema()
			switch {
			case data && rules, forOPA && (data || rules):
				return errors.New("one of --data, --rules and --opa is possible")
			case data:
				text = policy.DataSchema()
			case rules:
				text = policy.RulesDataSchema()
			case forOPA:
				var err error
				if text, err = policy.CompilerSchema(); err != nil {
					return err
				}
				text = append(text, '\n')
			}
			_, err := o.out.Write(text)
			return err
		},
	}
	cmd.Flags().BoolVar(&data, "data", false, "of data.json as it is written")
	cmd.Flags().BoolVar(&rules, "rules", false, "of data as rules see it")
	cmd.Flags().BoolVar(&forOPA, "opa", false, "of the input, as OPA's compiler can use it")
	return cmd
}
