package countersign.evidence_test

import data.countersign.fixtures as f
import data.countersign.rules.evidence

no_grants := {"unverifiable": {}}

grants := {"unverifiable": {"ETH": {"codes": ["no-raw-tx"], "any_requester": false, "requesters": ["ops"]}}}

says(request, data_evidence) := got if {
	got := {"allow": f.ids(evidence.allow), "reject": f.ids(evidence.reject)} with input as request
		with data.evidence as data_evidence
}

with_status(status, code) := json.patch(f.transfer(1), [
	{"op": "replace", "path": "/evidence/status", "value": status},
	{"op": "replace", "path": "/evidence/code", "value": code},
	{"op": "replace", "path": "/evidence/codes", "value": [code]},
])

test_verified_is_allowed if {
	says(f.transfer(1), no_grants) == {"allow": {"evidence.verified"}, "reject": set()}
}

difference := {"field": "to", "claimed": "0xaa", "signed": "0xbb"}

test_mismatch_is_rejected_and_names_the_field if {
	request := f.patch(with_status("mismatch", "differs"), "/evidence/differences", [difference])
	says(request, grants) == {"allow": set(), "reject": {"evidence.mismatch"}}
	some say in evidence.reject with input as request
	startswith(say.message, "to: ")
}

test_mismatch_without_differences_is_rejected if {
	says(with_status("mismatch", "differs"), grants) == {"allow": set(), "reject": {"evidence.mismatch"}}
}

# Differences speak louder than the status.
test_differences_reject_whatever_the_status if {
	every status in ["verified", "unverifiable", ""] {
		request := f.patch(with_status(status, "no-raw-tx"), "/evidence/differences", [difference])
		got := says(request, grants)
		got.allow == set()
		"evidence.mismatch" in got.reject
	}
}

test_mismatch_rejects_keygen_too if {
	request := f.patch(f.keygen, "/evidence/differences", [difference])
	"evidence.mismatch" in says(request, no_grants).reject
}

test_unverifiable_is_rejected if {
	says(with_status("unverifiable", "no-raw-tx"), no_grants) == {"allow": set(), "reject": {"evidence.unverifiable"}}
}

test_unverifiable_is_let_through_where_data_says_so if {
	says(with_status("unverifiable", "no-raw-tx"), grants) == {"allow": {"evidence.verified"}, "reject": set()}
}

test_unverifiable_for_another_reason_is_rejected if {
	says(with_status("unverifiable", "unknown-call"), grants).reject == {"evidence.unverifiable"}
}

test_unverifiable_of_another_requester_is_rejected if {
	every requester in [null, {"key_id": "eve"}, {"key_id": ""}] {
		request := f.patch(with_status("unverifiable", "no-raw-tx"), "/requester", requester)
		says(request, grants).reject == {"evidence.unverifiable"}
	}
}

test_unverifiable_on_another_chain_is_rejected if {
	request := f.patch(with_status("unverifiable", "no-raw-tx"), "/tx/chain", "BTC")
	says(request, grants).reject == {"evidence.unverifiable"}
}

test_unchecked_is_rejected if says(with_status("", ""), grants).reject == {"evidence.unverifiable"}

test_message_that_cannot_be_read_is_rejected if {
	request := json.patch(f.empty, [
		{"op": "replace", "path": "/request/sign_type", "value": "2"},
		{"op": "replace", "path": "/evidence/status", "value": "unverifiable"},
		{"op": "replace", "path": "/evidence/code", "value": "no-raw-tx"},
	])
	says(request, grants).reject == {"evidence.unverifiable"}
}

# Who takes one gap on trust does not take another that stands beside it.
test_every_code_has_to_be_let_through if {
	both := f.patch(with_status("unverifiable", "no-raw-tx"), "/evidence/codes", ["no-raw-tx", "unproven-inputs"])
	says(both, grants) == {"allow": set(), "reject": {"evidence.unverifiable"}}
	none := f.patch(with_status("unverifiable", "no-raw-tx"), "/evidence/codes", [])
	says(none, grants) == {"allow": set(), "reject": {"evidence.unverifiable"}}
}
