# METADATA
# title: What others carry out by a message
# description: |
#   An owner's signature over a SafeTx has the Safe act, an ERC-3009 authorization has the token move. The rules for transactions
#   judge it, as if it were sent; these say that it is something that they can judge.
package countersign.rules.effect

import data.countersign.lib

transfer if {
	is_object(input.evidence.transfer)
	not calls
}

calls if input.call.declared != false

# METADATA
# title: The message moves one asset, or is a call that data.json contracts may allow
# labels:
#   id: message.effect
allow contains {"id": "message.effect"} if {
	lib.by_message
	transfer
}

# METADATA
# title: The message moves one asset, or is a call that data.json contracts may allow
# labels:
#   id: message.effect
allow contains {"id": "message.effect", "message": "a call: data.json contracts decides"} if {
	lib.by_message
	lib.call
}

# METADATA
# title: What the message would do is neither one transfer nor a call that data.json contracts may allow
# labels:
#   id: message.effect
reject contains {"id": "message.effect", "message": message} if {
	lib.by_message
	not transfer
	not lib.call
	message := sprintf(
		"what %q would do is no transfer of its own, and data.json contracts.%s cannot allow it: it is hidden, a DELEGATECALL, or none is listed",
		[input.tx.from, input.tx.chain],
	)
}
