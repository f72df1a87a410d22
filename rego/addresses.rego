# METADATA
# title: Where value may go
# description: Lists are objects keyed by the canonical address, so that 10 000 entries cost one look-up.
package countersign.rules.addresses

import data.countersign.lib

lists := data.addresses[input.tx.chain] if lib.kind == "transaction"

denied contains input.tx.to if is_string(lists.deny[input.tx.to])

denied contains input.tx.from if is_string(lists.deny[input.tx.from])

denied contains output.address if {
	some output in input.utxo.outputs
	is_string(lists.deny[output.address])
}

denied contains address if {
	some address in array.concat(
		[step.contract | some step in input.call.steps],
		array.concat([grant.spender | some grant in input.call.approvals], [movement.to | some movement in input.call.movements]),
	)
	is_string(lists.deny[address])
}

listed if {
	lib.call
	is_object(data.contracts[input.tx.chain][input.tx.to])
}

listed if lists.allow_any == true

listed if is_string(lists.allow[input.tx.to])

listed if is_string(lists.own[input.tx.to])

# METADATA
# title: The recipient is one that data.json addresses allows
# labels:
#   id: address.listed
allow contains {"id": "address.listed"} if {
	is_string(input.tx.to)
	input.tx.to != ""
	listed
}

# METADATA
# title: The recipient is not one that data.json addresses allows
# labels:
#   id: address.listed
reject contains {"id": "address.listed", "message": message} if {
	lib.kind == "transaction"
	not listed
	message := sprintf("recipient %q is not on data.json addresses.%s.allow", [input.tx.to, input.tx.chain])
}

# METADATA
# title: An address of the transaction is denied
# labels:
#   id: address.denied
reject contains {"id": "address.denied", "message": message} if {
	some address in denied
	message := sprintf("address %q is denied: %s", [address, lists.deny[address]])
}
