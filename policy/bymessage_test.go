package policy_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// ourSafe is a Safe of which the demo's key is an owner.
const ourSafe = "0x3E5c63644E683549055b9Be8653de26E0B4CD36E"

func safeData() object {
	data := callsData()
	set(data, "typed_data.safe", object{"domain": object{"chain_id": 1, "verifying_contract": ourSafe}, "primary_types": []string{"SafeTx", "SafeMessage"}})
	set(data, "typed_data.anywhere", object{"domain": object{"verifying_contract": ourSafe}, "primary_types": []string{"SafeTx"}})
	set(data, "typed_data.elsewhere", object{"domain": object{"chain_id": 10, "verifying_contract": ourSafe}, "primary_types": []string{"SafeTx"}})
	return set(data, "messages", object{rootKey: object{"any_requester": true, "typed_data": []string{"safe", "anywhere", "elsewhere"}}})
}

// word is an argument of calldata: an address, or a number in hex.
func word(hex string) string {
	hex = strings.ToLower(strings.TrimPrefix(hex, "0x"))
	return strings.Repeat("0", 64-len(hex)) + hex
}

func transferData(to, amount string) string { return "0xa9059cbb" + word(to) + word(amount) }

// safeTx is a Safe's transaction, in the Safe's domain.
func safeTx(t testing.TB, to, value, data string, change object) string {
	t.Helper()
	return safeTxIn(t, object{"chainId": 1, "verifyingContract": ourSafe}, to, value, data, change)
}

func safeTxIn(t testing.TB, domain object, to, value, data string, change object) string {
	t.Helper()
	none := "0x" + strings.Repeat("0", 40)
	message := object{
		"to": to, "value": value, "data": data, "operation": "0", "safeTxGas": "0", "baseGas": "0", "gasPrice": "0", "gasToken": none,
		"refundReceiver": none, "nonce": "7",
	}
	for k, v := range change {
		message[k] = v
	}
	return typedData(t, object{"SafeTx": "address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice," +
		"address gasToken,address refundReceiver,uint256 nonce"}, "SafeTx", domain, message)
}

