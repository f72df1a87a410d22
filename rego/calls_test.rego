package countersign.calls_test

import data.countersign
import data.countersign.fixtures as f
import data.countersign.lib
import data.countersign.rules.addresses
import data.countersign.rules.calls
import data.countersign.rules.evidence
import data.countersign.rules.gas

router := "0x742d35cc6634c0532925a3b844bc454e4438f44e"

step := {"contract": router, "selector": "0xd0e30db0", "method": "deposit()", "delegate": false}

coins := {"kind": "native", "contract": "", "to": router, "amount_base": 5}

grant := {
	"kind": "erc20",
	"asset": "USDT_ETH",
	"token": f.usdt_to,
	"spender": router,
	"amount_base": 1000,
	"unlimited": false,
	"change": "set",
	"revoke": false,
}

contracts := {"ETH": {router: {"name": "router", "methods": {"0xd0e30db0": "deposit()"}}}}

allowances := {"ETH": {"USDT_ETH": {"spenders": {router: "router"}, "max": "0.001", "max_base": 1000, "unlimited": false}}}

# of is a call that takes 5 wei along.
of(content) := json.patch(f.transfer(5), [
	{"op": "replace", "path": "/tx/asset", "value": "ETH"},
	{"op": "replace", "path": "/tx/to", "value": router},
	{"op": "replace", "path": "/evidence/status", "value": "unverifiable"},
	{"op": "replace", "path": "/evidence/code", "value": "unknown-call"},
	{
		"op": "add",
		"path": "/call",
		"value": object.union({"declared": true, "steps": [step], "movements": [coins], "approvals": []}, content),
	},
])

says(request, limits) := got if {
	got := {"allow": f.ids(calls.allow), "reject": f.ids(calls.reject)} with input as request
		with data.contracts as contracts
		with data.allowances as limits
}

allowed := {"allow": {"call.method", "call.movement", "call.allowance"}, "reject": set()}

test_listed_call_is_allowed if {
	says(of({}), allowances) == allowed
	says(of({"movements": []}), allowances) == allowed
	says(of({"steps": [step, step]}), allowances) == allowed
}

test_other_call_is_rejected if {
	every change in [
		{"contract": f.usdt_to}, {"contract": ""}, {"selector": "0x2e1a7d4d"}, {"selector": ""},
		{"delegate": true}, {"delegate": null}, {"contract": null},
	] {
		every steps in [[object.union(step, change)], [step, object.union(step, change)]] {
			got := says(of({"steps": steps}), allowances)
			got.allow == {"call.movement", "call.allowance"}
			got.reject == {"call.method"}
		}
	}
}

test_no_steps_prove_nothing if not "call.method" in says(of({"steps": []}), allowances).allow

punk := {"kind": "erc721", "contract": f.usdt_to, "to": router, "token_id": "7", "amount_base": 1}

nfts(change) := {"ETH": {f.usdt_to: object.union(
	{"kind": "erc721", "name": "punks", "recipients": {router: "vault"}, "any_id": false, "ids": {"7": true}, "max_base": 1},
	change,
)}}

moves(movement, listed) if {
	got := f.ids(calls.allow) with input as of({"movements": [movement]}) with data.contracts as contracts
		with data.allowances as allowances
		with data.nfts as listed
	"call.movement" in got
}

test_listed_tokens_with_ids_may_move if {
	moves(punk, nfts({}))
	moves(object.union(punk, {"token_id": "8"}), nfts({"any_id": true}))
	moves(object.union(punk, {"kind": "erc1155", "amount_base": 5}), nfts({"kind": "erc1155", "max_base": 5}))
}

test_other_tokens_with_ids_may_not_move if {
	every change in [
		{"kind": "erc1155"},
		{"contract": router},
		{"to": f.usdt_to},
		{"token_id": "8"},
		{"amount_base": 2},
		{"amount_base": null},
	] {
		not moves(object.union(punk, change), nfts({}))
	}
	not moves(object.remove(punk, ["token_id"]), nfts({"any_id": true}))
	not moves(punk, {})
}

test_what_else_moves_is_rejected if {
	every change in [{"kind": "erc20"}, {"to": f.usdt_to}, {"amount_base": 6}, {"amount_base": null}] {
		got := says(of({"movements": [object.union(coins, change)]}), allowances)
		got == {"allow": {"call.method", "call.allowance"}, "reject": {"call.movement"}}
	}
	says(of({"movements": [coins, coins]}), allowances).reject == {"call.movement"}
	says(of({"movements": null}), allowances).allow == {"call.method", "call.allowance"}
}

test_allowance_within_its_limit_is_allowed if {
	says(of({"approvals": [grant]}), allowances) == allowed
	says(of({"approvals": [grant, grant]}), allowances) == allowed
	revoked := object.union(grant, {"revoke": true, "spender": f.usdt_to, "asset": "", "amount_base": 0})
	says(of({"approvals": [revoked]}), allowances) == allowed
}

