package countersign.messages_test

import data.countersign.fixtures as f
import data.countersign.rules.messages

usdc := `["USD Coin","2","1","0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",null]`

router := "0xe592427a0aece92de3edee1f18e0157c05861564"

grants := {f.key: {
	"any_requester": true,
	"requesters": [],
	"text": [`\A(?:Sign in, nonce [0-9]{4})\z`, `\A(?:ping)\z`],
	"bytes": false,
	"typed_data": {"usdc": true},
}}

says(request) := says_with(request, grants)

says_with(request, data_messages) := got if {
	got := {"allow": f.ids(messages.allow), "reject": f.ids(messages.reject)} with input as request
		with data.messages as data_messages
		with data.typed_data as {
			usdc: {"name": "usdc", "primary_types": {"Permit": true, "Note": true}},
			"other": {"name": "other", "primary_types": {"Permit": true}},
		}
		with data.addresses as {}
		with data.permits as permits(false)
}

permits(unlimited) := {"ETH": {"USDC_ETH": {
	"spenders": {router: "router"},
	"max": "1000",
	"max_base": 1000000000,
	"unlimited": unlimited,
	"max_deadline_seconds": 3600,
}}}

proofs := {"message.content", "message.permit"}

allowed := {"allow": proofs, "reject": set()}

text(words) := f.message({"kind": "text", "text": words, "grants": false})

test_text_of_a_form_is_allowed if {
	says(text("Sign in, nonce 1234")) == allowed
	says(text("ping")) == allowed
}

# A pattern is about the whole text, lines included.
test_other_text_is_rejected if {
	every words in ["", "pong", "ping ", " ping", "ping\n", "x\nping", "PING", "Sign in, nonce 12345"] {
		says(text(words)) == {"allow": {"message.permit"}, "reject": {"message.content"}}
	}
}

test_bytes_take_a_permission_of_their_own if {
	request := f.message({"kind": "bytes", "text": "ping", "grants": false})
	says(request).reject == {"message.content"}
	says_with(request, {f.key: object.union(grants[f.key], {"bytes": true})}) == allowed
}

test_other_key_is_rejected if {
	says_with(text("ping"), {}).reject == {"message.content"}
	says_with(text("ping"), {"02": grants[f.key]}).reject == {"message.content"}
}

test_message_that_was_not_described_is_rejected if {
	got := says(f.patch(text("ping"), "/message", null))
	got == {"allow": set(), "reject": {"message.content"}}
}

permit := {
	"chain": "ETH",
	"asset": "USDC_ETH",
	"token": "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",
	"spender": router,
	"value_base": 1000000000,
	"unlimited": false,
	"deadline_unix": 1800003600,
}

typed(change) := f.message(object.union(
	{"kind": "typed_data", "domain": usdc, "primary_type": "Permit", "grants": true, "permits": [permit]},
	change,
))

with_permit(change) := typed({"permits": [object.union(permit, change)]})

test_permit_within_limits_is_allowed if {
	says(typed({})) == allowed
	says(with_permit({"value_base": 0, "deadline_unix": 0})) == allowed
}

test_typed_data_without_power_is_allowed if {
	says(typed({"primary_type": "Note", "grants": false, "permits": []})) == allowed
}

test_other_domain_or_type_is_rejected if {
	every change in [{"domain": "other"}, {"domain": "nobody"}, {"domain": ""}, {"primary_type": "Mail"}, {"primary_type": ""}] {
		says(typed(change)) == {"allow": {"message.permit"}, "reject": {"message.content"}}
	}
}

rejected(id) := {"allow": {"message.content"}, "reject": {id}}

test_permit_over_the_limit_is_rejected if {
	says(with_permit({"value_base": 1000000001})) == rejected("message.permit.max")
	says(with_permit({"value_base": null})) == rejected("message.permit.max")
	says(with_permit({"value_base": "1"})) == rejected("message.permit.max")
}

test_permit_without_a_limit_is_rejected if {
	every value in [115792089237316195423570985008687907853269984665640564039457584007913129639935, 5] {
		says(with_permit({"unlimited": true, "value_base": value})) == rejected("message.permit.unlimited")
	}
}

test_permit_without_a_limit_is_allowed_where_data_says_so if {
	got := f.ids(messages.reject) with input as with_permit({"unlimited": true})
		with data.messages as grants
		with data.typed_data as {usdc: {"name": "usdc", "primary_types": {"Permit": true}}}
		with data.permits as permits(true)
	got == set()
}

test_permit_that_does_not_say_whether_it_is_limited_is_not_allowed if {
	not "message.permit" in says(with_permit({"unlimited": null})).allow
}

test_other_spender_is_rejected if {
	every spender in ["0x000000000000000000000000000000000000dead", "", null] {
		says(with_permit({"spender": spender})) == rejected("message.permit.spender")
	}
}

test_permit_for_too_long_is_rejected if {
	every deadline in [1800003601, null, "1", 115792089237316195423570985008687907853269984665640564039457584007913129639935] {
		says(with_permit({"deadline_unix": deadline})) == rejected("message.permit.deadline")
	}
}

test_permit_of_another_token_is_rejected if {
	every change in [{"asset": "USDT_ETH"}, {"asset": "", "chain": ""}, {"chain": "BSC"}] {
		says(with_permit(change)) == rejected("message.permit.token")
	}
}

test_power_in_another_form_is_rejected if {
	says(typed({"permits": []})) == rejected("message.permit")
}

test_one_bad_permit_rejects if {
	two := typed({"permits": [permit, object.union(permit, {"spender": ""})]})
	says(two) == rejected("message.permit.spender")
}

# A message that says to grant nothing and yet lists a permit is held to it.
test_permits_count_whatever_the_message_says if {
	not "message.permit" in says(typed({"grants": false, "permits": [object.union(permit, {"spender": ""})]})).allow
	says(typed({"grants": null, "permits": []})).allow == {"message.content"}
}

test_transactions_are_not_judged if says(f.transfer(1)) == {"allow": set(), "reject": set()}

test_permission_for_bytes_is_for_bytes if {
	bytes := {f.key: {"any_requester": true, "requesters": [], "text": [], "bytes": true, "typed_data": {}}}
	says_with(text("ping"), bytes).reject == {"message.content"}
	says_with(typed({}), bytes).reject == {"message.content"}
}

# What a message is counts, not what else it says.
test_permission_for_typed_data_is_for_typed_data if {
	every kind in ["text", "bytes", "", null] {
		says(typed({"kind": kind, "text": "pong"})).reject == {"message.content"}
	}
}

test_permission_without_a_limit_is_for_what_has_none if {
	got := f.ids(messages.reject) with input as with_permit({"value_base": 1000000001})
		with data.messages as grants
		with data.typed_data as {usdc: {"name": "usdc", "primary_types": {"Permit": true}}}
		with data.permits as permits(true)
	got == {"message.permit.max"}
}

test_denied_spender_is_rejected if {
	request := f.message({"kind": "typed_data", "permits": [{"chain": "ETH", "asset": "USDC_ETH", "spender": router}]})
	some say in messages.reject with input as request with data.addresses as {"ETH": {"deny": {router: "stolen"}}}
	say.id == "message.permit.denied"
	count({id | some id in says(request).reject; id == "message.permit.denied"}) == 0
}