// TestSafeTransactions: what an owner signs for a Safe is held against the lists and limits of transactions.
func TestSafeTransactions(t *testing.T) {
	data := safeData()
	set(data, "addresses.ETH", object{"allow": object{recipient: "exchange"}, "deny": object{burned: "burned"}})
	e := newEngine(t, data)
	approve := "0x095ea7b3" + word(recipient)
	for name, c := range map[string]struct {
		message string
		action  policy.Action
		rule    string
	}{
		"tokens":                  {safeTx(t, usdt, "0", transferData(recipient, "5f5e100"), nil), policy.Approve, "message.effect"},
		"coins":                   {safeTx(t, recipient, "1000000000000000000", "0x", nil), policy.Approve, "message.effect"},
		"too many tokens":         {safeTx(t, usdt, "0", transferData(recipient, "ffffffffffffff"), nil), policy.Reject, "limit.per_transaction"},
		"too many coins":          {safeTx(t, recipient, "10000000000000000001", "0x", nil), policy.Reject, "limit.per_transaction"},
		"tokens to a stranger":    {safeTx(t, usdt, "0", transferData("0x"+strings.Repeat("11", 20), "1"), nil), policy.Reject, "address.listed"},
		"tokens to who is denied": {safeTx(t, usdt, "0", transferData(burned, "1"), nil), policy.Reject, "address.denied"},
		"coins to who is denied":  {safeTx(t, burned, "1", "0x", nil), policy.Reject, "address.denied"},
		"tokens beside coins":     {safeTx(t, usdt, "1", transferData(recipient, "1"), nil), policy.Reject, "call.method"},
		"an unknown token":        {safeTx(t, router, "0", transferData(recipient, "1"), nil), policy.Reject, "asset.unknown"},
		"another's tokens":        {safeTx(t, usdt, "0", "0x23b872dd"+word(sender)+word(recipient)+word("1"), nil), policy.Reject, "call.method"},
		"a listed call":           {safeTx(t, weth, "1000000000000000000", "0xd0e30db0", nil), policy.Approve, "message.effect"},
		"another call":            {safeTx(t, weth, "0", "0x2e1a7d4d"+word("1"), nil), policy.Reject, "call.method"},
		"an allowance":            {safeTx(t, usdt, "0", approve+word("3b9aca00"), nil), policy.Approve, "message.effect"},
		"a larger allowance":      {safeTx(t, usdt, "0", approve+word("3b9aca01"), nil), policy.Reject, "call.allowance"},
		"an allowance of all":     {safeTx(t, usdt, "0", approve+strings.Repeat("f", 64), nil), policy.Reject, "call.allowance"},
		"another owner":           {safeTx(t, ourSafe, "0", "0x0d582f13"+word(burned)+word("1"), nil), policy.Reject, "call.method"},
		"a delegate call":         {safeTx(t, weth, "0", "0xd0e30db0", object{"operation": "1"}), policy.Reject, "message.effect"},
		"a gas refund":            {safeTx(t, recipient, "1", "0x", object{"gasPrice": "1"}), policy.Reject, "tx.invalid"},
		"on no known chain":       {safeTxIn(t, object{"chainId": 10, "verifyingContract": ourSafe}, recipient, "1", "0x", nil), policy.Reject, "asset.unknown"},
		"on any chain":            {safeTxIn(t, object{"verifyingContract": ourSafe}, recipient, "1", "0x", nil), policy.Reject, "asset.unknown"},
		"of another Safe":         {safeTxIn(t, object{"chainId": 1, "verifyingContract": router}, recipient, "1", "0x", nil), policy.Reject, "message.content"},
		"a message of the Safe": {typedData(t, object{"SafeMessage": "bytes message"}, "SafeMessage", object{"chainId": 1, "verifyingContract": ourSafe},
			object{"message": "0x12"}), policy.Reject, "message.permit"},
		"of an older Safe": {typedData(t, object{"SafeTx": "address to,uint256 value,bytes data,uint8 operation,uint256 nonce"}, "SafeTx",
			object{"chainId": 1, "verifyingContract": ourSafe},
			object{"to": recipient, "value": "1", "data": "0x", "operation": "0", "nonce": "0"}), policy.Reject, "message.permit"},
	} {
		t.Run(name, func(t *testing.T) { wantAmong(t, decide(t, e, signed(t, e, c.message)), c.action, c.rule) })
	}
}

// multiSend is calldata of MultiSend with its calls packed one behind the other: to, value in hex and data.
func multiSend(calls ...[3]string) string {
	packed := ""
	for _, c := range calls {
		data := strings.TrimPrefix(c[2], "0x")
		packed += "00" + strings.ToLower(strings.TrimPrefix(c[0], "0x")) + word(c[1]) + word(fmt.Sprintf("%x", len(data)/2)) + data
	}
	padded := packed + strings.Repeat("0", (64-len(packed)%64)%64)
	return "0x8d80ff0a" + word("20") + word(fmt.Sprintf("%x", len(packed)/2)) + padded
}

// TestBatchOfASafe: a Safe's batch is approved by no data, also where each of its calls would be by itself and where MultiSend is
// listed with its method: the Safe runs it by DELEGATECALL, and what code stands at that address no message says.
func TestBatchOfASafe(t *testing.T) {
	batcher := "0x9641d764fc13c8B624c04430C7356C1C7C8102e2" // MultiSendCallOnly 1.4.1
	data := safeData()
	set(data, "contracts.ETH."+batcher, object{"name": "MultiSend", "methods": []string{"multiSend(bytes)"}})
	set(data, "addresses.ETH", object{"allow": object{recipient: "exchange", batcher: "MultiSend"}})
	e := newEngine(t, data)
	tokens := [3]string{usdt, "0", transferData(recipient, "5f5e100")}
	coins := [3]string{recipient, "1", "0x"}
	for name, c := range map[string]struct {
		message string
		action  policy.Action
		rule    string
	}{
		"a token alone":      {safeTx(t, tokens[0], tokens[1], tokens[2], nil), policy.Approve, "message.effect"},
		"coins alone":        {safeTx(t, coins[0], coins[1], coins[2], nil), policy.Approve, "message.effect"},
		"a batch of one":     {safeTx(t, batcher, "0", multiSend(tokens), object{"operation": "1"}), policy.Reject, "message.effect"},
		"a batch of both":    {safeTx(t, batcher, "0", multiSend(tokens, coins), object{"operation": "1"}), policy.Reject, "message.effect"},
		"an empty one":       {safeTx(t, batcher, "0", multiSend(), object{"operation": "1"}), policy.Reject, "message.effect"},
		"to another's code":  {safeTx(t, recipient, "0", multiSend(tokens), object{"operation": "1"}), policy.Reject, "message.effect"},
		"called, not run":    {safeTx(t, batcher, "0", multiSend(tokens), nil), policy.Reject, "call.method"},
		"a batch in a batch": {safeTx(t, batcher, "0", multiSend([3]string{batcher, "0", multiSend(tokens)}), object{"operation": "1"}), policy.Reject, "message.effect"},
	} {
		t.Run(name, func(t *testing.T) { wantAmong(t, decide(t, e, signed(t, e, c.message)), c.action, c.rule) })
	}
}

