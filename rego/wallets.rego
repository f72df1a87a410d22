# METADATA
# title: Whose key and path a request is for
# description: walletId and vaultId are claims, which the signature does not hold. data.json binds them to keys and paths.
package countersign.rules.wallets

import data.countersign.lib

claims := {"wallet": lib.wallet, "vault": lib.vault} if lib.kind == "transaction"

bound := {"wallet": data.wallets, "vault": data.vaults}

path := "m" if input.request.path == ""

path := input.request.path if input.request.path != ""

# own is whose the key and path are. A path has one owner at most: data.json is refused otherwise.
own[what] := id if {
	some what, list in bound
	id := list.keys[input.request.public_key].paths[path]
}

own[what] := id if {
	some what, list in bound
	index := list.keys[input.request.public_key]
	not index.paths[path]
	parts := split(path, "/")
	some n in numbers.range(1, count(parts) - 1)
	id := index.under[concat("/", array.slice(parts, 0, n))]
}

# METADATA
# title: The wallet or vault that the request names is bound to other keys or paths
# labels:
#   id: wallet.bound
reject contains {"id": "wallet.bound", "message": message} if {
	some what, claim in claims
	bound[what].ids[claim]
	object.get(own, what, null) != claim
	message := sprintf("%s %q does not own path %s of key %q in data.json %ss", [what, claim, path, input.request.public_key, what])
}

# METADATA
# title: The key and path are bound to another wallet or vault than the request names
# labels:
#   id: wallet.bound
reject contains {"id": "wallet.bound", "message": message} if {
	some what, claim in claims
	own[what] != claim
	message := sprintf("path %s of key %q is that of %s %q, and the request names %q", [path, input.request.public_key, what, own[what], claim])
}

# METADATA
# title: The wallet or vault that the request names is not bound, where others are
# labels:
#   id: wallet.bound
reject contains {"id": "wallet.bound", "message": message} if {
	data.unbound_wallets != true
	some what, claim in claims
	claim != ""
	count(bound[what].ids) > 0
	not bound[what].ids[claim]
	message := sprintf("%s %q is not in data.json %ss, which binds others", [what, claim, what])
}
