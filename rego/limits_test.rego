package countersign.limits_test

import data.countersign.fixtures as f
import data.countersign.rules.limits

says(request) := says_with(request, f.limits)

says_with(request, rules) := got if {
	got := {"allow": f.ids(limits.allow), "reject": f.ids(limits.reject)} with input as request
		with data.limits as rules
		with data.chains as f.chains
}

allowed := {"allow": {"limit.per_transaction"}, "reject": set()}

over := {"allow": set(), "reject": {"limit.per_transaction"}}

test_amount_up_to_the_limit_is_allowed if {
	every amount in [0, 1, 9999999999, 10000000000] {
		says(f.transfer(amount)) == allowed
	}
}

test_amount_over_the_limit_is_rejected if {
	every amount in [10000000001, 18446744073709551617, 1000000000000000000000000000000000000000000001] {
		says(f.transfer(amount)) == over
	}
}

test_amount_just_over_a_huge_limit_is_rejected if {
	huge := {"ETH": {"USDT_ETH": [{"max": "x", "max_base": 1000000000000000000000000000000, "approvals": []}]}}
	says_with(f.transfer(1000000000000000000000000000001), huge) == over
	says_with(f.transfer(1000000000000000000000000000000), huge) == allowed
}

test_the_strictest_of_several_limits_holds if {
	two := {"ETH": {"USDT_ETH": [{"max": "1", "max_base": 1, "approvals": []}, {"max": "9", "max_base": 9, "approvals": []}]}}
	says_with(f.transfer(5), two).reject == {"limit.per_transaction"}
	says_with(f.transfer(1), two) == allowed
}

test_the_message_says_amount_and_limit if {
	some say in limits.reject with input as f.transfer(12000000000)
		with data.limits as f.limits
		with data.chains as f.chains
	say.message == "12000000000 base units are more than the limit of 10000 USDT_ETH a transaction"
}

test_asset_without_a_limit_is_rejected if {
	says(f.patch(f.transfer(1), "/tx/asset", "ETH")) == {"allow": set(), "reject": {"limit.missing"}}
	says(f.patch(f.transfer(1), "/tx/chain", "BTC")) == {"allow": set(), "reject": {"limit.missing"}}
}

test_unknown_amount_is_not_allowed if {
	says(json.remove(f.transfer(1), ["tx/amount_base"])).allow == set()
	says(f.transfer(null)).allow == set()
	says(f.transfer("1")).allow == set()
}

test_keygen_is_not_judged if says(f.keygen) == {"allow": set(), "reject": set()}

of_wallets := {"ETH": {"USDT_ETH": [
	{"max": "1", "max_base": 1000000, "approvals": [], "wallets": ["7"]},
	{"max": "2", "max_base": 2000000, "approvals": [], "wallets": ["8"], "vaults": ["1"]},
]}}

of(amount, wallet, vault) := json.patch(f.transfer(amount), [
	{"op": "add", "path": "/tx/wallet_id", "value": wallet},
	{"op": "add", "path": "/tx/vault_id", "value": vault},
])

missing := {"allow": set(), "reject": {"limit.missing"}}

test_limits_of_wallets_and_vaults if {
	says_with(of(1000000, "7", "1"), of_wallets) == allowed
	says_with(of(1000001, "7", "1"), of_wallets) == over
	says_with(of(2000000, "8", "1"), of_wallets) == allowed
	says_with(of(2000001, "8", "1"), of_wallets) == over
	says_with(of(1, "8", "2"), of_wallets) == missing
	says_with(of(1, "9", "1"), of_wallets) == missing
}

test_who_names_no_wallet_gets_the_limits_of_all if {
	says_with(of(1000001, "", ""), of_wallets) == over
	says_with(f.transfer(1000001), of_wallets) == over
	says_with(f.transfer(1000000), of_wallets) == allowed
}

test_limit_of_a_wallet_holds_beside_the_general_one if {
	both := {"ETH": {"USDT_ETH": array.concat(of_wallets.ETH.USDT_ETH, f.limits.ETH.USDT_ETH)}}
	says_with(of(1000001, "7", "1"), both) == over
	says_with(of(9000000, "9", "1"), both) == allowed
}