// TestAuthorizations: an ERC-3009 authorization moves tokens, and is held against what holds for transfers, permits beside.
func TestAuthorizations(t *testing.T) {
	stranger := "0x" + strings.Repeat("11", 20)
	data := bitcoinData()
	set(data, "typed_data.usdt", object{
		"domain":        object{"name": "Tether USD", "version": "1", "chain_id": 1, "verifying_contract": usdt},
		"primary_types": []string{"TransferWithAuthorization", "ReceiveWithAuthorization"},
	})
	set(data, "permits.ETH.USDT_ETH", object{
		"spenders": object{recipient: "exchange", burned: "burned", stranger: "stranger"}, "max": "20000", "max_deadline_seconds": 3600,
	})
	set(data, "addresses.ETH", object{"allow": object{recipient: "exchange"}, "deny": object{burned: "burned"}})
	set(data, "limits.ETH.USDT_ETH", []object{{"max": "10000"}})
	e := newEngine(t, data)
	authorization := func(kind, to, value string) string {
		return typedData(t, object{kind: "address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce"}, kind, tether, object{
			"from": sender, "to": to, "value": value, "validAfter": "0", "validBefore": fmt.Sprint(testTime.Unix() + 60), "nonce": "0x" + strings.Repeat("00", 32),
		})
	}
	for name, c := range map[string]struct {
		message string
		action  policy.Action
		rule    string
	}{
		"transfer":          {authorization("TransferWithAuthorization", recipient, "10000000000"), policy.Approve, "message.effect"},
		"receive":           {authorization("ReceiveWithAuthorization", recipient, "10000000000"), policy.Approve, "message.effect"},
		"over the limit":    {authorization("TransferWithAuthorization", recipient, "10000000001"), policy.Reject, "limit.per_transaction"},
		"over the permit":   {authorization("TransferWithAuthorization", recipient, "20000000001"), policy.Reject, "message.permit.max"},
		"to who is denied":  {authorization("TransferWithAuthorization", burned, "1"), policy.Reject, "address.denied"},
		"to a stranger":     {authorization("TransferWithAuthorization", stranger, "1"), policy.Reject, "address.listed"},
		"to who may not be": {authorization("TransferWithAuthorization", router, "1"), policy.Reject, "message.permit.spender"},
	} {
		t.Run(name, func(t *testing.T) { wantAmong(t, decide(t, e, signed(t, e, c.message)), c.action, c.rule) })
	}
}

// wantAmong wants an action, and a rule among those that say so.
func wantAmong(t testing.TB, d policy.Decision, action policy.Action, rule string) {
	t.Helper()
	found := false
	for _, r := range d.Reasons {
		found = found || r.RuleID == rule && r.Severity == action
	}
	for _, id := range d.Fired {
		found = found || action == policy.Approve && id == rule
	}
	if d.Action != action || !found {
		t.Errorf("got %s by %s (%s), want %s by %s", d.Action, d.Rule(), d.ErrorText(), action, rule)
	}
}

