package callback_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// usdc and spender are those of the permits that the tests' data allows; forever is when they end.
const (
	usdc    = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
	spender = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
	maximum = "115792089237316195423570985008687907853269984665640564039457584007913129639935"
)

// permit is the typed data of an ERC-2612 permit.
type permit struct{ contract, spender, value, deadline, primaryType string }

func (p permit) String() string {
	return fmt.Sprintf(`{"types":{"EIP712Domain":[{"name":"name","type":"string"},{"name":"version","type":"string"},`+
		`{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}],`+
		`%[1]q:[{"name":"owner","type":"address"},{"name":"spender","type":"address"},{"name":"value","type":"uint256"},`+
		`{"name":"nonce","type":"uint256"},{"name":"deadline","type":"uint256"}]},"primaryType":%[1]q,`+
		`"domain":{"name":"USD Coin","version":"2","chainId":1,"verifyingContract":%[2]q},`+
		`"message":{"owner":%[3]q,"spender":%[4]q,"value":%[5]q,"nonce":"0","deadline":%[6]q}}`,
		p.primaryType, p.contract, recipient, p.spender, p.value, p.deadline)
}

// typedLive allows permits of 1000 USDC for an hour to the spender, and one form of text.
var typedLive = sync.OnceValue(func() *policy.Live {
	return mustGet(liveOver(func(data map[string]any) {
		data["chains"].(map[string]any)["ETH"].(map[string]any)["assets"].(map[string]any)["USDC_ETH"] = map[string]any{"kind": "erc20", "contract": usdc, "decimals": 6}
		data["messages"] = map[string]any{rootKey: map[string]any{"any_requester": true, "text": []string{"Sign in to [a-z.]+"}, "typed_data": []string{"usdc"}}}
		data["typed_data"] = map[string]any{"usdc": map[string]any{
			"primary_types": []string{"Permit"}, "domain": map[string]any{"name": "USD Coin", "version": "2", "chain_id": 1, "verifying_contract": usdc},
		}}
		data["permits"] = map[string]any{"ETH": map[string]any{"USDC_ETH": map[string]any{
			"spenders": map[string]any{spender: "exchange"}, "max": "1000", "max_deadline_seconds": 3600,
		}}}
	}))
})

// TestMessages: typed data is judged by domain, primaryType, spender and value, text by its form.
func TestMessages(t *testing.T) {
	w := newWorld(t, options{live: typedLive()})
	soon := fmt.Sprint(w.clock.Now().Unix() + 600)
	good := permit{usdc, spender, "1000000000", soon, "Permit"}
	with := func(change func(p *permit)) string {
		p := good
		change(&p)
		return p.String()
	}
	for _, tc := range []struct {
		name, message string
		action        wire.Action
		says          string
	}{
		{"permit", good.String(), wire.Approve, ""},
		{"permit over its limit", with(func(p *permit) { p.value = "1000000001" }), wire.Reject, "message.permit.max: "},
		{"permit without a limit", with(func(p *permit) { p.value = maximum }), wire.Reject, "message.permit.unlimited: "},
		{"permit to a stranger", with(func(p *permit) { p.spender = recipient }), wire.Reject, "message.permit.spender: "},
		{"permit for too long", with(func(p *permit) { p.deadline = fmt.Sprint(w.clock.Now().Unix() + 7200) }), wire.Reject, "message.permit.deadline: "},
		{"permit of another token", with(func(p *permit) { p.contract = usdt }), wire.Reject, "message.content: "},
		{"another primary type", with(func(p *permit) { p.primaryType = "Order" }), wire.Reject, "message.content: "},
		{"typed data of unknown types", strings.Replace(good.String(), `"type":"uint256"},{"name":"nonce"`, `"type":"uint257"},{"name":"nonce"`, 1), wire.Reject, "request.malformed: "},
		{"typed data with a field more", strings.Replace(good.String(), `"nonce":"0"`, `"nonce":"0","more":"1"`, 1), wire.Reject, "request.malformed: "},
		{"text", "Sign in to example.org", wire.Approve, ""},
		{"text of another form", "Sign over to example.org", wire.Reject, "message.content: "},
		{"text with more behind it", "Sign in to example.org\nand give everything away", wire.Reject, "message.content: "},
		{"bytes", "0x00ff", wire.Reject, "message.content: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			id := "cb-" + strings.ReplaceAll(tc.name, " ", "-")
			d, _ := w.ask(message(id, tc.message))
			want(t, d, tc.action, tc.says)
			action, status := wire.Approve, callback.ResultVerified
			if tc.action != wire.Approve {
				action, status = wire.Reject, callback.ResultUnmatched
			}
			if strings.HasPrefix(tc.says, "request.malformed") { // nobody can say what would be signed
				return
			}
			d, _ = w.ask(report(id, tc.message, hex.EncodeToString(signMessage(tc.message))))
			want(t, d, action)
			if got := w.result(id); got.Status != status {
				t.Errorf("the result is %+v", got)
			}
		})
	}
}
