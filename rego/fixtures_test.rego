# METADATA
# title: Requests and data that the tests start from
package countersign.fixtures

ids(says) := {say.id | some say in says}

# approved says that a decision holds everything that Approve takes; the engine merges in the same way.
approved(decision) if {
	count(decision.reject) == 0
	count(decision.wait) == 0
	count(decision.require) > 0
	count(decision.require - ids(decision.allow)) == 0
}

usdt_to := "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"

own_address := "0x742d35cc6634c0532925a3b844bc454e4438f44e"

key := "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"

empty := {
	"format": "countersign/policy-input/v1",
	"request": {
		"callback_id": "cb-1",
		"request_type": "sign",
		"t": 0,
		"n": 0,
		"cryptography": "",
		"party_ids": [],
		"sign_type": "1",
		"public_key": key,
		"path": "m/44/60/0/0/0",
		"message": "00",
	},
	"node": {"id": "sinoA", "name": "a"},
	"requester": {"key_id": "ops"},
	"tx_info": null,
	"tx": null,
	"brc20": [],
	"runes": [],
	"utxo": null,
	"call": null,
	"message": null,
	"evidence": {"status": "", "code": "", "codes": [], "reason": "", "decoded": null, "transfer": null, "differences": []},
	"windows": {},
	"approvals": [],
	"now": {"unix": 1800000000, "rfc3339": "2027-01-15T08:00:00Z"},
	"unknown_fields": [],
	"problems": [],
}

# transfer moves so many base units of USDT.
transfer(amount) := object.union(empty, {
	"tx_info": {},
	"tx": {
		"chain": "ETH",
		"family": "evm",
		"asset": "USDT_ETH",
		"from": own_address,
		"to": usdt_to,
		"amount": "as sent",
		"amount_base": amount,
		"problems": [],
		"source": "evidence",
	},
	"evidence": {"status": "verified"},
})

recipient := "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"

wallet := "mwTnMZzAvUzVCQKGkdcAHYW1sMnJCumbJL"

stranger := "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7"

# payment moves so many satoshi to the recipient, with change to the wallet and a fee of 1000.
payment(amount) := object.union(empty, {
	"tx_info": {},
	"tx": {
		"chain": "BTC",
		"family": "utxo",
		"asset": "BTC_BTC",
		"from": wallet,
		"to": recipient,
		"amount": "as sent",
		"amount_base": amount,
		"tap_script_root": "",
		"problems": [],
		"source": "evidence",
	},
	"utxo": {
		"inputs": [{"address": wallet, "amount_base": 1000000, "own": true, "data": false}],
		"outputs": [
			{"address": recipient, "amount_base": amount, "own": false, "data": false},
			{"address": wallet, "amount_base": 999000 - amount, "own": true, "data": false},
		],
		"fee_base": 1000,
		"fee_rate": 7092,
		"to_base": amount,
		"paid_base": amount,
		"spend": "key",
		"source": "evidence",
	},
	"evidence": {"status": "verified"},
})

# on_trust is a request of which nothing but the claim is known.
on_trust(request) := json.patch(request, [
	{"op": "replace", "path": "/evidence/status", "value": "unverifiable"},
	{"op": "replace", "path": "/evidence/code", "value": "no-raw-tx"},
	{"op": "replace", "path": "/utxo/source", "value": "claim"},
	{"op": "replace", "path": "/utxo/spend", "value": ""},
])

btc_addresses := {"BTC": {
	"allow_any": false,
	"allow": {recipient: "supplier"},
	"deny": {},
	"own": {wallet: "hot wallet"},
}}

utxo_rules := {"BTC": {
	"max_fee": "0.00001",
	"max_fee_base": 1000,
	"max_fee_rate": 10,
	"max_fee_rate_kvb": 10000,
	"batch": false,
	"data_outputs": false,
}}

btc_limits := {"BTC": {"BTC_BTC": [{"max": "0.005", "max_base": 500000, "approvals": []}]}}

# message is a verified message of sign_type 2.
message(content) := object.union(empty, {
	"request": {"sign_type": "2"},
	"evidence": {"status": "verified"},
	"message": object.union(
		{"kind": "", "text": "", "domain": "", "primary_type": "", "grants": true, "permits": []},
		content,
	),
})

# by_message is a transfer that a message has carried out.
by_message(call) := json.patch(transfer(5), [
	{"op": "replace", "path": "/request/sign_type", "value": "2"},
	{"op": "replace", "path": "/message", "value": message({"kind": "typed_data", "grants": false, "transaction": true}).message},
	{"op": "add", "path": "/evidence/transfer", "value": {"kind": "erc20"}},
	{"op": "replace", "path": "/call", "value": call},
])

keygen := object.union(empty, {"request": {
	"request_type": "keygen",
	"sign_type": "",
	"t": 3,
	"n": 3,
	"cryptography": "ecdsa-secp256k1",
	"party_ids": ["sinoA", "sinoB", "sinoC"],
}})

# patch replaces the value at a path.
patch(document, path, value) := json.patch(document, [{"op": "add", "path": path, "value": value}])

chains := {
	"ETH": {"family": "evm", "chain_id": 1, "amount_unit": "base", "assets": {"USDT_ETH": {"decimals": 6}}},
	"BTC": {"family": "utxo", "network": "testnet", "amount_unit": "base", "assets": {"BTC_BTC": {"decimals": 8}}},
}

tier := {
	"above": "5000",
	"above_base": 5000000000,
	"group": "treasury",
	"threshold": 2,
	"expiry_seconds": 3600,
	"wait_seconds": 5,
	"not_requester": false,
	"rejection_final": false,
}

limits_with(tiers) := {"ETH": {"USDT_ETH": [{"max": "10000", "max_base": 10000000000, "approvals": tiers}]}}

limits := limits_with([tier])

addresses := {"ETH": {
	"allow_any": true,
	"allow": {},
	"deny": {"0x000000000000000000000000000000000000dead": "burns"},
}}

groups := {"treasury": {
	"revision": "r1",
	"members": {"alice": ["alice", "k1"], "bob": ["bob", "k2", "ops"], "carol": ["carol", "k3"]},
}}

requirement := {
	"rule": "approval.required",
	"group": "treasury",
	"group_revision": "r1",
	"keys": ["alice", "bob", "carol"],
	"threshold": 2,
	"expiry_seconds": 3600,
	"not_requester": false,
	"rejection_final": false,
}

approval(approvers) := {
	"requirement": requirement,
	"approved_by": approvers,
	"rejected_by": [],
	"expires_unix": 1800000001,
}
