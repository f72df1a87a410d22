# METADATA
# title: The transaction is one whose chain, asset, addresses and amounts are exact
package countersign.rules.transaction

import data.countersign.lib

# judged_elsewhere are the problems for which other rules reject.
judged_elsewhere := {"asset.unknown", "brc20.invalid", "runes.invalid"}

# METADATA
# title: Chain, asset, addresses and amounts are known exactly
# labels:
#   id: tx.invalid
allow contains {"id": "tx.invalid"} if {
	lib.kind == "transaction"
	input.tx.problems == []
	is_object(data.chains[input.tx.chain].assets[input.tx.asset])
	is_number(lib.amount)
	is_string(input.tx.to)
	input.tx.to != ""
	is_array(input.brc20) # tokens that are not there cannot be judged by the rules for tokens
	is_array(input.runes)
}

# METADATA
# title: An amount or an address is not well formed
# labels:
#   id: tx.invalid
reject contains {"id": "tx.invalid", "message": message} if {
	lib.kind == "transaction"
	some problem in input.tx.problems
	not problem.rule in judged_elsewhere
	message := sprintf("%s: %s", [problem.field, problem.message])
}

# METADATA
# title: The chain or the asset is not in data.json
# labels:
#   id: asset.unknown
reject contains {"id": "asset.unknown", "message": message} if {
	lib.kind == "transaction"
	some problem in input.tx.problems
	problem.rule == "asset.unknown"
	message := sprintf("%s: %s", [problem.field, problem.message])
}
