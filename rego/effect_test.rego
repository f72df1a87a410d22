package countersign.effect_test

import data.countersign
import data.countersign.fixtures as f
import data.countersign.lib
import data.countersign.rules.effect
import data.countersign.rules.hours
import data.countersign.rules.messages
import data.countersign.rules.windows

sole := {"declared": false, "steps": [], "movements": [], "approvals": []}

listed := {"ETH": {f.usdt_to: {"name": "pool", "methods": {}}}}

of(call) := f.by_message(call)

without_transfer(request) := json.patch(request, [{"op": "replace", "path": "/evidence/transfer", "value": null}])

says(request) := got if {
	got := {"allow": f.ids(effect.allow), "reject": f.ids(effect.reject)} with input as request
		with data.contracts as listed
}

test_one_transfer_is_allowed if {
	says(of(sole)) == {"allow": {"message.effect"}, "reject": set()}
	says(of(null)) == {"allow": {"message.effect"}, "reject": set()}
}

test_a_declared_call_is_left_to_the_rules_for_calls if {
	says(of(object.union(sole, {"declared": true}))) == {"allow": {"message.effect"}, "reject": set()}
	says(without_transfer(of(object.union(sole, {"declared": true})))) == {"allow": {"message.effect"}, "reject": set()}
}

test_what_is_hidden_is_rejected if {
	every request in [without_transfer(of(sole)), without_transfer(of(null))] {
		says(request) == {"allow": set(), "reject": {"message.effect"}}
	}
	effect.reject[_].id == "message.effect" with input as without_transfer(of(object.union(sole, {"declared": true})))
		with data.contracts as {}
}

test_other_messages_are_none if {
	says(f.message({"kind": "text", "text": "ping"})) == {"allow": set(), "reject": set()}
	says(f.transfer(5)) == {"allow": set(), "reject": set()}
}

# It takes what a message takes, and what a transaction takes.
test_both_are_proven if {
	required := countersign.require with input as of(sole) with data.contracts as listed
	every id in ["message.effect", "message.key", "message.content", "message.permit", "limit.per_transaction", "address.listed", "call.allowance"] {
		required[id]
	}
	"transaction" == lib.kind with input as of(sole)
	{"transaction", "message"} == lib.kinds with input as of(sole)
	not lib.kind with input as json.patch(of(sole), [{"op": "replace", "path": "/tx", "value": null}])
	messages.message.transaction == true with input as of(sole)
}

test_windows_and_hours_of_both_kinds_hold if {
	counted := {
		"a": {"kinds": ["transaction"], "chain": "", "asset": ""},
		"b": {"kinds": ["message"], "chain": "", "asset": ""},
		"c": {"kinds": ["raw"], "chain": "", "asset": ""},
	}
	windows.counted == {"a", "b"} with input as of(sole) with data.windows as counted
	hours.holding == {"a", "b"} with input as of(sole) with data.hours as counted
}
