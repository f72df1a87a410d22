package countersign.windows_test

import data.countersign.fixtures as f
import data.countersign.rules.windows

rules := {
	"day": {"kinds": ["transaction"], "chain": "ETH", "asset": "USDT_ETH", "token": "", "max": "1000", "max_base": 1000000000},
	"count": {"kinds": ["transaction", "message", "raw"], "chain": "", "asset": "", "token": "", "max": "5", "max_base": 5},
	"other": {"kinds": ["transaction"], "chain": "BTC", "asset": "", "token": "", "max": "0", "max_base": 0},
}

state(after) := {"used": 0, "reserved": 0, "after": after}

says(request, day, number) := got if {
	request_with := object.union(request, {"windows": {"day": state(day), "count": state(number)}})
	got := {"allow": f.ids(windows.allow), "reject": f.ids(windows.reject)} with input as request_with
		with data.windows as rules
}

allowed := {"allow": {"window.max"}, "reject": set()}

over := {"allow": set(), "reject": {"window.max"}}

test_up_to_the_maximum_is_allowed if says(f.transfer(1), 1000000000, 5) == allowed

test_beyond_the_maximum_is_rejected if {
	says(f.transfer(1), 1000000001, 5) == over
	says(f.transfer(1), 1000000000, 6) == over
	says(f.transfer(1), 1000000000000000000000000000000000001, 1) == over
}

test_windows_of_other_chains_assets_and_kinds_do_not_count if {
	says(f.patch(f.transfer(1), "/tx/asset", "USDC_ETH"), 1000000001, 5) == allowed
	says(f.patch(f.transfer(1), "/request/sign_type", "3"), 1000000001, 5) == allowed
	says(f.patch(f.transfer(1), "/request/sign_type", "3"), 0, 6) == over
}

test_a_window_without_a_state_is_not_allowed if {
	windows.allow == set() with input as f.transfer(1) with data.windows as rules
	says(f.transfer(1), null, 5).allow == set()
	says(f.transfer(1), "1", 5).allow == set()
}

test_without_windows_all_is_allowed if {
	f.ids(windows.allow) == {"window.max"} with input as f.transfer(1) with data.windows as {}
}

test_the_message_says_window_and_maximum if {
	some say in windows.reject with input as object.union(f.transfer(1), {"windows": {"day": state(1000000001), "count": state(1)}})
		with data.windows as rules
	say.message == "window day would come to 1000000001, and its maximum is 1000000000 (1000)"
}

test_a_missing_scope_is_rejected_under_its_own_rule if {
	problem := {"rule": "window.scope", "field": "wallet", "message": "is missing, and window day counts by it"}
	some say in windows.reject with input as object.union(f.transfer(1), {"problems": [problem]}) with data.windows as {}
	say == {"id": "window.scope", "message": "wallet: is missing, and window day counts by it"}
}

token_rules := {
	"ordi": {"kinds": ["transaction"], "chain": "BTC", "asset": "ordi", "token": "brc20", "max": "1", "max_base": 10},
	"rune": {"kinds": ["transaction"], "chain": "BTC", "asset": "5:5", "token": "runes", "max": "1", "max_base": 10},
}

counts(request, rules) := got if {
	got := windows.counted with input as request with data.windows as rules
}

test_windows_of_tokens_count_what_moves_them if {
	counts(f.payment(22000), token_rules) == set()
	counts(f.patch(f.payment(22000), "/brc20", [{"ticker": "sats"}, {"ticker": "ordi"}]), token_rules) == {"ordi"}
	counts(f.patch(f.payment(22000), "/runes", [{"id": "5:6"}, {"id": "5:5"}]), token_rules) == {"rune"}
	counts(f.patch(f.transfer(1), "/runes", [{"id": "5:5"}]), token_rules) == set()
}

# A ticker and an asset of the chain are told apart, also where they are spelled alike.
test_a_token_is_no_asset if {
	counts(f.patch(f.payment(22000), "/tx/asset", "ordi"), token_rules) == set()
	asset := {"w": {"kinds": ["transaction"], "chain": "BTC", "asset": "ordi", "token": "", "max": "1", "max_base": 10}}
	counts(f.patch(f.payment(22000), "/brc20", [{"ticker": "ordi"}]), asset) == set()
}

test_tokens_beyond_the_maximum_are_rejected if {
	request := f.patch(f.payment(22000), "/runes", [{"id": "5:5"}])
	over_by(11, request) == {"window.max"}
	over_by(10, request) == set()
	windows.allow == set() with input as request with data.windows as token_rules
}

over_by(after, request) := got if {
	request_with := object.union(request, {"windows": {"rune": state(after)}})
	got := f.ids(windows.reject) with input as request_with with data.windows as token_rules
}

session_rules := {
	"keys": {"kinds": ["keygen"], "chain": "", "asset": "", "token": "", "max": "1", "max_base": 1},
	"nonces": {"kinds": ["pre_sign", "raw"], "chain": "", "asset": "", "token": "", "max": "1", "max_base": 1},
}

test_sessions_are_counted_by_their_kind if {
	counts(f.keygen, session_rules) == {"keys"}
	counts(f.patch(f.keygen, "/request/request_type", "reshare"), session_rules) == {"keys"}
	counts(f.patch(f.empty, "/request/request_type", "pre-sign"), session_rules) == {"nonces"}
	counts(f.transfer(1), session_rules) == set()
}
