package countersign.utxo_test

import data.countersign.fixtures as f
import data.countersign.lib
import data.countersign.rules.utxo

says(request) := says_with(request, f.utxo_rules)

says_with(request, rules) := got if {
	got := {"allow": f.ids(utxo.allow), "reject": f.ids(utxo.reject)} with input as request
		with data.utxo as rules
		with data.chains as f.chains
		with data.addresses as f.btc_addresses
}

proofs := {"utxo.known", "utxo.recipient", "utxo.output", "utxo.input", "utxo.fee", "utxo.fee_rate", "utxo.fee_share"}

allowed := {"allow": proofs, "reject": set()}

rejected(id) := {"allow": proofs - {id}, "reject": {id}}

message(request, id) := text if {
	some say in utxo.reject with input as request with data.utxo as f.utxo_rules with data.addresses as f.btc_addresses
	say.id == id
	text := say.message
}

rules_with(key, value) := {"BTC": object.union(f.utxo_rules.BTC, {key: value})}

with_output(request, output) := f.patch(request, "/utxo/outputs/-", output)

test_payment_with_change_is_allowed if says(f.payment(22000)) == allowed

test_all_of_it_is_required if utxo.require == proofs with input as f.payment(22000) with data.chains as f.chains

test_transactions_of_accounts_are_not_judged if {
	says(f.transfer(1)) == {"allow": set(), "reject": set()}
	count(utxo.require) == 0 with input as f.transfer(1) with data.chains as f.chains
}

# Neither the request nor the data alone says that there are outputs to look at.
test_family_is_told_by_either if {
	every family in ["evm", "", null] {
		request := f.patch(f.payment(22000), "/tx/family", family)
		utxo.require == proofs with input as request with data.chains as f.chains
	}
	utxo.require == proofs with input as f.payment(22000) with data.chains as {}
}

test_claim_on_trust_is_judged_alike if says(f.on_trust(f.payment(22000))) == allowed

test_unknown_coins_are_rejected if {
	every utxo_input in [null, {"inputs": [], "outputs": [], "source": "evidence"}] {
		got := says(f.patch(f.payment(22000), "/utxo", utxo_input))
		got.allow == {"utxo.fee_share"} # no share is asked for
		got.reject & {"utxo.known", "utxo.recipient", "utxo.fee", "utxo.fee_rate"} == {"utxo.known", "utxo.recipient", "utxo.fee", "utxo.fee_rate"}
	}
	says(json.remove(f.payment(22000), ["utxo/paid_base"])) == rejected("utxo.known")
}

test_payment_of_nothing_from_nowhere_is_rejected if {
	every list in ["inputs", "outputs"] {
		got := says(f.patch(f.payment(22000), sprintf("/utxo/%s", [list]), []))
		"utxo.known" in got.reject
		not "utxo.known" in got.allow
	}
}

# Verified evidence that did not reach the outputs vouches for none, and a claim is taken only where evidence is wanting.
test_source_and_status_belong_together if {
	every pair in [["evidence", "unverifiable"], ["claim", "verified"], ["claim", "mismatch"], ["claim", ""], ["", "verified"]] {
		request := json.patch(f.payment(22000), [
			{"op": "replace", "path": "/utxo/source", "value": pair[0]},
			{"op": "replace", "path": "/evidence/status", "value": pair[1]},
		])
		says(request) == rejected("utxo.known")
	}
}

test_recipient_that_does_not_get_the_amount_is_rejected if {
	every amount in [21999, 22001, 0, null, "22000"] {
		says(f.patch(f.payment(22000), "/utxo/to_base", amount)) == rejected("utxo.recipient")
	}
	says(json.remove(f.payment(22000), ["utxo/to_base"])) == rejected("utxo.recipient")
	neither := f.patch(f.patch(f.payment(22000), "/tx/amount_base", null), "/utxo/to_base", null)
	"utxo.recipient" in says(neither).reject
}

test_another_output_is_rejected if {
	every address in [f.stranger, "", null] {
		request := with_output(f.payment(22000), {"address": address, "amount_base": 1, "own": false, "data": false})
		says(request) == rejected("utxo.output")
	}
	request := with_output(f.payment(22000), {"address": f.stranger, "amount_base": 1, "own": false, "data": false})
	contains(message(request, "utxo.output"), f.stranger)
}

