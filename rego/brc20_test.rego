package countersign.brc20_test

import data.countersign.fixtures as f
import data.countersign.lib
import data.countersign.rules.brc20

lists := {"allow_any": false, "allow": {f.recipient: "exchange"}, "deny": {}}

ordi := {
	"decimals": 18,
	"recipients": null,
	"methods": {
		"transfer": {"steps": [1, 3], "max": "1000", "max_base": 1000000000000000000000, "approvals": []},
		"mint": {"steps": [1], "max": "5", "max_base": 5000000000000000000, "approvals": []},
	},
}

tokens := {"BTC": {"ordi": ordi}}

entry := {
	"method": "transfer",
	"ticker": "ordi",
	"quantity": "1000",
	"quantity_base": 1000000000000000000000,
	"total_base": 1000000000000000000000,
	"inscription_id": "",
	"step": 1,
	"from": f.wallet,
	"to": f.recipient,
}

request(change) := f.patch(f.payment(546), "/brc20", [object.union(entry, change)])

says(req) := says_with(req, tokens)

says_with(req, rules) := got if {
	got := {"allow": f.ids(brc20.allow), "reject": f.ids(brc20.reject)} with input as req
		with data.brc20 as rules
		with data.addresses as f.btc_addresses
}

proofs := {"brc20.invalid", "brc20.ticker", "brc20.method", "brc20.step", "brc20.limit.max", "brc20.from", "brc20.to"}

allowed := {"allow": proofs, "reject": set()}

rejected(id) := {"allow": proofs - {id}, "reject": {id}}

test_transfer_within_limits_is_allowed if {
	says(request({})) == allowed
	says(request({"total_base": 1})) == allowed
}

test_all_of_it_is_required if {
	brc20.require == proofs with input as request({})
	brc20.require == set() with input as f.payment(546)
}

test_without_entries_nothing_is_said if {
	says(f.payment(546)) == {"allow": set(), "reject": set()}
	says(f.patch(f.empty, "/brc20", [entry])) == {"allow": set(), "reject": set()}
}

test_quantity_over_the_limit_is_rejected if {
	every total in [1000000000000000000001, 18446744073709551615000000000000000000] {
		says(request({"total_base": total})) == rejected("brc20.limit.max")
	}
	some say in brc20.reject with input as request({"total_base": 1000000000000000000001}) with data.brc20 as tokens
	contains(say.message, "more than the limit of 1000")
}

# The limit holds for all entries of a ticker together, which is what total_base is.
test_quantities_of_several_entries_count_together if {
	two := f.patch(request({"quantity_base": 1, "total_base": 1000000000000000000001}), "/brc20/-", object.union(entry, {"total_base": 1000000000000000000001}))
	"brc20.limit.max" in says(two).reject
}

test_one_bad_entry_rejects if {
	two := f.patch(request({}), "/brc20/-", object.union(entry, {"ticker": "evil"}))
	got := says(two)
	"brc20.ticker" in got.reject
	got.allow == {"brc20.invalid", "brc20.from"}
}

test_unknown_quantity_is_rejected if {
	every total in [null, "1", true] {
		got := says(request({"total_base": total}))
		"brc20.invalid" in got.reject
		not "brc20.limit.max" in got.allow
	}
	got := says(json.remove(request({}), ["brc20/0/total_base"]))
	"brc20.invalid" in got.reject
	not "brc20.limit.max" in got.allow
}

test_malformed_entry_is_rejected if {
	problem := {"rule": "brc20.invalid", "field": "brc20Details[0].ticker", "message": "has 9 bytes"}
	says(f.patch(request({}), "/tx/problems", [problem])) == rejected("brc20.invalid")
	other := object.union(problem, {"rule": "runes.invalid"})
	says(f.patch(request({}), "/tx/problems", [other])) == allowed
}

test_moved_inscription_has_an_id if {
	says(request({"step": 3})) == rejected("brc20.invalid")
	id := "17b0378f551ddfda5d512a7304fdc0f33493f0429a479e243f3653d7dca0700ei0"
	says(request({"step": 3, "inscription_id": id})) == allowed
}

