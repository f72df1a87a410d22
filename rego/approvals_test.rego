package countersign.approvals_test

import data.countersign.fixtures as f
import data.countersign.rules.approvals

says(request, tiers) := got if {
	got := {
		"allow": f.ids(approvals.allow),
		"reject": f.ids(approvals.reject),
		"wait": approvals.wait,
	} with input as request
		with data.limits as f.limits_with(tiers)
		with data.groups as f.groups
		with data.chains as f.chains
}

large(list) := f.patch(f.transfer(6000000000), "/approvals", list)

allowed := {"allow": {"approval.required"}, "reject": set(), "wait": set()}

strict := object.union(f.tier, {"not_requester": true, "rejection_final": true})

strict_approval(approvers, rejecters) := object.union(f.approval(approvers), {
	"requirement": {"not_requester": true, "rejection_final": true},
	"rejected_by": rejecters,
})

test_small_amount_needs_none if {
	says(f.transfer(5000000000), [f.tier]) == allowed
	says(f.transfer(9000000000), []) == allowed
}

test_large_amount_waits_with_a_requirement if {
	got := says(large([]), [f.tier])
	got.allow == set()
	some say in got.wait
	say.seconds == 5
	say.requirement == object.remove(f.requirement, ["keys"])
}

test_quorum_approves if {
	says(large([f.approval(["alice", "bob"])]), [f.tier]) == allowed
	says(large([f.approval(["alice", "bob", "carol"])]), [f.tier]) == allowed
}

test_less_than_the_quorum_waits if {
	every approvers in [[], ["alice"], ["alice", "alice"], ["alice", "mallory"], ["alice", "k2"]] {
		got := says(large([f.approval(approvers)]), [f.tier])
		count(got.wait) == 1
		got.allow == set()
	}
}

test_approval_of_another_requirement_does_not_count if {
	changes := [["threshold", 1], ["group", "other"], ["group_revision", "r0"], ["rule", "x"], ["not_requester", true]]
	every change in changes {
		other := f.patch(f.approval(["alice", "bob"]), sprintf("/requirement/%s", [change[0]]), change[1])
		count(says(large([other]), [f.tier]).wait) == 1
	}
}

test_expired_approval_does_not_count if {
	expired := f.patch(f.approval(["alice", "bob"]), "/expires_unix", 1800000000)
	count(says(large([expired]), [f.tier]).wait) == 1
}

test_requester_does_not_approve_its_own if {
	count(says(large([strict_approval(["alice", "bob"], [])]), [strict]).wait) == 1
	says(large([strict_approval(["alice", "carol"], [])]), [strict]) == allowed
}

test_requester_that_is_not_known_is_rejected if {
	every requester in [null, {"key_id": ""}] {
		request := f.patch(large([strict_approval(["alice", "carol"], [])]), "/requester", requester)
		got := says(request, [strict])
		got.reject == {"approval.requester_unknown"}
		got.allow == set()
	}
}

test_final_rejection_rejects if {
	got := says(large([strict_approval(["alice", "carol"], ["bob"])]), [strict])
	got.reject == {"approval.rejected"}
}

test_rejection_that_is_not_final_only_does_not_count if {
	rejected := f.patch(f.approval(["alice", "bob"]), "/rejected_by", ["bob"])
	got := says(large([rejected]), [f.tier])
	got.reject == set()
	count(got.wait) == 1
}

test_rejection_by_a_stranger_means_nothing if {
	says(large([strict_approval(["alice", "carol"], ["mallory"])]), [strict]).reject == set()
}

test_the_highest_tier_that_is_passed_asks if {
	high := object.union(f.tier, {"above": "8000", "above_base": 8000000000, "threshold": 3})
	some say in says(f.transfer(9000000000), [f.tier, high]).wait
	say.requirement.threshold == 3
	some lower in says(f.transfer(7000000000), [f.tier, high]).wait
	lower.requirement.threshold == 2
}

