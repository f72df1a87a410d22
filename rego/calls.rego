# METADATA
# title: What a transaction may call, and what power over tokens it may give
# description: |
#   What is signed is verified where it is one transfer. Any other call is approved by these lists only, and only if tx_info
#   declares it: lib.call. Power over tokens is judged whatever the transaction is.
package countersign.rules.calls

import data.countersign.lib

require contains id if {
	lib.call
	some id in {"call.method", "call.movement"}
}

# wrapped says that verified evidence found the transfer inside of other calls: what the outer contract does with them is known
# only of contracts that are listed.
wrapped if {
	lib.kind == "transaction"
	not lib.call
	count(input.call.steps) > 1
}

require contains "call.method" if wrapped

judged if lib.call

judged if wrapped

method(step) if {
	step.delegate == false
	is_string(data.contracts[input.tx.chain][step.contract].methods[step.selector])
}

# METADATA
# title: Every contract and method that is called is one that data.json contracts lists
# labels:
#   id: call.method
allow contains {"id": "call.method"} if {
	judged
	count(input.call.steps) > 0
	every step in input.call.steps {
		method(step)
	}
}

# METADATA
# title: A contract or method that is called is not one that data.json contracts lists
# labels:
#   id: call.method
reject contains {"id": "call.method", "message": message} if {
	judged
	some step in input.call.steps
	not method(step)
	message := sprintf(
		"%q of contract %q is not on data.json contracts.%s, or is called by DELEGATECALL",
		[concat(" ", [step.selector, step.method]), step.contract, input.tx.chain],
	)
}

# The coins that the transaction itself takes along are its amount, which limits hold for.
own(movement) if {
	movement.kind == "native"
	movement.to == input.tx.to
	movement.amount_base == input.tx.amount_base
}

# nft says that a token with an id is one that data.json nfts lets move, and to whom it does.
nft(movement) if {
	listed := data.nfts[input.tx.chain][movement.contract]
	listed.kind == movement.kind
	is_string(listed.recipients[movement.to])
	is_number(movement.amount_base)
	movement.amount_base <= listed.max_base
	id(listed, movement)
}

id(listed, movement) if {
	listed.any_id == true
	is_string(movement.token_id)
}

id(listed, movement) if listed.ids[movement.token_id] == true

others := [movement | some movement in input.call.movements; not own(movement); not nft(movement)]

owned := [movement | some movement in input.call.movements; own(movement)]

# METADATA
# title: The call moves nothing but its own coins, as far as is known
# labels:
#   id: call.movement
allow contains {"id": "call.movement"} if {
	lib.call
	is_array(input.call.movements)
	count(others) == 0
	count(owned) < 2
}

# METADATA
# title: The call moves assets that no limit was held to
# labels:
#   id: call.movement
reject contains {"id": "call.movement", "message": message} if {
	lib.call
	some movement in array.concat(others, array.slice(owned, 1, count(owned)))
	message := sprintf(
		"the call moves %s %s to %q, which limits do not see: send it as a transfer of its own, or list it in data.json nfts if it has an id",
		[movement.kind, movement.contract, movement.to],
	)
}

granted(grant) if grant.revoke == true

granted(grant) if {
	grant.change == "set"
	limits := data.allowances[input.tx.chain][grant.asset]
	is_string(limits.spenders[grant.spender])
	within(grant, limits)
}

within(grant, limits) if {
	grant.unlimited == false
	is_number(grant.amount_base)
	grant.amount_base <= limits.max_base
}

within(grant, limits) if {
	grant.unlimited == true
	limits.unlimited == true
}

# METADATA
# title: Whatever power over tokens the transaction gives, data.json allowances allows it
# labels:
#   id: call.allowance
allow contains {"id": "call.allowance"} if {
	lib.kind == "transaction"
	is_null(input.call)
}

# METADATA
# title: Whatever power over tokens the transaction gives, data.json allowances allows it
# labels:
#   id: call.allowance
allow contains {"id": "call.allowance"} if {
	lib.kind == "transaction"
	is_array(input.call.approvals)
	every grant in input.call.approvals {
		granted(grant)
	}
}

# METADATA
# title: The transaction gives power over tokens that data.json allowances does not allow
# labels:
#   id: call.allowance
reject contains {"id": "call.allowance", "message": message} if {
	lib.kind == "transaction"
	some grant in input.call.approvals
	not hashed(grant)
	not granted(grant)
	message := sprintf(
		"%s gives %q power over %s (%s): data.json allowances.%s has to name token and spender, with a max that it is within",
		[grant.kind, grant.spender, token(grant), extent(grant), input.tx.chain],
	)
}

# METADATA
# title: The transaction agrees to one of a Safe of which it shows only the hash
# labels:
#   id: call.allowance
reject contains {"id": "call.allowance", "message": message} if {
	lib.kind == "transaction"
	some grant in input.call.approvals
	hashed(grant)
	message := "approveHash agrees to a Safe's transaction that nobody sees here: sign it as SafeTx, or send it by execTransaction"
}

hashed(grant) if grant.kind == "hash"

token(grant) := grant.asset if grant.asset != ""

else := sprintf("token %q", [grant.token])

extent(grant) := "without a limit" if grant.unlimited == true

else := "an increase, which does not say what it comes to" if grant.change == "increase"

else := sprintf("%v base units", [object.get(grant, "amount_base", "an unknown number of")])