# With no recipient, an output without an address is not the recipient's.
test_output_without_address_is_rejected if {
	nowhere := {"address": "", "amount_base": 1, "own": false, "data": false}
	request := f.patch(f.patch(f.payment(22000), "/tx/to", ""), "/utxo/outputs", [nowhere])
	says(request).reject == {"utxo.output"}
}

test_batch_pays_listed_addresses_only if {
	batch := rules_with("batch", true)
	second := f.patch(f.payment(22000), "/utxo/outputs/-", {"address": f.recipient, "amount_base": 5, "own": false, "data": false})
	other := f.patch(second, "/tx/to", f.wallet)
	says_with(other, batch).reject == set()
	stranger := with_output(f.payment(22000), {"address": f.stranger, "amount_base": 1, "own": false, "data": false})
	says_with(stranger, batch) == rejected("utxo.output")
	nowhere := with_output(f.payment(22000), {"address": "", "amount_base": 1, "own": false, "data": false})
	says_with(nowhere, batch) == rejected("utxo.output")
}

test_batch_to_anybody_where_anybody_may_be_paid if {
	request := with_output(f.payment(22000), {"address": f.stranger, "amount_base": 1, "own": false, "data": false})
	got := f.ids(utxo.reject) with input as request
		with data.utxo as rules_with("batch", true)
		with data.addresses as {"BTC": {"allow_any": true, "allow": {}, "deny": {}, "own": {}}}
	got == set()
}

# A batch is as large as all that it pays.
test_batch_counts_in_full if {
	lib.amount == 1 with input as f.patch(f.transfer(1), "/utxo", {"paid_base": 5}) with data.chains as f.chains
	request := f.patch(f.payment(22000), "/utxo/paid_base", 600000)
	lib.amount == 600000 with input as request with data.chains as f.chains
	lib.amount == 22000 with input as f.payment(22000) with data.chains as f.chains
	lib.amount == 22000 with input as f.patch(f.payment(22000), "/utxo/paid_base", 0) with data.chains as f.chains
	not lib.amount with input as json.remove(f.payment(22000), ["utxo/paid_base"]) with data.chains as f.chains
	not lib.amount with input as f.patch(f.payment(22000), "/utxo/paid_base", "1") with data.chains as f.chains
	not lib.amount with input as f.payment(22000 * 0) with input.tx.amount_base as null with data.chains as f.chains
}

note := {"address": "", "amount_base": 0, "own": false, "data": true}

test_data_output_takes_a_rule_or_a_rune if {
	request := with_output(f.payment(22000), note)
	says(request) == rejected("utxo.output")
	says_with(request, rules_with("data_outputs", true)) == allowed
	says(f.patch(request, "/runes", [{"to": f.recipient}])) == allowed
}

test_data_output_that_burns_coins_is_rejected if {
	every amount in [1, null, "0"] {
		request := with_output(f.payment(22000), object.union(note, {"amount_base": amount}))
		says_with(request, rules_with("data_outputs", true)) == rejected("utxo.output")
	}
}

# An output of no value to an address is no note.
test_output_of_no_value_is_rejected if {
	every address in [f.stranger, ""] {
		request := with_output(f.payment(22000), {"address": address, "amount_base": 0, "own": false, "data": false})
		says_with(request, rules_with("data_outputs", true)) == rejected("utxo.output")
		says(f.patch(request, "/runes", [{"to": f.recipient}])) == rejected("utxo.output")
	}
}

test_recipient_of_a_token_gets_coins_where_coins_may_go if {
	second := with_output(f.patch(f.payment(22000), "/tx/to", f.wallet), {"address": f.recipient, "amount_base": 546, "own": false, "data": false})
	stranger := with_output(f.payment(22000), {"address": f.stranger, "amount_base": 546, "own": false, "data": false})
	nowhere := with_output(f.payment(22000), {"address": "", "amount_base": 546, "own": false, "data": false})
	every list in ["runes", "brc20"] {
		"utxo.output" in says(second).reject
		not "utxo.output" in says(f.patch(second, sprintf("/%s", [list]), [{"to": f.recipient}])).reject
		says(f.patch(stranger, sprintf("/%s", [list]), [{"to": f.stranger}])) == rejected("utxo.output")
		says(f.patch(nowhere, sprintf("/%s", [list]), [{"to": ""}])) == rejected("utxo.output")
	}
}

