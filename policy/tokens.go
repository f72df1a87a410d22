package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/countersign-mpc/countersign/wire"
)

// BRC20 is one entry of tx_info.brc20Details.
type BRC20 struct {
	Method string `json:"method"`
	Ticker string `json:"ticker"` // in lower case, which is how BRC-20 compares tickers; as sent where malformed
	// Quantity is as sent; QuantityBase is the integer in 10^-decimals of the token, with the decimals of data.json
	// (18 for a ticker that it does not name), absent when it is not known.
	Quantity     string      `json:"quantity"`
	QuantityBase json.Number `json:"quantity_base,omitempty"`
	// TotalBase is the sum over all entries of the request with this method and ticker; absent if one is not known.
	TotalBase     json.Number `json:"total_base,omitempty"`
	InscriptionID string      `json:"inscription_id"`
	Step          int         `json:"step"`
	From          string      `json:"from"` // canonical where it could be read, "" where not
	To            string      `json:"to"`
}

// Rune is one entry of tx_info.runeDetails.
type Rune struct {
	ID         string `json:"id"` // "block:tx"
	Name       string `json:"name"`
	SpacedName string `json:"spaced_name"`
	Symbol     string `json:"symbol"`
	// Amount is as sent; AmountBase is the integer in 10^-divisibility of the rune, absent when it is not known or when
	// data.json does not name the rune.
	Amount     string      `json:"amount"`
	AmountBase json.Number `json:"amount_base,omitempty"`
	// TotalBase is the sum over all entries of the request with this id; absent if one is not known.
	TotalBase    json.Number `json:"total_base,omitempty"`
	Divisibility int         `json:"divisibility"`
	From         string      `json:"from"` // canonical where it could be read, "" where not
	To           string      `json:"to"`
}

// defaultBRC20Decimals is what a ticker has whose deploy names no dec.
const defaultBRC20Decimals = 18

// The methods of BRC-20.
const (
	BRC20Deploy   = "deploy"
	BRC20Mint     = "mint"
	BRC20Transfer = "transfer"
)

var (
	inscriptionPattern = regexp.MustCompile(`^[0-9a-f]{64}i(0|[1-9][0-9]{0,8})$`)
	runeIDPattern      = regexp.MustCompile(`^(0|[1-9][0-9]{0,18}):(0|[1-9][0-9]{0,9})$`)
	runeNamePattern    = regexp.MustCompile(`^[A-Z]{1,28}$`)
	spacedNamePattern  = regexp.MustCompile(`^[A-Z](•?[A-Z])*$`)
)

var (
	maxUint64  = new(big.Int).SetUint64(1<<64 - 1)
	maxUint128 = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))
)

// canonicalTicker returns a ticker as BRC-20 compares it: four bytes; five for tokens that only the deployer mints; six
// since block 912,690. A letter beyond ASCII that has another case is refused, since indexers do not lower it alike.
func canonicalTicker(ticker string) (string, error) {
	if len(ticker) < 4 || len(ticker) > 6 {
		return "", fmt.Errorf("has %d bytes, but a BRC-20 ticker has 4 to 6", len(ticker))
	}
	if !utf8.ValidString(ticker) {
		return "", errors.New("is not UTF-8")
	}
	for _, r := range ticker {
		if !unicode.IsPrint(r) || r == ' ' || r == '"' || r == '\\' {
			return "", errors.New("has a character that is not printed, a blank, a quote or a backslash")
		}
		if r >= utf8.RuneSelf && (unicode.ToLower(r) != r || unicode.ToUpper(r) != r) {
			return "", errors.New("has a letter beyond ASCII that is written in two cases, which indexers do not compare alike")
		}
	}
	return strings.ToLower(ticker), nil
}

func (n *normaliser) brc20(info *wire.TxInfo) []BRC20 {
	out := make([]BRC20, 0, len(info.BRC20Details))
	totals := map[[2]string]*total{}
	for i, d := range info.BRC20Details {
		at := fmt.Sprintf("brc20Details[%d].", i)
		b := BRC20{
			Method: d.Method, Ticker: d.Ticker, Quantity: d.Quantity, InscriptionID: d.InscriptionID,
			Step: n.small(RuleBRC20Invalid, at+"step", d.Step),
			From: n.tokenAddress(RuleBRC20Invalid, at+"from", d.From), To: n.tokenAddress(RuleBRC20Invalid, at+"to", d.To),
		}
		if d.Method != BRC20Deploy && d.Method != BRC20Mint && d.Method != BRC20Transfer {
			n.problem(RuleBRC20Invalid, at+"method", "%q is none of deploy, mint and transfer", clip(d.Method))
		}
		if d.InscriptionID != "" && !inscriptionPattern.MatchString(d.InscriptionID) {
			n.problem(RuleBRC20Invalid, at+"inscriptionId", "%q is not 64 lower-case hex digits, i and an index", clip(d.InscriptionID))
		}
		if ticker, err := canonicalTicker(d.Ticker); err != nil {
			n.problem(RuleBRC20Invalid, at+"ticker", "%q %v", clip(d.Ticker), err)
		} else {
			b.Ticker = ticker
			b.QuantityBase = n.quantity(at+"quantity", d.Quantity, n.data.brc20Decimals(n.chain.Symbol, ticker))
		}
		key := [2]string{b.Method, b.Ticker}
		if totals[key] == nil {
			totals[key] = &total{}
		}
		totals[key].add(b.QuantityBase)
		out = append(out, b)
	}
	for i := range out {
		out[i].TotalBase = totals[[2]string{out[i].Method, out[i].Ticker}].number()
	}
	return out
}