// TestMessageClaims: tx_info may say what the message says, and nothing else. Of it count the wallet and the vault.
func TestMessageClaims(t *testing.T) {
	data := safeData()
	data["unbound_wallets"] = true
	set(data, "windows", object{
		"tokens":   object{"measure": "amount", "chain": "ETH", "asset": "USDT_ETH", "scope": []string{"wallet"}, "rolling_seconds": 60, "max": "1000"},
		"messages": object{"measure": "count", "kinds": []string{"message"}, "scope": []string{"key"}, "rolling_seconds": 60, "max": "9"},
	})
	e := newEngine(t, data)
	message := safeTx(t, usdt, "0", transferData(recipient, "5f5e100"), nil)
	said := func(change func(*wire.TxInfo)) *wire.TxInfo {
		info := withWallet(claim("100000000"), "w")
		change(info)
		return info
	}
	for name, c := range map[string]struct {
		claim *wire.TxInfo
		flat  func(*wire.RequestDetail) // what older nodes say beside it
		field string                    // that is wrong
	}{
		"no word":                   {&wire.TxInfo{WalletID: "w"}, nil, ""},
		"the same":                  {withWallet(claim("100000000"), "w"), nil, ""},
		"the same, but the chain":   {said(func(x *wire.TxInfo) { x.ChainSymbol = "" }), nil, ""},
		"the chain alone":           {&wire.TxInfo{WalletID: "w", ChainSymbol: "ETH"}, nil, ""},
		"the token alone":           {&wire.TxInfo{WalletID: "w", ChainSymbol: "ETH", AssetID: "USDT_ETH"}, nil, ""},
		"the same beside":           {said(func(*wire.TxInfo) {}), func(d *wire.RequestDetail) { d.ToAddress, d.Amount = recipient, "100000000" }, ""},
		"another amount":            {withWallet(claim("100000001"), "w"), nil, "amount"},
		"an amount that is none":    {withWallet(claim("1e8"), "w"), nil, "amount"},
		"another token":             {said(func(x *wire.TxInfo) { x.AssetID = "ETH" }), nil, "assetId"},
		"an unknown token":          {said(func(x *wire.TxInfo) { x.AssetID = "DOGE" }), nil, "assetId"},
		"another address":           {said(func(x *wire.TxInfo) { x.To = router }), nil, "to"},
		"an address that is none":   {said(func(x *wire.TxInfo) { x.To = "the exchange" }), nil, "to"},
		"another sender":            {said(func(x *wire.TxInfo) { x.From = sender }), nil, "from"},
		"a sender that is none":     {said(func(x *wire.TxInfo) { x.From = "0x1" }), nil, "from"},
		"an unknown chain":          {said(func(x *wire.TxInfo) { x.ChainSymbol = "MATIC" }), nil, "chainSymbol"},
		"a fee that is none":        {said(func(x *wire.TxInfo) { x.Fee = "little" }), nil, "fee"},
		"a fee without a chain":     {&wire.TxInfo{WalletID: "w", Fee: "little"}, nil, "fee"},
		"a fee without a token":     {&wire.TxInfo{WalletID: "w", ChainSymbol: "ETH", Fee: "little"}, nil, "fee"},
		"an exact fee":              {&wire.TxInfo{WalletID: "w", Fee: "21000"}, nil, ""},
		"a gas price that is none":  {said(func(x *wire.TxInfo) { x.GasPrice = "cheap" }), nil, "gasPrice"},
		"a gas limit that is none":  {&wire.TxInfo{WalletID: "w", GasLimit: "x"}, nil, "gasLimit"},
		"exact gas":                 {said(func(x *wire.TxInfo) { x.GasPrice, x.GasLimit = "30000000000", "90000" }), nil, ""},
		"outputs":                   {&wire.TxInfo{WalletID: "w", ExtraData: &wire.ExtraData{VoutList: []wire.Vout{{Address: burned, Amount: "1"}}}}, nil, "extraData"},
		"no chain, other amount":    {said(func(x *wire.TxInfo) { x.ChainSymbol, x.Amount = "", "1" }), nil, "amount"},
		"no chain, other address":   {said(func(x *wire.TxInfo) { x.ChainSymbol, x.To = "", router }), nil, "to"},
		"another amount beside":     {said(func(*wire.TxInfo) {}), func(d *wire.RequestDetail) { d.Amount = "1" }, "amount"},
		"an amount beside none":     {&wire.TxInfo{WalletID: "w", ChainSymbol: "ETH", AssetID: "USDT_ETH", To: recipient}, func(d *wire.RequestDetail) { d.Amount = "1" }, "amount"},
		"another address beside it": {said(func(*wire.TxInfo) {}), func(d *wire.RequestDetail) { d.ToAddress = router }, "to"},
	} {
		t.Run(name, func(t *testing.T) {
			in := claimedBeside(t, e, message, c.claim, c.flat)
			fields := map[string]bool{}
			for _, p := range in.Tx.Problems {
				fields[p.Field] = true
			}
			if len(fields) > 1 || c.field != "" && !fields[c.field] || c.field == "" && len(fields) > 0 {
				t.Errorf("problems %v, want of %q", in.Tx.Problems, c.field)
			}
			rejected := slices.ContainsFunc(decide(t, e, in).Reasons, func(r policy.Reason) bool {
				return r.Severity == policy.Reject && (r.RuleID == policy.RuleTxInvalid || r.RuleID == policy.RuleAssetUnknown)
			})
			if rejected != (c.field != "") {
				t.Errorf("it is rejected for its claim: %v", rejected)
			}
			charges := fmt.Sprint(len(e.Charges(&in)))
			for _, charge := range e.Charges(&in) {
				charges += " " + charge.Windows[0].ID + " " + charge.Amount.String()
			}
			if want := "2 messages 1 tokens 100000000"; charges != want {
				t.Errorf("it counts %s, want %s", charges, want)
			}
		})
	}
}