test_made_inscription_needs_no_id if {
	step3 := {"BTC": {"ordi": {"recipients": null, "methods": {"mint": object.union(ordi.methods.mint, {"steps": [3]})}}}}
	says_with(request({"method": "mint", "step": 3, "total_base": 1, "to": f.wallet}), step3) == allowed
}

test_denied_own_recipient_is_rejected if {
	denied := {"allow_any": false, "allow": {}, "deny": {f.wallet: "lost"}}
	says_with(request({"to": f.wallet}), with_recipients(denied)) == rejected("brc20.to")
}

test_unknown_ticker_is_rejected if {
	every ticker in ["evil", "ORDI", "", null] {
		got := says(request({"ticker": ticker}))
		"brc20.ticker" in got.reject
		not "brc20.ticker" in got.allow
		not "brc20.limit.max" in got.allow
	}
	"brc20.ticker" in says_with(request({}), {}).reject
}

test_other_method_is_rejected if {
	every method in ["deploy", "burn", "", null] {
		got := says(request({"method": method}))
		"brc20.method" in got.reject
		not "brc20.method" in got.allow
	}
}

test_other_step_is_rejected if {
	every step in [0, 2, "1", null] {
		says(request({"step": step})) == rejected("brc20.step")
	}
}

test_each_method_has_its_limit if {
	mint := {"method": "mint", "to": f.wallet, "total_base": 5000000000000000000}
	says(request(mint)) == allowed
	says(request(object.union(mint, {"total_base": 5000000000000000001}))) == rejected("brc20.limit.max")
}

test_mint_for_others_is_rejected if {
	says(request({"method": "mint", "total_base": 1})) == rejected("brc20.to")
}

test_foreign_sender_is_rejected if {
	every from in [f.stranger, "", null] {
		says(request({"from": from})) == rejected("brc20.from")
	}
}

test_other_recipient_is_rejected if {
	every to in [f.stranger, "", null] {
		says(request({"to": to})) == rejected("brc20.to")
	}
}

test_own_recipient_is_allowed if says(request({"to": f.wallet})) == allowed

with_recipients(recipients) := {"BTC": {"ordi": object.union(ordi, {"recipients": recipients})}}

test_lists_of_the_ticker_come_first if {
	only := {"allow_any": false, "allow": {f.stranger: "desk"}, "deny": {}}
	says_with(request({"to": f.stranger}), with_recipients(only)) == allowed
	says_with(request({}), with_recipients(only)) == rejected("brc20.to")
}

test_denied_recipient_is_rejected if {
	denied := {"allow_any": true, "allow": {}, "deny": {f.recipient: "frozen"}}
	says_with(request({}), with_recipients(denied)) == rejected("brc20.to")
	says_with(request({"to": f.stranger}), with_recipients(denied)) == allowed
	says_with(request({"to": ""}), with_recipients(denied)) == rejected("brc20.to")
}

test_chain_denies_for_every_ticker if {
	any := {"allow_any": true, "allow": {}, "deny": {}}
	got := f.ids(brc20.reject) with input as request({})
		with data.brc20 as with_recipients(any)
		with data.addresses as {"BTC": object.union(f.btc_addresses.BTC, {"deny": {f.recipient: "frozen"}})}
	got == {"brc20.to"}
}

# An address that verified evidence found the key to spend is an own one without a list.
test_own_is_what_data_or_evidence_says if {
	lib.own(f.wallet) with input as f.payment(1) with data.addresses as {}
	not lib.own(f.stranger) with input as f.payment(1) with data.addresses as {}
	not lib.own(f.wallet) with input as f.patch(f.payment(1), "/utxo/inputs/0/own", false) with data.addresses as {}
	not lib.own("") with input as f.patch(f.payment(1), "/utxo/inputs/0/address", "") with data.addresses as {}
}
