package countersign.gas_test

import data.countersign.fixtures as f
import data.countersign.rules.gas

rules := {"ETH": {"max": {
	"price_base": {"written": "200 wei", "base": 200},
	"limit": {"written": "50", "base": 50},
	"fee_base": {"written": "0.1 ETH", "base": 10000},
}}}

chains := {"ETH": {"family": "evm", "native": "ETH"}}

ether(costs) := json.patch(f.transfer(1000000), [
	{"op": "replace", "path": "/tx/asset", "value": "ETH"},
	{"op": "add", "path": "/tx/gas", "value": costs},
])

says(request, caps) := got if {
	got := {"allow": f.ids(gas.allow), "reject": f.ids(gas.reject)} with input as request
		with data.gas as caps
		with data.chains as chains
}

allowed := {"allow": {"gas.max", "gas.fee_share"}, "reject": set()}

costs := {"price_base": 200, "limit": 50, "fee_base": 10000, "source": "evidence"}

# What is paid as fee has to have a bound.
test_chain_without_caps_is_rejected if {
	no_bound := {"allow": {"gas.fee_share"}, "reject": {"gas.max"}}
	says(f.transfer(1), {}) == no_bound
	says(f.transfer(1), {"BSC": rules.ETH}) == no_bound
	some say in gas.reject with input as f.transfer(1) with data.gas as {} with data.chains as chains
	contains(say.message, "has no entry for")
}

test_inputs_and_outputs_pay_no_gas if says(f.payment(1), {}) == allowed

test_up_to_the_caps_is_allowed if says(ether(costs), rules) == allowed

test_each_number_over_its_cap_is_rejected if {
	every field in ["price_base", "limit", "fee_base"] {
		got := says(ether(object.union(costs, {field: costs[field] + 1})), rules)
		got == {"allow": {"gas.fee_share"}, "reject": {"gas.max"}}
	}
}

test_a_number_that_is_not_known_is_rejected if {
	every field in ["price_base", "limit", "fee_base"] {
		says(ether(object.remove(costs, [field])), rules).reject == {"gas.max"}
		says(ether(object.union(costs, {field: null})), rules).reject == {"gas.max"}
		says(ether(object.union(costs, {field: "1"})), rules).reject == {"gas.max"}
	}
	says(ether(null), rules).reject == {"gas.max"}
	says(f.transfer(1), rules).reject == {"gas.max"}
}

share := {"ETH": {"max": {}, "max_fee_per_mille": 10}}

test_fee_is_a_share_of_the_amount if {
	says(ether(costs), share) == allowed
	got := says(ether(object.union(costs, {"fee_base": 10001})), share)
	got == {"allow": {"gas.max"}, "reject": {"gas.fee_share"}}
}

test_share_of_what_is_not_known_is_rejected if {
	says(ether(object.remove(costs, ["fee_base"])), share).reject == {"gas.fee_share"}
	says(f.patch(ether(costs), "/tx/amount_base", null), share).reject == {"gas.fee_share"}
}

test_share_is_exact_for_huge_amounts if {
	huge := f.patch(
		ether(object.union(costs, {"fee_base": 10000000000000000000000000000000001})),
		"/tx/amount_base", 1000000000000000000000000000000000000,
	)
	says(huge, share).reject == {"gas.fee_share"}
	says(f.patch(huge, "/tx/gas/fee_base", 10000000000000000000000000000000000), share) == allowed
}

test_share_of_a_token_is_not_told if says(f.patch(f.transfer(1), "/tx/gas", costs), share) == allowed

test_what_is_no_transaction_is_not_judged if {
	says(f.keygen, rules) == {"allow": set(), "reject": set()}
	says(f.patch(ether(costs), "/request/sign_type", "3"), rules) == {"allow": set(), "reject": set()}
}

# Whoever carries out a transaction by message pays for gas.
test_gas_by_message_is_not_asked if {
	request := f.by_message(null)
	got := {"allow": f.ids(gas.allow), "reject": gas.reject} with input as request with data.gas as {}
	got == {"allow": {"gas.max", "gas.fee_share"}, "reject": set()}
}
