# METADATA
# title: The decision
# description: |
#   Collects what the packages countersign.rules.<name> say. The engine merges it: any reject rejects; an id in require
#   that is neither among those of allow nor among those of wait rejects, and so does an empty require; then any wait
#   waits; what is left is approved.
package countersign

import data.countersign.lib

decision := {
	"allow": allow,
	"reject": reject,
	"wait": wait,
	"require": require,
}

# What has to be proven, by kind of request. A rule that is silent because of a missing field therefore rejects.
proofs := {
	"keygen": {"request.type", "hours.open", "keygen.parties", "keygen.scheme", "window.max"},
	"pre_sign": {"request.type", "hours.open", "pre_sign.key", "window.max"},
	"transaction": {
		"request.type",
		"hours.open",
		"tx.invalid",
		"evidence.verified",
		"address.listed",
		"limit.per_transaction",
		"window.max",
		"approval.required",
		"call.allowance",
		"gas.max",
		"gas.fee_share",
	},
	"message": {
		"request.type",
		"hours.open",
		"evidence.verified",
		"message.key",
		"message.content",
		"message.permit",
		"window.max",
	},
	"raw": {"request.type", "hours.open", "raw.key", "window.max"},
}

require contains id if some id in proofs[lib.kind]

require contains id if {
	lib.by_message
	some id in proofs.message
}

require contains "message.effect" if lib.by_message

require contains id if {
	some name
	some id in data.countersign.rules[name].require
}

allow contains say if {
	some name
	some say in data.countersign.rules[name].allow
}

reject contains say if {
	some name
	some say in data.countersign.rules[name].reject
}

wait contains say if {
	some name
	some say in data.countersign.rules[name].wait
}
