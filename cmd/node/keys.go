package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (o *options) keys() *cobra.Command {
	asJSON, path, network := false, "", ""
	cmd := &cobra.Command{
		Use: "keys", Short: "List the key shares that the node holds, with their addresses; never a secret", Args: cobra.NoArgs,
		Long: `List the key shares that the node holds: algorithm, threshold, public key and, once the share is active, the addresses of
the root key, or with --path those of its child. An EVM address belongs to each key of secp256k1, a Solana address to each of
Ed25519; with --network the addresses of Bitcoin are shown too, p2tr without a script tree. No secret is ever shown.`,
		Example: "  mpc-node keys\n  mpc-node keys --json\n  mpc-node keys --path m/84/0/0/0/0 --network mainnet",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if network != "" && !slices.Contains(networks, network) {
				return fmt.Errorf("--network %q: one of %s is needed", network, strings.Join(networks, ", "))
			}
			query := url.Values{"path": {path}, "network": {network}}
			body, err := o.call(cmd.Context(), http.MethodGet, "/sys/keys?"+query.Encode(), nil)
			if err != nil {
				return err
			}
			return printList[keyLine](o.out, body, asJSON, "this node holds no keys")
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&path, "path", "", "derivation path whose key and addresses are shown (default: the root)")
	cmd.Flags().StringVar(&network, "network", "", "network of the Bitcoin addresses: mainnet, testnet, signet or regtest (default: none are shown)")
	return cmd
}

// networks are those of Bitcoin's addresses.
var networks = []string{"mainnet", "testnet", "signet", "regtest"}

// keyLine is what is printed of a key.
type keyLine struct {
	KeyID      string            `json:"key_id"`
	Algorithm  string            `json:"algorithm"`
	T          int               `json:"t"`
	N          int               `json:"n"`
	Index      int               `json:"index"`
	Epoch      int               `json:"epoch"`
	State      string            `json:"state"`
	PublicKey  string            `json:"public_key"`
	Path       string            `json:"path,omitempty"`
	DerivedKey string            `json:"derived_key,omitempty"`
	EVM        string            `json:"evm_address,omitempty"`
	Solana     string            `json:"solana_address,omitempty"`
	Bitcoin    map[string]string `json:"bitcoin_addresses,omitempty"`
	Guarded    bool              `json:"guarded"`
	Recipient  int               `json:"results_for_party,omitempty"`
	Parties    []string          `json:"parties"`
	Created    time.Time         `json:"created"`
	LastUsed   time.Time         `json:"last_used,omitzero"`
	Note       string            `json:"note,omitempty"`
}

func (k keyLine) print(w io.Writer) {
	fmt.Fprintf(w, "%s  %s  %d of %d  party %d  epoch %d  %s  guarded %t\n", k.KeyID, k.Algorithm, k.T, k.N, k.Index, k.Epoch, k.State, k.Guarded)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %-12s  %s\n", name, value)
		}
	}
	line("public key", k.PublicKey)
	line("path", k.Path)
	line("key there", k.DerivedKey)
	line("EVM", k.EVM)
	line("Solana", k.Solana)
	for _, kind := range slices.Sorted(maps.Keys(k.Bitcoin)) {
		line(kind, k.Bitcoin[kind])
	}
	if k.Recipient != 0 {
		line("results for", fmt.Sprintf("party %d alone (sign_type 2 and 3)", k.Recipient))
	}
	for i, id := range k.Parties {
		line(fmt.Sprintf("party %d", i+1), id)
	}
	line("created", k.Created.UTC().Format(time.RFC3339))
	if k.LastUsed.IsZero() {
		line("last used", "never")
	} else {
		line("last used", k.LastUsed.UTC().Format(time.RFC3339))
	}
	line("note", k.Note)
}
