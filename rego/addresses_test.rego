package countersign.addresses_test

import data.countersign.fixtures as f
import data.countersign.rules.addresses

dead := "0x000000000000000000000000000000000000dead"

says(request, lists) := got if {
	got := {"allow": f.ids(addresses.allow), "reject": f.ids(addresses.reject)} with input as request
		with data.addresses as {"ETH": lists}
}

any_recipient := {"allow_any": true, "allow": {}, "deny": {dead: "burns"}}

listed := {"allow_any": false, "allow": {f.usdt_to: "supplier", dead: ""}, "deny": {dead: "burns"}}

test_any_recipient_is_allowed if {
	says(f.transfer(1), any_recipient) == {"allow": {"address.listed"}, "reject": set()}
}

test_listed_recipient_is_allowed if {
	says(f.transfer(1), listed) == {"allow": {"address.listed"}, "reject": set()}
}

test_other_recipient_is_rejected if {
	request := f.patch(f.transfer(1), "/tx/to", "0x0000000000000000000000000000000000000001")
	says(request, listed) == {"allow": set(), "reject": {"address.listed"}}
}

test_denied_recipient_is_rejected_even_if_listed if {
	"address.denied" in says(f.patch(f.transfer(1), "/tx/to", dead), any_recipient).reject
	"address.denied" in says(f.patch(f.transfer(1), "/tx/to", dead), listed).reject
}

test_denied_sender_is_rejected if {
	"address.denied" in says(f.patch(f.transfer(1), "/tx/from", dead), any_recipient).reject
}

test_denied_output_is_rejected if {
	utxo := {"inputs": [], "outputs": [{"address": f.usdt_to}, {"address": dead}]}
	"address.denied" in says(f.patch(f.transfer(1), "/utxo", utxo), any_recipient).reject
}

test_chain_without_lists_is_rejected if {
	says(f.patch(f.transfer(1), "/tx/chain", "BTC"), any_recipient).reject == {"address.listed"}
}

test_no_recipient_is_not_allowed if {
	not "address.listed" in says(f.patch(f.transfer(1), "/tx/to", ""), any_recipient).allow
}

test_keygen_is_not_judged if says(f.keygen, listed) == {"allow": set(), "reject": set()}

test_own_recipient_is_allowed if {
	own := {"allow_any": false, "allow": {}, "deny": {}, "own": {f.usdt_to: "cold wallet"}}
	says(f.transfer(1), own) == {"allow": {"address.listed"}, "reject": set()}
	says(f.patch(f.transfer(1), "/tx/to", dead), own) == {"allow": set(), "reject": {"address.listed"}}
	"address.denied" in says(f.transfer(1), object.union(own, {"deny": {f.usdt_to: "lost"}})).reject
}