test_foreign_input_is_rejected if {
	coin := {"address": f.stranger, "amount_base": 1, "own": false, "data": false}
	request := f.patch(f.payment(22000), "/utxo/inputs/-", coin)
	says(request) == rejected("utxo.input")
	contains(message(request, "utxo.input"), f.stranger)
	says(json.remove(f.payment(22000), ["utxo/inputs/0/own"])) == rejected("utxo.input")
}

test_fee_over_the_limit_is_rejected if {
	every fee in [1001, null, "1", 1000000000000000000000] {
		says(f.patch(f.payment(22000), "/utxo/fee_base", fee)) == rejected("utxo.fee")
	}
	says(json.remove(f.payment(22000), ["utxo/fee_base"])) == rejected("utxo.fee")
	says(f.patch(f.payment(22000), "/utxo/fee_base", 0)) == allowed
}

test_fee_rate_over_the_limit_is_rejected if {
	every rate in [10001, null, "1"] {
		says(f.patch(f.payment(22000), "/utxo/fee_rate", rate)) == rejected("utxo.fee_rate")
	}
	says(f.patch(f.payment(22000), "/utxo/fee_rate", 10000)) == allowed
}

test_fee_messages_name_both_numbers if {
	high := f.patch(f.payment(22000), "/utxo/fee_base", 1001)
	message(high, "utxo.fee") == "a fee of 1001 base units is not within the 0.00001 coins of data.json utxo.BTC"
	unknown := json.remove(f.payment(22000), ["utxo/fee_rate"])
	message(unknown, "utxo.fee_rate") == "a fee rate of an amount that is not known is not within the 10 satoshi per vB of data.json utxo.BTC"
}

test_chain_without_limits_is_rejected if {
	got := says_with(f.payment(22000), {})
	got.reject == {"utxo.fee", "utxo.fee_rate"}
	some say in utxo.reject with input as f.payment(22000) with data.utxo as {}
	contains(say.message, "has none for \"BTC\"")
}

# The fee is 1000: 5 per cent of 20,000, and a little more of 19,999.
share(request) := got if {
	rejects := f.ids(utxo.reject) with input as request with data.utxo as rules_with("max_fee_per_mille", 50)
		with data.chains as f.chains
		with data.addresses as f.btc_addresses
	allows := f.ids(utxo.allow) with input as request with data.utxo as rules_with("max_fee_per_mille", 50)
		with data.chains as f.chains
		with data.addresses as f.btc_addresses
	got := {"allowed": "utxo.fee_share" in allows, "rejected": "utxo.fee_share" in rejects}
}

small := {"allowed": true, "rejected": false}

large := {"allowed": false, "rejected": true}

test_fee_is_a_share_of_what_is_paid if {
	share(f.payment(20000)) == small
	share(f.payment(19999)) == large
	share(f.patch(f.patch(f.payment(19999), "/utxo/fee_base", 0), "/utxo/source", "claim")) == small
}

# What else leaves counts too, and an amount between own addresses only where nothing leaves.
test_what_leaves_is_the_base_of_the_share if {
	share(f.patch(f.payment(19999), "/utxo/paid_base", 20000)) == small
	share(f.patch(f.payment(20000), "/utxo/paid_base", 19999)) == large
	share(f.patch(f.payment(20000), "/utxo/paid_base", 0)) == small
	share(f.patch(f.payment(19999), "/utxo/paid_base", 0)) == large
}

test_share_that_is_not_known_is_rejected if {
	every part in ["fee_base", "paid_base"] {
		share(json.remove(f.payment(20000), [sprintf("utxo/%s", [part])])) == large
		every value in [null, "1"] {
			share(f.patch(f.payment(20000), sprintf("/utxo/%s", [part]), value)) == large
		}
	}
	share(json.remove(f.patch(f.payment(20000), "/utxo/paid_base", 0), ["tx/amount_base"])) == large
}

test_coins_that_carry_a_token_have_no_share if {
	every list in ["runes", "brc20"] {
		share(f.patch(f.payment(546), sprintf("/%s", [list]), [{"to": f.recipient}])) == small
		share(f.patch(f.payment(546), sprintf("/%s", [list]), [])) == large
	}
}

test_share_message_names_both_numbers if {
	some say in utxo.reject with input as f.payment(19999) with data.utxo as rules_with("max_fee_per_mille", 50)
		with data.chains as f.chains
		with data.addresses as f.btc_addresses
	say.id == "utxo.fee_share"
	say.message == "a fee of 1000 base units is not known to be within 50 per mille of what is paid, as data.json utxo.BTC asks"
}
