# METADATA
# title: What may be done with BRC-20 tokens
# description: Every entry of brc20Details is judged. A ticker that data.json brc20 does not name may not be touched.
package countersign.rules.brc20

import data.countersign.lib

# Rules begin with input.tx.family, by which OPA's index leaves them out for other requests; what is required does not, so that
# nothing is lost with it.

entries := input.brc20 if lib.kind == "transaction"

require contains id if {
	count(entries) > 0
	some id in {"brc20.invalid", "brc20.ticker", "brc20.method", "brc20.step", "brc20.limit.max", "brc20.from", "brc20.to"}
}

token(entry) := data.brc20[input.tx.chain][entry.ticker]

method(entry) := token(entry).methods[entry.method]

# A function of its own, since a built-in that is given an undefined value makes even its negation undefined.
known(entry) if is_number(entry.total_base)

malformed contains message if {
	entries
	some problem in input.tx.problems
	problem.rule == "brc20.invalid"
	message := sprintf("%s: %s", [problem.field, problem.message])
}

malformed contains message if {
	some entry in entries
	not known(entry)
	message := sprintf("the quantity of %q is not known", [entry.ticker])
}

# An inscription that is moved has been made before, so it has an id.
malformed contains message if {
	some entry in entries
	entry.method == "transfer"
	entry.step == 3
	entry.inscription_id == ""
	message := "a transfer's step 3 moves an inscription: inscriptionId is missing"
}

# METADATA
# title: Tickers, quantities and inscription ids are well formed
# labels:
#   id: brc20.invalid
allow contains {"id": "brc20.invalid"} if {
	input.tx.family == "utxo"
	count(entries) > 0
	count(malformed) == 0
}

# METADATA
# title: A ticker, a quantity or an inscription id is not well formed
# labels:
#   id: brc20.invalid
reject contains {"id": "brc20.invalid", "message": message} if {
	input.tx.family == "utxo"
	some message in malformed
}

# METADATA
# title: data.json brc20 names every ticker
# labels:
#   id: brc20.ticker
allow contains {"id": "brc20.ticker"} if {
	input.tx.family == "utxo"
	count(entries) > 0
	every entry in entries {
		token(entry)
	}
}

# METADATA
# title: data.json brc20 does not name a ticker
# labels:
#   id: brc20.ticker
reject contains {"id": "brc20.ticker", "message": message} if {
	input.tx.family == "utxo"
	some entry in entries
	not token(entry)
	message := sprintf("data.json brc20.%s does not name %q", [input.tx.chain, entry.ticker])
}

# METADATA
# title: data.json brc20 allows every method
# labels:
#   id: brc20.method
allow contains {"id": "brc20.method"} if {
	input.tx.family == "utxo"
	count(entries) > 0
	every entry in entries {
		method(entry)
	}
}

# METADATA
# title: data.json brc20 does not allow a method
# labels:
#   id: brc20.method
reject contains {"id": "brc20.method", "message": message} if {
	input.tx.family == "utxo"
	some entry in entries
	token(entry)
	not method(entry)
	message := sprintf("data.json brc20 does not allow %q of %q", [entry.method, entry.ticker])
}

# METADATA
# title: data.json brc20 allows every step
# labels:
#   id: brc20.step
allow contains {"id": "brc20.step"} if {
	input.tx.family == "utxo"
	count(entries) > 0
	every entry in entries {
		entry.step in method(entry).steps
	}
}

# METADATA
# title: data.json brc20 does not allow a step
# labels:
#   id: brc20.step
reject contains {"id": "brc20.step", "message": message} if {
	input.tx.family == "utxo"
	some entry in entries
	method(entry)
	not entry.step in method(entry).steps
	message := sprintf("data.json brc20 does not allow step %d of %s %q", [entry.step, entry.method, entry.ticker])
}

# METADATA
# title: Every quantity is within its limit
# labels:
#   id: brc20.limit.max
allow contains {"id": "brc20.limit.max"} if {
	input.tx.family == "utxo"
	count(entries) > 0
	every entry in entries {
		known(entry)
		entry.total_base <= method(entry).max_base
	}
}

# METADATA
# title: A quantity is over its limit
# labels:
#   id: brc20.limit.max
reject contains {"id": "brc20.limit.max", "message": message} if {
	input.tx.family == "utxo"
	some entry in entries
	entry.total_base > method(entry).max_base
	message := sprintf(
		"%s of %q: %v, in base units, are more than the limit of %s",
		[entry.method, entry.ticker, entry.total_base, method(entry).max],
	)
}

# METADATA
# title: Tokens come from own addresses
# labels:
#   id: brc20.from
allow contains {"id": "brc20.from"} if {
	input.tx.family == "utxo"
	count(entries) > 0
	every entry in entries {
		lib.own(entry.from)
	}
}

# METADATA
# title: Tokens come from an address that is not an own one
# labels:
#   id: brc20.from
reject contains {"id": "brc20.from", "message": message} if {
	input.tx.family == "utxo"
	some entry in entries
	not lib.own(entry.from)
	message := sprintf("%q, from which %q comes, is not on data.json addresses.%s.own", [entry.from, entry.ticker, input.tx.chain])
}

# What is transferred goes to a recipient; what is deployed or minted to an own address.
goes(entry) if {
	entry.method == "transfer"
	lib.recipient(token(entry), entry.to)
	entry.to != ""
	not lib.denied(token(entry), entry.to)
}

goes(entry) if {
	entry.method != "transfer"
	lib.own(entry.to)
}

# METADATA
# title: Tokens go where data.json allows
# labels:
#   id: brc20.to
allow contains {"id": "brc20.to"} if {
	input.tx.family == "utxo"
	count(entries) > 0
	every entry in entries {
		goes(entry)
	}
}

# METADATA
# title: Tokens go where data.json does not allow
# labels:
#   id: brc20.to
reject contains {"id": "brc20.to", "message": message} if {
	input.tx.family == "utxo"
	some entry in entries
	token(entry)
	not goes(entry)
	message := sprintf("%s of %q to %q is not allowed by data.json", [entry.method, entry.ticker, entry.to])
}
