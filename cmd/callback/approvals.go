package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

func (o *options) approvals() *cobra.Command {
	var server admin
	state, asJSON := "", false
	cmd := &cobra.Command{
		Use: "approvals [ID]", Short: "List what waits for approvals, or show one with everything that would be signed",
		Long: `List the approvals that are pending, or those of --state. With an ID show that one: what was asked, what was decoded of it,
who has voted, and the bytes that an approver signs.`,
		Example: "  callback approvals --config callback.toml\n  callback approvals --state all --json\n  callback approvals 0190c1d2e3f4a5b6c7d8e9f0a1b2c3d4",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return o.showApproval(cmd.Context(), &server, args[0], asJSON)
			}
			var list callback.ApprovalList
			if err := o.call(cmd.Context(), &server, "GET", "/admin/v1/approvals?state="+url.QueryEscape(state), nil, &list); err != nil {
				return err
			}
			if asJSON {
				return o.printJSON(list)
			}
			if len(list.Approvals) == 0 {
				fmt.Fprintln(o.out, "no approvals")
			}
			for _, a := range list.Approvals {
				fmt.Fprintf(o.out, "%s  %s  %d of %d of group %s  expires %s\n", a.ID, a.State, approvalsIn(a.Votes), a.Requirement.Threshold, a.Requirement.Group, a.Expires.UTC().Format(time.RFC3339))
			}
			return nil
		},
	}
	server.flags(cmd)
	cmd.Flags().StringVar(&state, "state", "pending", "pending, approved, rejected, expired, void or all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// approvalsIn is how many votes are for it.
func approvalsIn(votes []ledger.Vote) int {
	n := 0
	for _, v := range votes {
		if v.Decision == ledger.VoteApprove {
			n++
		}
	}
	return n
}

func (o *options) fetchApproval(ctx context.Context, server *admin, id string) (*callback.ApprovalView, error) {
	view := &callback.ApprovalView{}
	if err := o.call(ctx, server, "GET", "/admin/v1/approvals/"+url.PathEscape(id), nil, view); err != nil {
		return nil, err
	}
	return view, nil
}

func (o *options) showApproval(ctx context.Context, server *admin, id string, asJSON bool) error {
	view, err := o.fetchApproval(ctx, server, id)
	if err != nil {
		return err
	}
	if asJSON {
		return o.printJSON(view)
	}
	s, err := readSubject(view)
	if err != nil {
		return err
	}
	s.print(o.out)
	return nil
}

func (o *options) approve() *cobra.Command {
	var server admin
	keyPath := ""
	reject, yes, asJSON := false, false, false
	cmd := &cobra.Command{
		Use: "approve ID --key FILE", Short: "Approve, or reject, what waits: shows it, checks it, signs it here and hands the vote in",
		Long: `Fetch an approval, show what it is about, sign the vote with your own key, on this machine, and hand it in.

The server is not taken at its word: what is signed is made here of what is shown here. The intent hash and the digest are
computed anew of the request, and a difference ends the command before anything is signed.

The approver's name is the one that the approval's group has for the key. On a terminal it asks before signing, unless --yes.`,
		Example: `  callback approve 0190c1d2e3f4a5b6c7d8e9f0a1b2c3d4 --key ~/keys/alice.pem
  callback approve 0190c1d2e3f4a5b6c7d8e9f0a1b2c3d4 --key alice.pem --reject --server 127.0.0.1:9091 --token-file admin.token`,
		Args: cobra.ExactArgs(1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		key, err := loadApproverKey(keyPath)
		if err != nil {
			return err
		}
		view, err := o.fetchApproval(cmd.Context(), &server, args[0])
		if err != nil {
			return err
		}
		v := vote{view: view, id: args[0], decision: ledger.VoteApprove, key: key}
		if reject {
			v.decision = ledger.VoteReject
		}
		show := o.out
		if asJSON {
			show = o.err
		}
		signed, err := o.sign(v, show, yes)
		if err != nil {
			return err
		}
		var after ledger.Approval
		if err := o.call(cmd.Context(), &server, "POST", "/admin/v1/approvals/"+url.PathEscape(view.ID)+"/signatures", signed, &after); err != nil {
			return err
		}
		if asJSON {
			return o.printJSON(after)
		}
		fmt.Fprintf(o.out, "%s: %s by %s recorded; %d of %d approvals, state %s\n", after.ID, signed.Decision, signed.Approver, approvalsIn(after.Votes), after.Requirement.Threshold, after.State)
		return nil
	}
	server.flags(cmd)
	cmd.Flags().StringVar(&keyPath, "key", "", "the approver's private key (PEM, P-256 or Ed25519)")
	cmd.Flags().BoolVar(&reject, "reject", false, "reject instead of approving")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask before signing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the approval afterwards as JSON; what is voted on goes to standard error")
	_ = cmd.MarkFlagRequired("key")
	return cmd
}

// vote is what an approver is about to say.
type vote struct {
	view     *callback.ApprovalView
	id       string // that was asked for
	decision ledger.VoteKind
	key      crypto.Signer
}

// sign checks and shows what is voted on, asks where somebody is there to be asked, and signs.
func (o *options) sign(v vote, show io.Writer, yes bool) (*ledger.Signed, error) {
	if v.view.ID != v.id {
		return nil, refused(errors.New("the server answered with another approval than the one asked for: nothing was signed"))
	}
	s, err := readSubject(v.view)
	if err != nil {
		return nil, err
	}
	s.print(show)
	approver, err := v.approver()
	if err != nil {
		return nil, err
	}
	if err := o.confirm(v.decision, approver, yes); err != nil {
		return nil, err
	}
	signature, err := signVote(v.key, ledger.ApprovalSigningBytes(v.view.Approval, v.decision))
	if err != nil {
		return nil, err
	}
	return &ledger.Signed{Approver: approver, Decision: v.decision, Signature: signature}, nil
}

// signVote signs the bytes of a vote.
func signVote(key crypto.Signer, message []byte) (signature []byte, err error) {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		signature, err = wire.SignP256(k, message)
	case ed25519.PrivateKey:
		signature = ed25519.Sign(k, message)
	default:
		err = errors.New("the key is neither P-256 nor Ed25519")
	}
	if err != nil {
		return nil, fmt.Errorf("sign the vote: %w", err)
	}
	return signature, nil
}

// approver finds the name under which the approval knows the key.
func (v *vote) approver() (string, error) { return approverOf(v.key, v.view.Requirement) }

func approverOf(key crypto.Signer, r ledger.Requirement) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "", fmt.Errorf("approver's key: %w", err)
	}
	sum := sha256.Sum256(der)
	keyID := hex.EncodeToString(sum[:])
	for _, a := range r.Approvers {
		if a.KeyID() == keyID {
			return a.Name, nil
		}
	}
	return "", refused(fmt.Errorf("this key (id %s) is none of group %s of this approval: nothing was signed", keyID, r.Group))
}

// loadApproverKey reads a P-256 or an Ed25519 key from a file that nobody else may read.
func loadApproverKey(path string) (crypto.Signer, error) {
	if err := private(path); err != nil {
		return nil, fmt.Errorf("approver's key: %w", err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("approver's key: %w", err)
	}
	defer secret.Wipe(data)
	if block, _ := pem.Decode(data); block != nil && block.Type == "PRIVATE KEY" {
		defer secret.Wipe(block.Bytes)
		if parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if k, ok := parsed.(ed25519.PrivateKey); ok {
				return k, nil
			}
		}
	}
	key, err := wire.ParsePrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}