// TestMessageOfBitcoin: what only a transaction of Bitcoin has is no claim about a message.
func TestMessageOfBitcoin(t *testing.T) {
	e := newEngine(t, safeData())
	message := safeTx(t, usdt, "0", transferData(recipient, "5f5e100"), nil)
	for field, info := range map[string]*wire.TxInfo{
		"runeDetails":  {RuneDetails: []wire.RuneDetail{{RuneAmount: "5"}}},
		"brc20Details": {BRC20Details: []wire.BRC20Detail{{Quantity: "5"}}},
	} {
		in := claimedBeside(t, e, message, info, nil)
		if !slices.ContainsFunc(in.Tx.Problems, func(p policy.Problem) bool { return p.Field == field }) {
			t.Errorf("%s: problems %v", field, in.Tx.Problems)
		}
		wantAmong(t, decide(t, e, in), policy.Reject, "tx.invalid")
	}
}

// claimedBeside is signedWith of a request with this tx_info as a node sends it.
func claimedBeside(t testing.TB, e *policy.Engine, message string, info *wire.TxInfo, flat func(*wire.RequestDetail)) policy.Input {
	t.Helper()
	said := object{}
	for key, value := range map[string]string{
		"vaultId": info.VaultID, "walletId": info.WalletID, "requestId": info.RequestID, "chainSymbol": info.ChainSymbol, "assetId": info.AssetID,
		"from": info.From, "to": info.To, "amount": info.Amount, "fee": info.Fee, "gasPrice": info.GasPrice, "gasLimit": info.GasLimit,
	} {
		if value != "" {
			said[key] = value
		}
	}
	if x := info.ExtraData; x != nil {
		said["extraData"] = object{"voutList": []object{{"address": x.VoutList[0].Address, "amount": json.Number(x.VoutList[0].Amount)}}}
	}
	if len(info.RuneDetails) > 0 {
		said["runeDetails"] = []object{{"runeAmount": info.RuneDetails[0].RuneAmount}}
	}
	if len(info.BRC20Details) > 0 {
		said["brc20Details"] = []object{{"quantity": info.BRC20Details[0].Quantity}}
	}
	raw, err := json.Marshal(said)
	must(t, err)
	detail := wire.RequestDetail{
		SignType: wire.SignTypeMessage, PublicKey: rootKey, Path: "m/44/60/0/0/0", Message: message, TxInfo: raw,
	}
	if flat != nil {
		flat(&detail)
	}
	found := evidence.CheckMessage(message)
	decoded, err := json.Marshal(found.Decoded)
	must(t, err)
	p := parsed(info)
	p.Check.RequestDetail = detail
	in := e.NewInput(p)
	in.Now = policy.NowAt(testTime)
	in.Evidence = policy.Evidence{Status: policy.EvidenceStatus(found.Status), Code: string(found.Code), Reason: found.Reason, Decoded: decoded}
	e.Complete(&in)
	return in
}

func withWallet(info *wire.TxInfo, wallet string) *wire.TxInfo {
	info.WalletID, info.From = wallet, ""
	return info
}
