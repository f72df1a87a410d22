package wire_test

import (
	"crypto/ecdsa"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/wire"
)

// The requests that the demo server accepted verify, parse, are canonical, and get a signed decision that counts.
func TestVectorRequests(t *testing.T) {
	pub := publicKey(t, "mpc_node")
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			r := must[*wire.Request](t)(wire.OpenRequest(v.Path, []byte(v.Body), v.Signature, []*ecdsa.PublicKey{pub}))
			equal(t, "signed bytes", string(r.Signed), v.Body)
			equal(t, "canonical form", string(must[[]byte](t)(r.Canonical())), v.Body)
			equal(t, "problems", len(r.Problems), 0)
			equal(t, "unknown fields", len(r.UnknownFields), 0)
			equal(t, "tx_info parsed", r.TxInfo != nil, strings.Contains(v.Body, `"tx_info"`))

			data := wire.ResponseData{
				CallbackID: r.Check.CallbackID, SinoID: r.Check.ExtraInfo.SinoID, RequestID: r.Check.ExtraInfo.RequestID,
				Action: wire.Reject,
			}
			body := must[[]byte](t)(wire.Reply(serverKey(t), data, wire.StyleTitle, "no"))
			d := must[*wire.Decision](t)(wire.OpenReply(http.StatusOK, body, publicKey(t, "callback_server"), r.Check.Asked()))
			equal(t, "decision", *d, wire.Decision{Action: wire.Reject, Reason: "no"})
		})
	}
}

// The demo server's own replies count under a node's rules, for their request only.
func TestVectorReplies(t *testing.T) {
	pub := publicKey(t, "callback_server")
	all := vectors(t)
	for i, v := range all {
		t.Run(v.Name, func(t *testing.T) {
			asked := must[*wire.Parsed](t)(wire.ParseCheck(v.Path, []byte(v.Body))).Check.Asked()
			d := must[*wire.Decision](t)(wire.OpenReply(v.HTTPStatus, v.reply(t), pub, asked))
			equal(t, "decision", *d, wire.Decision{Action: wire.Approve})

			other := all[(i+1)%len(all)]
			_, err := wire.OpenReply(other.HTTPStatus, other.reply(t), pub, asked)
			wantFault(t, err, wire.FaultMismatch, "callback_id")
		})
	}
}

// Our replies have the bytes of the demo's in its style, up to the signature, which the demo does not make by RFC 6979.
func TestVectorRepliesAreWrittenAlike(t *testing.T) {
	for _, v := range vectors(t) {
		c := must[*wire.Parsed](t)(wire.ParseCheck(v.Path, []byte(v.Body))).Check
		data := wire.ResponseData{
			CallbackID: c.CallbackID, SinoID: c.ExtraInfo.SinoID, RequestID: c.ExtraInfo.RequestID, Action: wire.Approve,
		}
		got := must[[]byte](t)(wire.Reply(serverKey(t), data, wire.StyleUpper, ""))
		want, _, _ := strings.Cut(string(v.reply(t)), `"signature"`)
		equal(t, v.Name, strings.HasPrefix(string(got), want), true)
	}
}

// A node that seals the parsed vectors sends the vendor's bytes.
func TestVectorsSeal(t *testing.T) {
	for _, v := range vectors(t) {
		c := must[*wire.Parsed](t)(wire.ParseCheck(v.Path, []byte(v.Body))).Check
		body, signature, err := wire.SealCheck(nodeKey(t), &c)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, v.Name, string(body), v.Body)
		if _, err := wire.OpenRequest(v.Path, body, signature, []*ecdsa.PublicKey{publicKey(t, "mpc_node")}); err != nil {
			t.Error(err)
		}
	}
}

