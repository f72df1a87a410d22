package policy

import (
	"encoding/json"
	"slices"

	"github.com/countersign-mpc/countersign/evidence"
)

// Call is what an EVM transaction does by calldata, as far as evidence could read it. Addresses are canonical, and "" where
// they are not known.
type Call struct {
	// Declared: the signed transaction is nothing but calls, of which tx_info names the first one's contract, its coins and
	// its calldata. Only such a call may be approved by data.json contracts.
	Declared  bool        `json:"declared"`
	Steps     []CallStep  `json:"steps"`     // the transaction's own first, then those that it wraps
	Movements []CallMove  `json:"movements"` // what changes hands by steps whose effect is known
	Approvals []CallGrant `json:"approvals"` // what power over tokens they give
}

// CallStep is one call.
type CallStep struct {
	Contract string `json:"contract"`
	Selector string `json:"selector"` // "0x" and 8 digits, "" without calldata
	Method   string `json:"method"`   // the canonical signature, "" where it is not known
	Delegate bool   `json:"delegate"` // a DELEGATECALL: the contract's code acts as its caller
}

// CallMove is an asset that changes hands.
type CallMove struct {
	Kind       string      `json:"kind"` // native, erc20, erc721, erc1155 or token (one of the two)
	Contract   string      `json:"contract"`
	To         string      `json:"to"`
	TokenID    string      `json:"token_id,omitempty"` // decimal; of erc721 and erc1155
	AmountBase json.Number `json:"amount_base,omitempty"`
}

// CallGrant is power over tokens that somebody is given, or that is taken back.
type CallGrant struct {
	Kind       string      `json:"kind"`  // erc20, erc721, token, all, permit, permit2 or hash
	Asset      string      `json:"asset"` // id in data.json of an ERC-20 token; "" when unknown, or for another kind of token
	Token      string      `json:"token"`
	Spender    string      `json:"spender"`
	AmountBase json.Number `json:"amount_base,omitempty"`
	Unlimited  bool        `json:"unlimited"` // the amount stands for no limit, is not known, or all tokens are meant
	Change     string      `json:"change"`    // set, increase or decrease
	Revoke     bool        `json:"revoke"`
}

// declaredCodes are the reasons for which a call that tx_info declares is unverifiable: it is no transfer. Any other reason
// says that what is signed is not known well enough.
var declaredCodes = []string{string(evidence.CodeNotTransfer), string(evidence.CodeUnknownCall)}

// call describes what evidence decoded of an EVM transaction; nil where it decoded no calldata.
func (d *Data) call(in *Input, found *evidence.Decoded) *Call {
	if len(found.Calls) == 0 {
		return nil
	}
	chain := d.chains[in.Tx.Chain]
	address := func(text string) string {
		canonical, err := chain.canonicalAddress(text)
		if err != nil {
			return ""
		}
		return canonical
	}
	c := &Call{
		Declared: declared(in, chain, found.Transaction), Steps: make([]CallStep, 0, len(found.Calls)), Movements: make([]CallMove, 0, len(found.Movements)),
	}
	for _, s := range found.Calls {
		c.Steps = append(c.Steps, CallStep{Contract: address(s.Contract), Selector: s.Selector, Method: s.Method, Delegate: s.Delegate})
	}
	for _, m := range found.Movements {
		c.Movements = append(c.Movements, d.moved(chain.Symbol, m, address))
	}
	for _, a := range found.Approvals {
		c.Approvals = append(c.Approvals, grantOf(chain, a, address))
	}
	return c
}

// declared holds the claim against the transaction once more, by data.json's own terms.
func declared(in *Input, chain Chain, tx *evidence.Transaction) bool {
	if tx == nil || in.Evidence.Status != EvidenceUnverifiable || len(in.Evidence.Differences) > 0 || len(in.Evidence.Codes) == 0 {
		return false
	}
	for _, code := range in.Evidence.Codes {
		if !slices.Contains(declaredCodes, code) {
			return false
		}
	}
	to, err := chain.canonicalAddress(tx.To)
	return err == nil && len(tx.Authorizations) == 0 && tx.Blobs == 0 && chain.Native != "" && in.Tx.Asset == chain.Native &&
		to == in.Tx.To && in.Tx.AmountBase != "" && exactBase(tx.Value) == in.Tx.AmountBase
}

// grantOf tells by data.json what approve of ERC-20 and ERC-721 means, which share it.
func grantOf(chain Chain, a evidence.Approval, address func(string) string) CallGrant {
	g := CallGrant{
		Kind: string(a.Kind), Token: address(a.Token), Spender: address(a.Spender), AmountBase: exactBase(a.Amount),
		Unlimited: a.Unlimited, Change: a.Change, Revoke: a.Revoke,
	}
	if g.Token != "" {
		for _, asset := range chain.Assets {
			if asset.Kind == AssetERC20 && asset.Contract == g.Token {
				g.Asset = asset.ID
			}
		}
	}
	if a.Kind == evidence.ApproveToken && g.Asset != "" {
		g.Kind, g.AmountBase = string(evidence.ApproveERC20), exactBase(a.AmountOrID)
		g.Revoke = g.AmountBase == "0"
	}
	g.Unlimited = g.Unlimited || (!g.Revoke && (g.AmountBase == "" || isUnlimited(g.AmountBase)))
	return g
}

// withoutNil makes JSON write [] for lists that hold nothing.
func (c *Call) withoutNil() *Call {
	if c == nil {
		return nil
	}
	return &Call{c.Declared, orEmpty(c.Steps), orEmpty(c.Movements), orEmpty(c.Approvals)}
}
