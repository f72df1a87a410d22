package countersign.main_test

import data.countersign
import data.countersign.fixtures as f

decide(request) := got if {
	got := countersign.decision with input as request
		with data.request_types as ["sign", "keygen", "pre-sign", "taproot-sign"]
		with data.unknown_fields as []
		with data.chains as f.chains
		with data.limits as object.union(f.limits, f.btc_limits)
		with data.addresses as object.union(f.addresses, f.btc_addresses)
		with data.groups as f.groups
		with data.keygen as {
			"parties": {"sinoA": "a", "sinoB": "b", "sinoC": "c"},
			"schemes": [{"cryptography": "ecdsa-secp256k1", "t": 3, "n": 3}],
		}
		with data.messages as {f.key: {"any_requester": true, "requesters": [], "text": [`\A(?:Hello .*)\z`]}}
		with data.raw as {f.key: {"any_requester": true, "requesters": [], "any_path": true, "paths": []}}
		with data.pre_sign as {f.key: {"any_requester": true, "requesters": [], "paths": ["m/44/60/0/0/0"]}}
		with data.evidence as {"unverifiable": {}}
		with data.utxo as f.utxo_rules
		with data.taproot as {}
		with data.brc20 as {}
		with data.runes as {}
		with data.typed_data as {}
		with data.permits as {}
		with data.windows as {}
		with data.gas as {"ETH": {"max": {}}}
		with data.contracts as {}
		with data.allowances as {}
		with data.nfts as {}
		with data.hours as {}
		with data.wallets as {"keys": {}, "ids": {}}
		with data.vaults as {"keys": {}, "ids": {}}
		with data.unbound_wallets as false
}

test_transfer_within_limits_is_approved if f.approved(decide(f.transfer(1500000000)))

test_keygen_of_known_parties_is_approved if f.approved(decide(f.keygen))

test_message_of_allowed_key_is_approved if {
	f.approved(decide(f.message({"kind": "text", "text": "Hello Bob", "grants": false})))
}

test_raw_data_of_allowed_key_is_approved if f.approved(decide(f.patch(f.empty, "/request/sign_type", "3")))

test_presignature_of_allowed_key_is_approved if {
	f.approved(decide(f.patch(f.empty, "/request/request_type", "pre-sign")))
}

# A window that counts a session without a state proves nothing.
test_sessions_need_their_windows if {
	rules := {"w": {"kinds": ["keygen", "pre_sign"], "chain": "", "asset": "", "token": "", "max": "1", "max_base": 1, "approvals": []}}
	every request in [f.keygen, f.patch(f.empty, "/request/request_type", "pre-sign")] {
		without := {say.id | some say in countersign.allow} with input as request with data.windows as rules
		not "window.max" in without
		"window.max" in countersign.require with input as request with data.windows as rules
	}
}

# With nothing but the input missing, every proof is missing and nothing is approved.
test_empty_request_proves_nothing if not f.approved(decide({}))

test_each_missing_part_is_not_approved if {
	every part in ["request", "tx", "evidence", "now"] {
		not f.approved(decide(object.remove(f.transfer(6000000000), [part])))
		not f.approved(decide(f.patch(f.transfer(6000000000), sprintf("/%s", [part]), null)))
	}
	every part in ["chain", "asset", "to", "amount_base", "problems"] {
		not f.approved(decide(json.remove(f.transfer(1), [sprintf("tx/%s", [part])])))
		not f.approved(decide(f.patch(f.transfer(1), sprintf("/tx/%s", [part]), null)))
	}
}

test_amount_as_a_string_is_not_approved if not f.approved(decide(f.transfer("1")))

test_empty_data_approves_nothing if {
	every request in [f.transfer(1), f.keygen, f.patch(f.empty, "/request/sign_type", "3")] {
		decision := countersign.decision with input as request
			with data.request_types as ["sign", "keygen"]
			with data.keygen as {"parties": {}, "schemes": []}
			with data.limits as {}
			with data.addresses as {}
			with data.raw as {}
		not f.approved(decision)
		count(decision.reject) > 0
	}
}

# A package of rules of one's own may ask for more.
test_own_requirement_is_collected if {
	own := {"mine": {"require": {"mine.checked"}}}
	"mine.checked" in countersign.require with input as f.transfer(1) with data.countersign.rules as own
}

test_payment_is_approved if {
	f.approved(decide(f.payment(22000)))
	f.approved(decide(f.patch(f.payment(22000), "/request/request_type", "taproot-sign")))
}

test_each_missing_part_of_a_payment_is_not_approved if {
	every part in ["fee_base", "fee_rate", "to_base", "paid_base", "source"] {
		not f.approved(decide(json.remove(f.payment(22000), [sprintf("utxo/%s", [part])])))
		not f.approved(decide(f.patch(f.payment(22000), sprintf("/utxo/%s", [part]), null)))
	}
	every part in ["inputs", "outputs"] {
		not f.approved(decide(json.remove(f.payment(22000), [sprintf("utxo/%s", [part])])))
		not f.approved(decide(f.patch(f.payment(22000), sprintf("/utxo/%s", [part]), [])))
	}
	not f.approved(decide(f.patch(f.payment(22000), "/utxo", null)))
}

test_payment_that_says_it_is_none_is_not_approved if {
	every family in ["evm", "", null] {
		not f.approved(decide(f.patch(f.payment(22000), "/tx/family", family)))
	}
}

test_tokens_that_data_does_not_know_are_not_approved if {
	not f.approved(decide(f.patch(f.payment(22000), "/runes", [{"id": "1:1"}])))
	not f.approved(decide(f.patch(f.payment(22000), "/brc20", [{"ticker": "ordi"}])))
	not f.approved(decide(f.patch(f.payment(22000), "/runes", [null])))
	not f.approved(decide(f.patch(f.payment(22000), "/brc20", {})))
	not f.approved(decide(f.patch(f.transfer(1), "/runes", [{"id": "1:1"}])))
	not f.approved(decide(f.patch(f.transfer(1), "/brc20", [{"ticker": "ordi"}])))
}
