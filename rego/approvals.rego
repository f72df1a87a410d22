# METADATA
# title: What needs people's approval
package countersign.rules.approvals

import data.countersign.lib
import data.countersign.rules.windows

# In every limit, the highest tier that the amount is above asks for approval; data.json lists tiers in rising order.
passed contains {"asset": input.tx.asset, "tier": tier} if {
	some limit in lib.limits
	tier := highest(limit, lib.amount)
}

passed contains {"asset": entry.ticker, "tier": tier} if {
	lib.kind == "transaction"
	some entry in input.brc20
	is_number(entry.total_base)
	tier := highest(data.brc20[input.tx.chain][entry.ticker].methods[entry.method], entry.total_base)
}

passed contains {"asset": rune.spaced_name, "tier": tier} if {
	lib.kind == "transaction"
	some entry in input.runes
	is_number(entry.total_base)
	rune := data.runes[input.tx.chain][entry.id]
	tier := highest(rune, entry.total_base)
}

passed contains {"asset": sprintf("in window %s", [id]), "tier": tier} if {
	some id in windows.counted
	is_number(input.windows[id].after)
	tier := highest(data.windows[id], input.windows[id].after)
}

highest(limit, amount) := tier if {
	tiers := [t | some t in limit.approvals; amount > t.above_base]
	tier := tiers[count(tiers) - 1]
}

# Where several limits ask one group, it is asked once, for what satisfies all of them: two requirements of one group would
# each make the other's approval void.
tiers contains tier if {
	some group in {p.tier.group | some p in passed}
	asked := [p | some p in passed; p.tier.group == group]
	tier := {
		"above": concat(" and ", sort([sprintf("%s %s", [p.tier.above, p.asset]) | some p in asked])),
		"group": group,
		"threshold": max([p.tier.threshold | some p in asked]),
		"expiry_seconds": min([p.tier.expiry_seconds | some p in asked]),
		"wait_seconds": min([p.tier.wait_seconds | some p in asked]),
		"not_requester": strict(asked, "not_requester"),
		"rejection_final": strict(asked, "rejection_final"),
	}
}

# strict is false only where every tier says false.
strict(asked, key) := count([p | some p in asked; p.tier[key] == false]) != count(asked)

requirement(tier) := {
	"rule": "approval.required",
	"group": tier.group,
	"group_revision": data.groups[tier.group].revision,
	"threshold": tier.threshold,
	"expiry_seconds": tier.expiry_seconds,
	"not_requester": tier.not_requester,
	"rejection_final": tier.rejection_final,
}

# An approval counts for the requirement it was given for, as it is now, until it expires.
approvals(tier) := [approval |
	some approval in input.approvals
	object.subset(approval.requirement, requirement(tier))
	input.now.unix < approval.expires_unix
]

rejecters(tier) := {name |
	some approval in approvals(tier)
	some name in approval.rejected_by
	data.groups[tier.group].members[name]
}

approvers(tier) := {name |
	some approval in approvals(tier)
	some name in approval.approved_by
	data.groups[tier.group].members[name]
	not own(tier, name)
} - rejecters(tier)

# own says that an approver would approve its own request, where the tier forbids that.
own(tier, name) if {
	tier.not_requester != false
	lib.requester in data.groups[tier.group].members[name]
}

nobody_known(tier) if {
	tier.not_requester != false
	not lib.requester
}

satisfied(tier) if {
	not nobody_known(tier)
	count(approvers(tier)) >= tier.threshold
}

# METADATA
# title: No approval is needed
# labels:
#   id: approval.required
allow contains {"id": "approval.required", "message": "no approval is needed"} if {
	count(lib.limits) > 0
	is_number(lib.amount)
	count(tiers) == 0
}

# METADATA
# title: The approval that is needed was given
# labels:
#   id: approval.required
allow contains {"id": "approval.required", "message": message} if {
	count(tiers) > 0
	every tier in tiers {
		satisfied(tier)
	}
	names := {name | some tier in tiers; some name in approvers(tier)}
	message := sprintf("approved by %s", [concat(", ", sort(names))])
}

# METADATA
# title: Approval is needed
# labels:
#   id: approval.required
wait contains {
	"id": "approval.required",
	"message": message,
	"seconds": tier.wait_seconds,
	"requirement": requirement(tier),
} if {
	some tier in tiers
	not satisfied(tier)
	message := sprintf(
		"above %s it takes %s of group %s; %d so far",
		[tier.above, number_of_approvals(tier.threshold), tier.group, count(approvers(tier))],
	)
}

number_of_approvals(1) := "1 approval"

number_of_approvals(n) := sprintf("%d approvals", [n]) if n != 1

# METADATA
# title: An approver rejected it
# labels:
#   id: approval.rejected
reject contains {"id": "approval.rejected", "message": message} if {
	some tier in tiers
	tier.rejection_final != false
	names := rejecters(tier)
	count(names) > 0
	message := sprintf("rejected by %s of group %s", [concat(", ", sort(names)), tier.group])
}

# METADATA
# title: Nobody may approve its own request, but who asks is not known
# labels:
#   id: approval.requester_unknown
reject contains {"id": "approval.requester_unknown", "message": message} if {
	some tier in tiers
	nobody_known(tier)
	message := sprintf("a requester may not approve its own request (group %s), and no requester is known", [tier.group])
}