// quantity reads a BRC-20 amount: coins of the token, more than zero and at most 2^64-1 of them.
func (n *normaliser) quantity(field, text string, decimals int) json.Number {
	base, err := baseUnits(text, UnitCoin, decimals)
	if err == nil {
		err = checkQuantity(base, decimals)
	}
	if err != nil {
		n.problem(RuleBRC20Invalid, field, "%q %v", clip(text), err)
		return ""
	}
	return base
}

func checkQuantity(base json.Number, decimals int) error {
	most := new(big.Int).Mul(maxUint64, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil))
	switch v, ok := new(big.Int).SetString(string(base), 10); {
	case !ok || v.Sign() == 0:
		return errors.New("is zero")
	case v.Cmp(most) > 0:
		return errors.New("is more than 2^64-1, the most that BRC-20 counts")
	}
	return nil
}

func (n *normaliser) runes(info *wire.TxInfo) []Rune {
	out := make([]Rune, 0, len(info.RuneDetails))
	totals := map[string]*total{}
	for i, d := range info.RuneDetails {
		at := fmt.Sprintf("runeDetails[%d].", i)
		r := Rune{
			ID: d.RuneID, Name: d.RuneName, SpacedName: d.RuneSpacedName, Symbol: d.RuneSymbol, Amount: d.RuneAmount,
			Divisibility: n.small(RuleRunesInvalid, at+"runeDivisibility", d.RuneDivisibility),
			From:         n.tokenAddress(RuleRunesInvalid, at+"fromAddress", d.FromAddress),
			To:           n.tokenAddress(RuleRunesInvalid, at+"toAddress", d.ToAddress),
		}
		if err := checkRuneID(d.RuneID); err != nil {
			n.problem(RuleRunesInvalid, at+"runeId", "%q %v", clip(d.RuneID), err)
		} else if declared, known := n.data.runes[n.chain.Symbol][d.RuneID]; known {
			r.AmountBase = n.runeAmount(at+"runeAmount", d.RuneAmount, declared)
		}
		if totals[r.ID] == nil {
			totals[r.ID] = &total{}
		}
		totals[r.ID].add(r.AmountBase)
		out = append(out, r)
	}
	for i := range out {
		out[i].TotalBase = totals[out[i].ID].number()
	}
	return out
}

// runeAmount reads an amount of a rune in the unit that data.json says it is sent in: more than zero, at most 2^128-1.
func (n *normaliser) runeAmount(field, text string, declared runeAsset) json.Number {
	base, err := baseUnits(text, declared.AmountUnit, declared.Divisibility)
	if err == nil {
		err = checkRuneAmount(base)
	}
	if err != nil {
		n.problem(RuleRunesInvalid, field, "%q %v", clip(text), err)
		return ""
	}
	return base
}

func checkRuneAmount(base json.Number) error {
	switch v, ok := new(big.Int).SetString(string(base), 10); {
	case !ok || v.Sign() == 0:
		return errors.New("is zero, which in a runestone means all that there is")
	case v.Cmp(maxUint128) > 0:
		return errors.New("is more than 2^128-1, the most that runes count")
	}
	return nil
}

// checkRuneID checks "block:tx": a uint64 and a uint32 in decimal without leading zeros.
func checkRuneID(id string) error {
	if runeIDPattern.MatchString(id) {
		block, tx, _ := strings.Cut(id, ":")
		_, errBlock := strconv.ParseUint(block, 10, 64)
		_, errTx := strconv.ParseUint(tx, 10, 32)
		if errBlock == nil && errTx == nil && (block != "0" || tx == "0") {
			return nil
		}
	}
	return errors.New("is no rune id: the block's height, a colon and the transaction's index are")
}

func (n *normaliser) tokenAddress(rule, field, address string) string {
	if address == "" || n.chain.Symbol == "" { // an unknown chain is a problem by itself
		return ""
	}
	canonical, err := n.chain.canonicalAddress(address)
	if err != nil {
		n.problem(rule, field, "%q %v", clip(address), err)
	}
	return canonical
}

func (n *normaliser) small(rule, field, number string) int {
	if number == "" {
		return 0
	}
	v, err := strconv.ParseUint(number, 10, 8)
	if err != nil {
		n.problem(rule, field, "%q is not a whole number up to 255", clip(number))
	}
	return int(v)
}

// total is a sum of integers in base units that is unknown as soon as one of them is.
type total struct {
	sum     big.Int
	unknown bool
}

func (t *total) add(n json.Number) {
	v := parseBase(n)
	if v == nil {
		t.unknown = true
		return
	}
	t.sum.Add(&t.sum, v)
}

func (t *total) number() json.Number {
	if t.unknown || t.sum.Sign() < 0 || t.sum.Cmp(maxBase) > 0 {
		return ""
	}
	return json.Number(t.sum.String())
}
