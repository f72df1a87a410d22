# METADATA
# title: Who may hold a new key together
# description: Keygen, refresh and reshare are judged by the same rules.
package countersign.rules.keygen

import data.countersign.lib

parties := input.request.party_ids

strangers contains party if {
	some party in parties
	not data.keygen.parties[party]
}

complete if {
	count(parties) == input.request.n
	count({party | some party in parties}) == input.request.n
}

scheme if {
	some scheme in data.keygen.schemes
	scheme.cryptography == input.request.cryptography
	scheme.t == input.request.t
	scheme.n == input.request.n
}

# METADATA
# title: Every party is in data.json keygen.parties
# labels:
#   id: keygen.parties
allow contains {"id": "keygen.parties"} if {
	lib.kind == "keygen"
	complete
	count(strangers) == 0
}

# METADATA
# title: A party is not in data.json keygen.parties
# labels:
#   id: keygen.parties
reject contains {"id": "keygen.parties", "message": message} if {
	lib.kind == "keygen"
	some party in strangers
	message := sprintf("party %q is not in data.json keygen.parties", [party])
}

# METADATA
# title: The parties are not n different ones
# labels:
#   id: keygen.parties
reject contains {"id": "keygen.parties", "message": message} if {
	lib.kind == "keygen"
	not complete
	message := sprintf("%d party ids stand for n = %d: each party is named once", [count(parties), input.request.n])
}

# METADATA
# title: Algorithm, t and n are one of data.json keygen.schemes
# labels:
#   id: keygen.scheme
allow contains {"id": "keygen.scheme"} if {
	lib.kind == "keygen"
	scheme
}

# METADATA
# title: Algorithm, t and n are not one of data.json keygen.schemes
# labels:
#   id: keygen.scheme
reject contains {"id": "keygen.scheme", "message": message} if {
	lib.kind == "keygen"
	not scheme
	message := sprintf(
		"%d of %d by %q is not one of data.json keygen.schemes",
		[input.request.t, input.request.n, input.request.cryptography],
	)
}
