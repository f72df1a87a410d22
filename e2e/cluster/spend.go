package cluster

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/countersign-mpc/countersign/e2e/bitcoin"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// Spend is a Bitcoin payment as a wallet would ask for it: one request for each input, all with the payment's id in tx_info.
type Spend struct {
	RequestID string // of the payment
	KeyID     string
	Path      string
	Payment   *bitcoin.Payment
	To        string // the recipient's address
	Amount    int64  // satoshi that it gets
	// Claim changes tx_info after it was made, to tell a lie.
	Claim func(txInfo map[string]any)
	// Details are tx_info's runeDetails or brc20Details, under that name.
	Details map[string]any
}

// Terms is the request for the signature of one input.
func (s Spend) Terms(input int) (manifest.Terms, error) {
	terms := manifest.Terms{RequestID: s.RequestID, KeyID: s.KeyID, Path: s.Path, SignType: wire.SignTypeTransaction}
	if len(s.Payment.Coins) > 1 {
		terms.RequestID = fmt.Sprintf("%s-%d", s.RequestID, input)
	}
	coin := s.Payment.Coins[input]
	switch coin.Kind {
	case bitcoin.WitnessKeyHash:
		terms.Type = wire.TypeSign
	case bitcoin.KeyPath:
		terms.Type, terms.TapScriptRoot = wire.TypeTaprootSign, hex.EncodeToString(coin.Root())
	case bitcoin.ScriptPath:
		terms.Type = wire.TypeBIP340SchnorrSign
	}
	info, err := s.txInfo(input, terms.TapScriptRoot)
	terms.TxInfo = info
	return terms, err
}

func (s Spend) txInfo(input int, root string) ([]byte, error) {
	psbt, err := s.Payment.PSBT()
	if err != nil {
		return nil, err
	}
	from, err := s.Payment.Coins[input].Address()
	if err != nil {
		return nil, err
	}
	var vins, vouts []any
	for i, coin := range s.Payment.Coins {
		address, err := coin.Address()
		if err != nil {
			return nil, err
		}
		txid, vout := s.Payment.Outpoint(i)
		vins = append(vins, map[string]any{"id": vinID(i), "address": address, "amount": coin.Value, "currency": "btc", "transactionHash": txid, "voutIndex": vout})
	}
	for _, o := range s.Payment.Outputs {
		if o.Address != "" {
			vouts = append(vouts, map[string]any{"address": o.Address, "amount": o.Value})
		}
	}
	info := map[string]any{
		"vaultId": "483900000000001", "walletId": "483900000000002", "requestId": s.RequestID, "chainSymbol": "BTC", "assetId": "BTC",
		"from": from, "to": s.To, "amount": strconv.FormatInt(s.Amount, 10), "curInputId": strconv.Itoa(vinID(input)),
		"extraData": map[string]any{"vinList": vins, "voutList": vouts}, "rawTx": psbt,
	}
	if root != "" {
		info["tapScriptRoot"] = root
	}
	for name, details := range s.Details {
		info[name] = details
	}
	if s.Claim != nil {
		s.Claim(info)
	}
	return json.Marshal(info)
}

// vinID is the id that a wallet gives an input; it is nobody's index.
func vinID(input int) int { return 6900 + input }