test_allowance_beyond_is_rejected if {
	every change in [
		{"amount_base": 1001}, {"amount_base": null}, {"amount_base": "1"}, {"unlimited": true}, {"unlimited": null},
		{"spender": f.usdt_to}, {"asset": ""}, {"asset": "ETH"}, {"change": "increase"}, {"change": "decrease"},
	] {
		every grants in [[object.union(grant, change)], [grant, object.union(grant, change)]] {
			got := says(of({"approvals": grants}), allowances)
			got == {"allow": {"call.method", "call.movement"}, "reject": {"call.allowance"}}
		}
	}
	says(of({"approvals": [grant]}), {}).reject == {"call.allowance"}
	says(of({"approvals": [object.union(grant, {"kind": "hash", "asset": "", "spender": "", "unlimited": true})]}), allowances).reject == {"call.allowance"}
	says(of({"approvals": [object.remove(grant, ["amount_base"])]}), allowances).reject == {"call.allowance"}
}

test_unlimited_allowance_has_to_be_allowed if {
	loose := {"ETH": {"USDT_ETH": object.union(allowances.ETH.USDT_ETH, {"unlimited": true})}}
	says(of({"approvals": [object.union(grant, {"unlimited": true, "amount_base": 2000})]}), loose) == allowed
	says(of({"approvals": [object.union(grant, {"amount_base": 2000})]}), loose).reject == {"call.allowance"}
}

# Power over tokens is judged where a claim is taken on trust as well.
test_allowance_of_what_is_no_declared_call_is_judged if {
	request := of({"declared": false, "approvals": [grant]})
	says(request, allowances) == {"allow": {"call.allowance"}, "reject": set()}
	says(request, {}) == {"allow": set(), "reject": {"call.allowance"}}
	says(f.transfer(1), {}) == {"allow": {"call.allowance"}, "reject": set()}
	says(object.remove(f.transfer(1), ["call"]), {}) == {"allow": set(), "reject": set()}
}

test_only_declared_calls_are_calls if {
	others := [
		of({"declared": false}), f.transfer(5), f.patch(of({}), "/evidence/status", "verified"),
		f.patch(of({}), "/evidence/status", "mismatch"), f.patch(of({}), "/tx/chain", "BSC"),
		f.patch(of({}), "/evidence/differences", [{"field": "to", "claimed": "a", "signed": "b"}]),
		f.patch(of({}), "/request/sign_type", "3"),
	]
	lib.call with input as of({}) with data.contracts as contracts
	every other in others {
		not lib.call with input as other with data.contracts as contracts
	}
	not lib.call with input as of({}) with data.contracts as {}
}

around(request) := got if {
	got := {
		"listed": f.ids(addresses.allow),
		"denied": f.ids(addresses.reject),
		"evidence": {"allow": f.ids(evidence.allow), "reject": f.ids(evidence.reject)},
		"gas": f.ids(gas.allow),
	} with input as request
		with data.contracts as contracts
		with data.addresses as {"ETH": {"allow_any": false, "allow": {}, "own": {}, "deny": {f.recipient: "lost"}}}
		with data.evidence as {"unverifiable": {}}
		with data.chains as {"ETH": {"native": "ETH"}}
		with data.gas as {"ETH": {"max": {}, "max_fee_per_mille": 1}}
}

test_call_needs_no_other_list if {
	got := around(of({}))
	got.listed == {"address.listed"}
	got.denied == set()
	got.evidence == {"allow": {"evidence.verified"}, "reject": set()}
	got.gas == {"gas.max", "gas.fee_share"}
	undeclared := around(of({"declared": false}))
	undeclared.listed == set()
	undeclared.evidence.reject == {"evidence.unverifiable"}
}

test_denied_contract_and_spender_are_rejected if {
	"address.denied" in around(of({"steps": [step, object.union(step, {"contract": f.recipient})]})).denied
	"address.denied" in around(of({"approvals": [object.union(grant, {"spender": f.recipient})]})).denied
}

test_calls_are_required if {
	required := countersign.require with input as of({}) with data.contracts as contracts
	required & {"call.method", "call.movement", "call.allowance"} == {"call.method", "call.movement", "call.allowance"}
}

# A transfer that others' calls are wrapped around is verified; what the outer contract does is not.
test_wrapped_transfer_needs_listed_calls if {
	transfer := {"contract": f.usdt_to, "selector": "0xa9059cbb", "method": "transfer", "delegate": false}
	inside := json.patch(f.transfer(5), [{"op": "add", "path": "/call", "value": {"declared": false, "steps": [step, transfer], "movements": [], "approvals": []}}])
	unlisted := says(inside, allowances)
	unlisted.reject == {"call.method"}
	"call.method" in calls.require with input as inside with data.contracts as contracts
	listed := object.union(contracts, {"ETH": object.union(contracts.ETH, {f.usdt_to: {"name": "usdt", "methods": {"0xa9059cbb": "transfer"}}})})
	"call.method" in f.ids(calls.allow) with input as inside with data.contracts as listed with data.allowances as allowances
	plain := json.patch(inside, [{"op": "replace", "path": "/call/steps", "value": [transfer]}])
	not "call.method" in calls.require with input as plain with data.contracts as contracts
}