test_unknown_amount_is_not_allowed if {
	every amount in [null, "1"] {
		says(f.transfer(amount), [f.tier]).allow == set()
	}
}

token_tier := object.union(f.tier, {
	"above": "10",
	"above_base": 10,
	"threshold": 1,
	"expiry_seconds": 60,
	"wait_seconds": 2,
	"rejection_final": true,
})

tokens(total) := json.patch(f.transfer(6000000000), [
	{"op": "add", "path": "/brc20/-", "value": {"ticker": "ordi", "method": "transfer", "total_base": total}},
	{"op": "add", "path": "/runes/-", "value": {"id": "1:1", "total_base": total}},
])

waits(request, native, brc20, rune) := got if {
	got := approvals.wait with input as request
		with data.limits as f.limits_with(native)
		with data.groups as {"treasury": f.groups.treasury, "desk": f.groups.treasury}
		with data.chains as f.chains
		with data.brc20 as {"ETH": {"ordi": {"methods": {"transfer": {"approvals": brc20}}}}}
		with data.runes as {"ETH": {"1:1": {"spaced_name": "A•B", "approvals": rune}}}
}

test_tokens_ask_as_amounts_do if {
	every tiers in [[[], [token_tier], []], [[], [], [token_tier]]] {
		some say in waits(tokens(11), tiers[0], tiers[1], tiers[2])
		say.requirement.threshold == 1
		count(waits(tokens(10), tiers[0], tiers[1], tiers[2])) == 0
		count(waits(tokens(null), tiers[0], tiers[1], tiers[2])) == 0
		count(waits(tokens("11"), tiers[0], tiers[1], tiers[2])) == 0
	}
}

test_tokens_of_raw_data_ask_nobody if {
	raw := f.patch(tokens(11), "/request/sign_type", "3")
	count(waits(raw, [f.tier], [token_tier], [token_tier])) == 0
}

# One group is asked once, for what satisfies every limit.
test_limits_that_ask_one_group_ask_it_together if {
	says := waits(tokens(11), [f.tier], [token_tier], [object.union(token_tier, {"not_requester": true})])
	count(says) == 1
	some say in says
	say.seconds == 2
	startswith(say.message, "above 10 A•B and 10 ordi and 5000 USDT_ETH it takes 2 approvals of group treasury")
	say.requirement == {
		"rule": "approval.required",
		"group": "treasury",
		"group_revision": "r1",
		"threshold": 2,
		"expiry_seconds": 60,
		"not_requester": true,
		"rejection_final": true,
	}
}

test_limits_that_ask_two_groups_ask_both if {
	says := waits(tokens(11), [f.tier], [object.union(token_tier, {"group": "desk"})], [])
	{say.requirement.group | some say in says} == {"treasury", "desk"}
}

# A tier that does not say that the requester may approve forbids it.
test_tier_that_does_not_say_is_strict if {
	loose := object.remove(f.tier, ["not_requester", "rejection_final"])
	some say in waits(tokens(1), [loose], [], [])
	say.requirement.not_requester == true
	say.requirement.rejection_final == true
}

window_waits(request, after) := got if {
	got := approvals.wait with input as f.patch(request, "/windows/daily", {"used": 0, "reserved": 0, "after": after})
		with data.limits as f.limits_with([])
		with data.groups as f.groups
		with data.chains as f.chains
		with data.windows as {"daily": {
			"kinds": ["transaction", "raw"],
			"chain": "",
			"asset": "",
			"max": "20",
			"max_base": 20,
			"approvals": [token_tier],
		}}
}

test_window_asks_beyond_its_tier if {
	raw := f.patch(f.empty, "/request/sign_type", "3")
	every request in [f.transfer(1), raw] {
		count(window_waits(request, 10)) == 0
		some say in window_waits(request, 11)
		startswith(say.message, "above 10 in window daily it takes 1 approval of group treasury")
	}
	count(window_waits(f.message({}), 11)) == 0
	count(window_waits(f.transfer(1), "11")) == 0
}
