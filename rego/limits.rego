# METADATA
# title: How much one transaction may move
package countersign.rules.limits

import data.countersign.lib

# METADATA
# title: The amount is within every limit
# labels:
#   id: limit.per_transaction
allow contains {"id": "limit.per_transaction"} if {
	count(lib.limits) > 0
	every limit in lib.limits {
		lib.amount <= limit.max_base
	}
}

# METADATA
# title: The amount is over a limit
# labels:
#   id: limit.per_transaction
reject contains {"id": "limit.per_transaction", "message": message} if {
	some limit in lib.limits
	lib.amount > limit.max_base
	message := sprintf(
		"%s base units are more than the limit of %s %s a transaction",
		[format_int(lib.amount, 10), limit.max, input.tx.asset],
	)
}

# METADATA
# title: There is no limit for the asset, so nothing may be moved of it
# labels:
#   id: limit.missing
reject contains {"id": "limit.missing", "message": message} if {
	count(lib.limits) == 0
	message := sprintf("data.json has no limits for %q on %q that hold for its wallet and vault", [input.tx.asset, input.tx.chain])
}
