package prop

import (
	"encoding/json"
	"math/big"
	"strings"
)

// What the script of a reveal says.
const (
	spendReveal = "what is claimed"
	spendOther  = "another quantity"
)

// tokens tells whether data knows any BRC-20 token.
func (g *maker) tokens() bool {
	for symbol, known := range g.world.BRC20 {
		if g.given.Chain.allow(symbol) && len(known) > 0 {
			return true
		}
	}
	return false
}

// envelope is the ordinals envelope of a BRC-20 operation: OP_FALSE OP_IF "ord" 1 <content type> OP_0 <body> OP_ENDIF.
func (b *built) envelope() ([]byte, error) {
	method, _, _ := strings.Cut(b.request[dimStep], " ")
	ticker, decimals := b.request[dimTicker], 18
	if ticker == none {
		ticker = "none"
	}
	if known, ok := b.world.BRC20[b.request[dimChain]][ticker]; ok {
		decimals = known.Decimals
	}
	quantity := b.integer(dimQuantity)
	if b.request[dimSpend] == spendOther {
		quantity.Add(quantity, big.NewInt(1))
	}
	amount := "amt"
	if method == "deploy" {
		amount = "max"
	}
	body, err := json.Marshal(map[string]string{"p": "brc-20", "op": method, "tick": ticker, amount: coins(quantity, decimals)})
	if err != nil {
		return nil, err
	}
	script := []byte{0x00, 0x63} // OP_FALSE OP_IF
	for _, data := range [][]byte{[]byte("ord"), {1}, []byte("text/plain;charset=utf-8"), nil, body} {
		script = append(script, pushOf(data)...)
	}
	return append(script, 0x68), nil // OP_ENDIF
}

// pushOf is the shortest push of data, but for the tag 1, which is pushed as a byte as indexers expect it.
func pushOf(data []byte) []byte {
	switch {
	case len(data) < 0x4c:
		return append([]byte{byte(len(data))}, data...)
	default: // OP_PUSHDATA1: bodies have less than 256 bytes
		return append([]byte{0x4c, byte(len(data))}, data...)
	}
}