func TestVectorFields(t *testing.T) {
	byName := map[string]*wire.Parsed{}
	for _, v := range vectors(t) {
		byName[v.Name] = must[*wire.Parsed](t)(wire.ParseCheck(v.Path, []byte(v.Body)))
	}
	d := byName["keygen-ecdsa"].Check.RequestDetail
	equal(t, "t", d.T, 3)
	equal(t, "n", d.N, 3)
	equal(t, "cryptography", d.Cryptography, wire.ECDSASecp256k1)
	equal(t, "party_ids", len(d.PartyIDs), 3)
	for _, id := range d.PartyIDs {
		if _, err := wire.ParseNodeID(id); err == nil {
			t.Errorf("party id of the vector parses as a node id: %s", id)
		}
	}

	tx := byName["sign-evm-erc20"].TxInfo
	equalJSON(t, "erc20", tx, wire.TxInfo{
		VaultID: "483900000000001", WalletID: "483900000000002", RequestID: "r-3", ChainSymbol: "ETH", AssetID: "USDT_ETH",
		From: "0x742d35Cc6634C0532925a3b844Bc454e4438f44e", To: "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
		Amount: "1500000000", Fee: "1050000000000000", GasPrice: "21000000000", GasLimit: "50000",
		InputData: "0xa9059cbb0000000000000000000000005aaeb6053f3e94c9b9a09f33669435e7ef1beaed" +
			"0000000000000000000000000000000000000000000000000000000059682f00",
		Note: "payroll",
	})
	equal(t, "memo", byName["sign-memo-html-escapes"].TxInfo.ToTag, "<b>A&B</b> \u2028 é 😀")

	utxo := byName["sign-utxo"].TxInfo
	equalJSON(t, "extraData", utxo.ExtraData, wire.ExtraData{
		ToTag: "TOTAG1637",
		VinList: []wire.Vin{{
			Address: "mwTnMZzAvUzVCQKGkdcAHYW1sMnJCumbJL", Amount: "1425593",
			BlockHash:   "0000000000000005f9c6962d86854e412bf0cc1d61b5849c0ac2f83d701007a8",
			BlockHeight: "2583605", BlockState: "1", BlockTimeStamp: "1711441887", Currency: "btc", ID: "6909", State: "0",
			TransactionHash: "17b0378f551ddfda5d512a7304fdc0f33493f0429a479e243f3653d7dca0700e", VoutIndex: "1",
		}},
		VoutList: []wire.Vout{
			{Address: "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", Amount: "22000"},
			{Address: "mwTnMZzAvUzVCQKGkdcAHYW1sMnJCumbJL", Amount: "1400000"},
		},
	})
	equal(t, "input", utxo.CurInputID, "0")
	equalJSON(t, "brc20", byName["taproot-sign-brc20"].TxInfo.BRC20Details, []wire.BRC20Detail{{
		Method: "transfer", Ticker: "ordi", Quantity: "920769938",
		InscriptionID: "affabbd94763045fb4bc4b2c7b3a1d0f1e2d3c4b5a69788796a5b4c3d2e1f0a1i0", Step: "3",
		From: "1Bt84h23CKiV7pL1gY2QJdD8yQn8aXq6bQ", To: "bc1q53ss0p87x0qk6t4q4l3e0v2w8m9d5n7c6h8j2k",
	}})
	equal(t, "tapScriptRoot", byName["taproot-sign-brc20"].TxInfo.TapScriptRoot,
		"5b75adecf53548f3ec6ad7d78383bf84cc57b55a3127c72b9a2481752dd88b21")
	equalJSON(t, "rune", byName["bip340-sign-rune"].TxInfo.RuneDetails, []wire.RuneDetail{{
		FromAddress: "1Bt84h23CKiV7pL1gY2QJdD8yQn8aXq6bQ", ToAddress: "bc1q53ss0p87x0qk6t4q4l3e0v2w8m9d5n7c6h8j2k",
		RuneName: "HELLOWORLD", RuneID: "2818544:3897", RuneSpacedName: "HELLO•WORLD", RuneAmount: "100", RuneSymbol: "¤",
		RuneDivisibility: "0",
	}})
	equal(t, "rawdata type", byName["rawdata-signature-ecies"].Check.RequestType, "")
	equal(t, "wait cap", wire.MaxWait, time.Hour)
}
