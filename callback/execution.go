package callback

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
	"github.com/countersign-mpc/countersign/wire/label"
)

// execution is what an Approve of this case counts in windows (DESIGN.md, "Windows"), nil where nothing is signed.
func (c *Case) execution(e *policy.Engine, p *wire.Parsed) (*ledger.Execution, error) {
	x := &c.room.execution
	x.Charges = charges(e, &c.Input)
	if len(c.Digests) == 0 { // it cannot be told what is to be signed: that is rejected, and counts nothing
		return nil, nil
	}
	key, path := p.Check.RequestDetail.PublicKey, cmp.Or(p.Check.RequestDetail.Path, "m")
	switch {
	case c.account != nil && c.account.Transaction != nil: // one transaction of an account with a nonce can happen
		c.room.anchors[0] = anchor("evm", key, path, c.account.Transaction.ChainID, c.account.Transaction.Nonce)
		x.Anchors = c.room.anchors[:]
	case c.Input.Message != nil && c.Input.Message.Transaction && len(c.Input.Tx.Problems) == 0: // and so can one by a message
		domain, nonce := c.account.TypedData.Domain, c.account.TypedData.Message["nonce"]
		x.Anchors = []ledger.Hash{anchor("message", c.Input.Tx.Chain, *domain.VerifyingContract, c.Input.Tx.From, fmt.Sprint(nonce))}
	case c.account != nil && c.account.Bitcoin != nil:
		for _, in := range c.account.Bitcoin.Inputs {
			x.Anchors = append(x.Anchors, anchor("utxo", c.account.Bitcoin.Network, in.TxID, fmt.Sprint(in.Vout)))
		}
	case p.Check.RequestDetail.SignType == wire.SignTypeTransaction && p.TxInfo != nil && p.TxInfo.RequestID != "":
		return x, c.payment(x, p)
	default:
		x.Anchors = []ledger.Hash{anchor("digest", key, path, hex.EncodeToString(c.own))}
	}
	return x, nil
}

// charges are the engine's, in the ledger's terms.
func charges(e *policy.Engine, in *policy.Input) []ledger.Charge {
	all := e.Charges(in)
	if len(all) == 0 {
		return nil
	}
	count := 0
	for _, charge := range all {
		count += len(charge.Windows)
	}
	out, windows := make([]ledger.Charge, 0, len(all)), make([]ledger.Window, 0, count)
	for _, charge := range all {
		first := len(windows)
		for _, w := range charge.Windows {
			windows = append(windows, ledger.Window{ID: w.ID, Period: ledger.Period{
				Rolling: w.Period.Rolling, Calendar: ledger.CalendarUnit(w.Period.Calendar), Zone: w.Period.Zone,
			}})
		}
		out = append(out, ledger.Charge{Series: charge.Series, Amount: charge.Amount, Windows: windows[first:len(windows):len(windows)]})
	}
	return out
}

// payment counts a transaction that nobody has seen by its payment's name: all inputs of a payment count its amount once.
// The name is bound to what is claimed and to one digest; where vinList names inputs, each of them to one.
func (c *Case) payment(x *ledger.Execution, p *wire.Parsed) error {
	content, err := paymentOf(nil, p.Check.RequestDetail.TxInfo)
	if err != nil {
		return err
	}
	name := []string{p.Check.RequestDetail.PublicKey, p.TxInfo.RequestID}
	x.Anchors = []ledger.Hash{anchor("payment", name...)}
	x.Bindings = []ledger.Binding{
		{What: "payment " + clip(p.TxInfo.RequestID, maxName), Name: anchor("payment-content", name...), Value: sha256.Sum256(content)},
		{
			What: "input " + clip(p.TxInfo.CurInputID, maxName) + " of payment " + clip(p.TxInfo.RequestID, maxName),
			Name: anchor("payment-input", append(name, c.inputOf(p.TxInfo))...), Value: sha256.Sum256(c.own),
		},
	}
	return nil
}

// inputOf names the input of a payment that is signed: by its place in vinList, so that it has one name only. A payment
// without inputs has one digest.
func (c *Case) inputOf(info *wire.TxInfo) string {
	if c.Input.Tx == nil || c.Input.Tx.Family != policy.FamilyUTXO || info.ExtraData == nil {
		return ""
	}
	for i, in := range info.ExtraData.VinList {
		if in.ID != "" && in.ID == info.CurInputID {
			return strconv.Itoa(i)
		}
	}
	if i, err := strconv.Atoi(info.CurInputID); err == nil && i >= 0 && i < len(info.ExtraData.VinList) {
		return strconv.Itoa(i)
	}
	return ""
}

// anchor names something that can happen once only.
func anchor(kind string, parts ...string) ledger.Hash {
	b := label.Field(label.Begin(make([]byte, 0, 512), "execution"), kind)
	for _, part := range parts {
		b = label.Field(b, part)
	}
	return sha256.Sum256(b)
}

// windows writes the state of the windows in the policy's terms.
func windows(states []ledger.WindowState) map[string]policy.Window {
	out := make(map[string]policy.Window, len(states))
	for _, s := range states {
		out[s.ID] = policy.Window{Used: decimal(s.Used), Reserved: decimal(s.Reserved), After: decimal(s.After)}
	}
	return out
}

// decimal is n.String(), without math/big for what has room in a word.
func decimal(n *big.Int) json.Number {
	if n != nil && n.IsUint64() {
		return json.Number(strconv.FormatUint(n.Uint64(), 10))
	}
	return json.Number(n.String())
}

// unused is the state of an execution's windows where nothing was approved before.
func unused(x *ledger.Execution) []ledger.WindowState {
	var out []ledger.WindowState
	if x == nil {
		return nil
	}
	for _, c := range x.Charges {
		for _, w := range c.Windows {
			out = append(out, ledger.WindowState{ID: w.ID, Series: c.Series, Used: new(big.Int), Reserved: new(big.Int), After: c.Amount})
		}
	}
	return out
}
