package countersign.runes_test

import data.countersign.fixtures as f
import data.countersign.rules.runes

hello := {
	"name": "HELLOWORLD",
	"spaced_name": "HELLO•WORLD",
	"symbol": "¤",
	"divisibility": 2,
	"amount_unit": "base",
	"max": "100",
	"max_base": 10000,
	"approvals": [],
	"recipients": null,
}

declared := {"BTC": {"2818544:3897": hello}}

entry := {
	"id": "2818544:3897",
	"name": "HELLOWORLD",
	"spaced_name": "HELLO•WORLD",
	"symbol": "¤",
	"amount": "10000",
	"amount_base": 10000,
	"total_base": 10000,
	"divisibility": 2,
	"from": f.wallet,
	"to": f.recipient,
}

request(change) := f.patch(f.payment(546), "/runes", [object.union(entry, change)])

says(req) := says_with(req, declared)

says_with(req, rules) := got if {
	got := {"allow": f.ids(runes.allow), "reject": f.ids(runes.reject)} with input as req
		with data.runes as rules
		with data.addresses as f.btc_addresses
}

proofs := {"runes.invalid", "runes.unknown", "runes.identity", "runes.limit.max", "runes.from", "runes.to"}

allowed := {"allow": proofs, "reject": set()}

rejected(id) := {"allow": proofs - {id}, "reject": {id}}

test_rune_within_limits_is_allowed if {
	says(request({})) == allowed
	says(request({"total_base": 1})) == allowed
}

test_all_of_it_is_required if {
	runes.require == proofs with input as request({})
	runes.require == set() with input as f.payment(546)
}

test_without_entries_nothing_is_said if {
	says(f.payment(546)) == {"allow": set(), "reject": set()}
	says(f.patch(f.empty, "/runes", [entry])) == {"allow": set(), "reject": set()}
}

test_amount_over_the_limit_is_rejected if {
	every total in [10001, 340282366920938463463374607431768211455] {
		says(request({"total_base": total})) == rejected("runes.limit.max")
	}
	some say in runes.reject with input as request({"total_base": 10001}) with data.runes as declared
	say.message == "10001 base units are more than the limit of 100 HELLO•WORLD"
}

test_unknown_amount_is_rejected if {
	every total in [null, "1"] {
		got := says(request({"total_base": total}))
		"runes.invalid" in got.reject
		not "runes.limit.max" in got.allow
	}
	got := says(json.remove(request({}), ["runes/0/total_base"]))
	"runes.invalid" in got.reject
	not "runes.limit.max" in got.allow
}

test_malformed_entry_is_rejected if {
	problem := {"rule": "runes.invalid", "field": "runeDetails[0].runeId", "message": "is no rune id"}
	says(f.patch(request({}), "/tx/problems", [problem])) == rejected("runes.invalid")
	says(f.patch(request({}), "/tx/problems", [object.union(problem, {"rule": "brc20.invalid"})])) == allowed
}

test_unknown_rune_is_rejected if {
	every id in ["2818544:3898", "", null] {
		says(request({"id": id})) == {"allow": {"runes.invalid", "runes.from"}, "reject": {"runes.unknown"}}
	}
	says_with(request({}), {}).reject == {"runes.unknown"}
}

# Each name by itself is a good one; together they are those of two runes.
test_names_that_disagree_are_rejected if {
	every change in [
		{"name": "OTHER"},
		{"name": "HELLOWORL"},
		{"spaced_name": "HELL•OWORLD"},
		{"spaced_name": "HELLOWORLD"},
		{"spaced_name": "OTHER•WORLD"},
		{"name": "", "spaced_name": ""},
		{"name": "OTHER", "spaced_name": "OTH•ER"},
		{"symbol": "$"},
		{"symbol": ""},
		{"divisibility": 0},
		{"divisibility": "2"},
	] {
		says(request(change)) == rejected("runes.identity")
	}
}

test_names_that_disagree_are_rejected_even_as_declared if {
	odd := {"BTC": {"2818544:3897": object.union(hello, {"name": "OTHER"})}}
	says_with(request({"name": "OTHER"}), odd) == rejected("runes.identity")
}

test_one_bad_entry_rejects if {
	two := f.patch(request({}), "/runes/-", object.union(entry, {"name": "OTHER"}))
	says(two) == rejected("runes.identity")
}

test_foreign_sender_is_rejected if {
	every from in [f.stranger, "", null] {
		says(request({"from": from})) == rejected("runes.from")
	}
}

test_other_recipient_is_rejected if {
	every to in [f.stranger, "", null] {
		says(request({"to": to})) == rejected("runes.to")
	}
}

with_recipients(recipients) := {"BTC": {"2818544:3897": object.union(hello, {"recipients": recipients})}}

test_lists_of_the_rune_come_first if {
	says_with(request({"to": f.stranger}), with_recipients({"allow_any": true, "allow": {}, "deny": {}})) == allowed
	says_with(request({"to": ""}), with_recipients({"allow_any": true, "allow": {}, "deny": {}})) == rejected("runes.to")
	denied := {"allow_any": true, "allow": {}, "deny": {f.recipient: "frozen"}}
	says_with(request({}), with_recipients(denied)) == rejected("runes.to")
}
