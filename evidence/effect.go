package evidence

import (
	"fmt"
	"math/big"
	"strings"
)

// Step is one call that a transaction makes, in the order of execution: the transaction's own first, then what is wrapped
// in it. Only what stands in calldata is known; what contracts call on their own is not.
type Step struct {
	// Depth is 0 for the transaction's own call, 1 for what that wraps, and so on.
	Depth int `json:"depth"`
	// From is who calls: the signer, or the contract that makes the call. Contract is who is called. Each is empty where
	// it is not known.
	From     string `json:"from,omitempty"`
	Contract string `json:"contract,omitempty"`
	// Value is the wei that go with the call; empty where none can, or where it is not known. With a DELEGATECALL none go,
	// though a value be named.
	Value string `json:"value,omitempty"`
	// Method is the canonical signature, Selector its first four bytes; both are empty without calldata. Method is empty
	// too where it is not known.
	Method   string `json:"method,omitempty"`
	Selector string `json:"selector,omitempty"`
	// Args are the arguments by name: integers as decimal strings, addresses checksummed, bytes in hex with 0x; booleans,
	// strings, arrays and tuples (as objects) as they are. An argument that is only calldata which follows as steps is left out.
	Args map[string]any `json:"args,omitempty"`
	// Data is the calldata where Args could not be read. At depth 0 it is the transaction's, and not repeated.
	Data string `json:"data,omitempty"`
	// Delegate marks a DELEGATECALL: Contract's code acts as From.
	Delegate bool `json:"delegate_call,omitempty"`
	// Code says why it is not known what the step does; empty where it is.
	Code Code `json:"code,omitempty"`
}

// Movement is an asset that changes hands.
type Movement struct {
	Asset AssetKind `json:"asset"`
	// Contract is the token's, empty for the native coin and where only calldata was there to decode.
	Contract string `json:"contract,omitempty"`
	// TokenID: AssetERC721 and AssetERC1155.
	TokenID string `json:"token_id,omitempty"`
	// From is whose asset moves, empty where it is not known. The zero address stands for making or destroying tokens.
	From string `json:"from,omitempty"`
	To   string `json:"to"`
	// Amount is in base units; "1" for AssetERC721.
	Amount string `json:"amount,omitempty"`
	// AmountOrID: AssetToken, in place of Amount and TokenID.
	AmountOrID string `json:"amount_or_token_id,omitempty"`

	// drawn: what moves is not the caller's own, but moves by an approval of its owner's.
	drawn bool
}

// String is the movement in one line, for differences.
func (m Movement) String() string {
	what := strings.TrimSpace(string(m.Asset) + " " + m.Contract)
	if m.TokenID != "" {
		what += " token " + m.TokenID
	}
	return fmt.Sprintf("%s: %s%s to %s", what, m.Amount, m.AmountOrID, m.To)
}

// ApprovalKind is how somebody is given power over tokens.
type ApprovalKind string

// The kinds of approvals.
const (
	ApproveERC20  ApprovalKind = "erc20"  // an allowance
	ApproveERC721 ApprovalKind = "erc721" // one token
	// ApproveToken is ERC-20's or ERC-721's approve, whose calldata is the same: the claimed asset does not tell.
	ApproveToken   ApprovalKind = "token"
	ApproveAll     ApprovalKind = "all"     // setApprovalForAll of ERC-721 and ERC-1155
	ApprovePermit  ApprovalKind = "permit"  // by a signature: ERC-2612, DAI, ERC-3009
	ApprovePermit2 ApprovalKind = "permit2" // Permit2's allowances and signed transfers
	// ApproveHash is an owner's agreement to a transaction of the Safe Owner that only its hash names: whose power over what it
	// gives is not known.
	ApproveHash ApprovalKind = "hash"
)

// Approval is power over tokens that is given to somebody, or taken back.
type Approval struct {
	Kind ApprovalKind `json:"kind"`
	// Token is the token's contract, empty where it is not known.
	Token   string `json:"token,omitempty"`
	TokenID string `json:"token_id,omitempty"` // ApproveERC721
	// Owner is whose tokens they are, empty where it is not known.
	Owner   string `json:"owner,omitempty"`
	Spender string `json:"spender"`
	// Amount is in base units, "1" for ApproveERC721; empty for ApproveAll and ApproveToken.
	Amount     string `json:"amount,omitempty"`
	AmountOrID string `json:"amount_or_token_id,omitempty"` // ApproveToken
	// Unlimited: the amount stands for no limit (see isUnlimited), or all tokens are meant.
	Unlimited bool `json:"unlimited"`
	// Change is "set", "increase" or "decrease": whether Amount is the allowance or what changes in it.
	Change string `json:"change"`
	// Revoke: nothing can be spent by it afterwards that could not before.
	Revoke bool `json:"revoke,omitempty"`
	// Deadline is until when a signature may be used, Expires until when the power lasts; Unix seconds. Empty: no such
	// time is named.
	Deadline string `json:"deadline,omitempty"`
	Expires  string `json:"expires,omitempty"`
}

// The values of Approval.Change.
const (
	changeSet      = "set"
	changeIncrease = "increase"
	changeDecrease = "decrease"
)

// String is the approval in one line, for differences.
func (a Approval) String() string {
	what := strings.TrimSpace(string(a.Kind) + " " + a.Token)
	if a.TokenID != "" {
		what += " token " + a.TokenID
	}
	return fmt.Sprintf("approval, %s: %s %s%s for %s", what, a.Change, a.Amount, a.AmountOrID, a.Spender)
}

// isUnlimited says whether an allowance is one of those that stand for no limit: from 2^255 on, and the largest values
// of the smaller integers that tokens and Permit2 keep allowances in.
func isUnlimited(amount *big.Int) bool {
	if amount.BitLen() > 255 {
		return true
	}
	next := new(big.Int).Add(amount, big.NewInt(1))
	for _, bits := range []uint{96, 112, 128, 160, 192, 224, 248, 255} {
		if next.Cmp(new(big.Int).Lsh(big.NewInt(1), bits)) == 0 {
			return true
		}
	}
	return false
}

// Bounds on what a transaction is followed into.
const (
	maxCallDepth = 4
	maxCalls     = 64
	maxEffects   = 256 // movements and approvals
)

// effect is all that a call does as far as its calldata says.
type effect struct {
	steps     []Step
	movements []Movement
	approvals []Approval
	obstacles []obstacle
	// open: something happens that steps, movements and approvals do not tell.
	open bool
}

// sole returns the movement that is all that happens, if it is exactly one.
func (e *effect) sole() *Movement {
	if e.open || len(e.movements) != 1 || len(e.approvals) > 0 {
		return nil
	}
	return &e.movements[0]
}
