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
