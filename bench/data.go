package main

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/countersign-mpc/countersign/policy"
)

// anyMark stands for the mark where writeData is to put one.
const anyMark = "the mark"

// policyData is a data.json with two lists of listed addresses, two velocity windows, and a limit above which a group
// approves. mark makes one differ from the next in both lists, so that a reload has something to load.
func policyData(approver *ecdsa.PublicKey, mark string) ([]byte, error) {
	allow, deny := make(map[string]string, listed), make(map[string]string, listed)
	for i := range listed {
		allow["0x"+hex.EncodeToString(allowed(i))] = fmt.Sprintf("supplier %d", i)
		deny["0x"+hex.EncodeToString(denied(i))] = fmt.Sprintf("case %d", i)
	}
	allow["0x"+hex.EncodeToString(allowed(listed-1))], deny["0x"+hex.EncodeToString(denied(listed-1))] = mark, mark
	der, err := x509.MarshalPKIXPublicKey(approver)
	if err != nil {
		return nil, err
	}
	type object = map[string]any
	return json.Marshal(object{
		"format":        policy.DataFormat,
		"request_types": []string{"sign"},
		"chains": object{"ETH": object{"family": "evm", "chain_id": 1, "amount_unit": "base", "assets": object{
			"ETH":      object{"kind": "native", "decimals": 18},
			"USDT_ETH": object{"kind": "erc20", "contract": "0x" + usdt, "decimals": 6},
		}}},
		"gas": object{"ETH": object{"max_fee": "1"}},
		"limits": object{"ETH": object{"USDT_ETH": []any{object{"max": "100000", "approvals": []any{object{
			"above": "10000", "group": "treasury", "threshold": 1, "expiry_seconds": 3600, "wait_seconds": 15,
			"not_requester": true, "rejection_final": true,
		}}}}}},
		"unbound_wallets": true,
		"windows": object{
			"usdt-a-day": object{
				"measure": "amount", "chain": "ETH", "asset": "USDT_ETH", "scope": []string{"wallet"}, "rolling_seconds": 86400, "max": "1000000000000",
			},
			"payments-a-month": object{"measure": "count", "scope": []string{"key", "path"}, "calendar": "month", "zone": "Europe/Zurich", "max": "1000000000"},
		},
		"addresses": object{"ETH": object{"allow": allow, "deny": deny}},
		"approvers": object{"alice": object{"public_key": base64.StdEncoding.EncodeToString(der)}},
		"groups":    object{"treasury": object{"members": []string{"alice"}}},
		"custom":    object{"mark": mark},
	})
}
