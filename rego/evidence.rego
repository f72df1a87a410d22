# METADATA
# title: What is signed is what is claimed
package countersign.rules.evidence

import data.countersign.lib

verified if {
	input.evidence.status == "verified"
	input.evidence.differences == []
}

# let_through says that data.json takes the claim for this chain, this reason and this requester on trust.
let_through if {
	lib.kind == "transaction"
	input.evidence.status == "unverifiable"
	input.evidence.differences == []
	grant := data.evidence.unverifiable[input.tx.chain]
	count(input.evidence.codes) > 0
	every code in input.evidence.codes {
		code in grant.codes
	}
	input.evidence.code in grant.codes
	lib.granted(grant)
}

# METADATA
# title: The transaction or message was decoded and is what is claimed
# labels:
#   id: evidence.verified
allow contains {"id": "evidence.verified"} if verified

# METADATA
# title: The claim is taken on trust, as data.json evidence.unverifiable allows
# labels:
#   id: evidence.verified
allow contains {"id": "evidence.verified", "message": message} if {
	let_through
	message := sprintf("taken on trust (%s): data.json evidence.unverifiable allows it", [input.evidence.code])
}

# METADATA
# title: The transaction is a call that tx_info declares, which the rules for calls judge
# labels:
#   id: evidence.verified
allow contains {"id": "evidence.verified", "message": "a call that tx_info declares: data.json contracts decides"} if lib.call

# METADATA
# title: What is signed is not what is claimed
# labels:
#   id: evidence.mismatch
reject contains {"id": "evidence.mismatch", "message": message} if {
	some difference in input.evidence.differences
	message := sprintf("%s: %q is claimed, %q is signed", [difference.field, difference.claimed, difference.signed])
}

# METADATA
# title: What is signed is not what is claimed
# labels:
#   id: evidence.mismatch
reject contains {"id": "evidence.mismatch", "message": "what is signed is not what is claimed"} if {
	input.evidence.status == "mismatch"
	count(input.evidence.differences) == 0
}

# METADATA
# title: What is signed could not be checked
# labels:
#   id: evidence.unverifiable
reject contains {"id": "evidence.unverifiable", "message": message} if {
	lib.kind in {"transaction", "message"}
	input.evidence.status == "unverifiable"
	not let_through
	not lib.call
	message := sprintf("%s: %s", [input.evidence.code, input.evidence.reason])
}

# METADATA
# title: Nobody looked at what is signed
# labels:
#   id: evidence.unverifiable
reject contains {"id": "evidence.unverifiable", "message": "what is signed was not looked at"} if {
	lib.kind in {"transaction", "message"}
	input.evidence.status == ""
}
