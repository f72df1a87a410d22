# METADATA
# title: Which runes may move, how many and where
# description: Every entry of runeDetails is judged. A rune that data.json runes does not name may not be touched.
package countersign.rules.runes

import data.countersign.lib

# Rules begin with input.tx.family, by which OPA's index leaves them out for other requests; what is required does not, so that
# nothing is lost with it.

entries := input.runes if lib.kind == "transaction"

require contains id if {
	count(entries) > 0
	some id in {"runes.invalid", "runes.unknown", "runes.identity", "runes.limit.max", "runes.from", "runes.to"}
}

declared(entry) := data.runes[input.tx.chain][entry.id]

# A function of its own, since a built-in that is given an undefined value makes even its negation undefined.
known(entry) if is_number(entry.total_base)

malformed contains message if {
	entries
	some problem in input.tx.problems
	problem.rule == "runes.invalid"
	message := sprintf("%s: %s", [problem.field, problem.message])
}

malformed contains message if {
	some entry in entries
	declared(entry)
	not known(entry)
	message := sprintf("the amount of rune %q is not known", [entry.id])
}

# METADATA
# title: Rune ids and amounts are well formed
# labels:
#   id: runes.invalid
allow contains {"id": "runes.invalid"} if {
	input.tx.family == "utxo"
	count(entries) > 0
	count(malformed) == 0
}

# METADATA
# title: A rune id or an amount is not well formed
# labels:
#   id: runes.invalid
reject contains {"id": "runes.invalid", "message": message} if {
	input.tx.family == "utxo"
	some message in malformed
}

# METADATA
# title: data.json runes names every rune
# labels:
#   id: runes.unknown
allow contains {"id": "runes.unknown"} if {
	input.tx.family == "utxo"
	count(entries) > 0
	every entry in entries {
		declared(entry)
	}
}

# METADATA
# title: data.json runes does not name a rune
# labels:
#   id: runes.unknown
reject contains {"id": "runes.unknown", "message": message} if {
	input.tx.family == "utxo"
	some entry in entries
	not declared(entry)
	message := sprintf("data.json runes.%s does not name %q", [input.tx.chain, entry.id])
}

identities := ["name", "spaced_name", "symbol", "divisibility"]

# differing are the fields in which an entry is not the rune that data.json declares under its id.
differing(entry) := [field |
	some field in identities
	not entry[field] == declared(entry)[field]
]

# METADATA
# title: Name, spaced name, symbol and divisibility are those of the rune
# labels:
#   id: runes.identity
allow contains {"id": "runes.identity"} if {
	input.tx.family == "utxo"
	count(entries) > 0
	every entry in entries {
		declared(entry)
		count(differing(entry)) == 0
		replace(entry.spaced_name, "•", "") == entry.name
	}
}

# METADATA
# title: Name, spaced name, symbol or divisibility is not that of the rune
# labels:
#   id: runes.identity
reject contains {"id": "runes.identity", "message": message} if {
	input.tx.family == "utxo"
	some entry in entries
	declared(entry)
	fields := differing(entry)
	count(fields) > 0
	message := sprintf("%s of rune %q: not what data.json declares", [concat(", ", fields), entry.id])
}

# METADATA
# title: Name and spaced name are not one and the same
# labels:
#   id: runes.identity
reject contains {"id": "runes.identity", "message": message} if {
	input.tx.family == "utxo"
	some entry in entries
	not replace(entry.spaced_name, "•", "") == entry.name
	message := sprintf("%q without bullets is not %q", [entry.spaced_name, entry.name])
}

# METADATA
# title: Every amount is within its limit
# labels:
#   id: runes.limit.max
allow contains {"id": "runes.limit.max"} if {
	input.tx.family == "utxo"
	count(entries) > 0
	every entry in entries {
		known(entry)
		entry.total_base <= declared(entry).max_base
	}
}

# METADATA
# title: An amount is over its limit
# labels:
#   id: runes.limit.max
reject contains {"id": "runes.limit.max", "message": message} if {
	input.tx.family == "utxo"
	some entry in entries
	entry.total_base > declared(entry).max_base
	message := sprintf(
		"%v base units are more than the limit of %s %s",
		[entry.total_base, declared(entry).max, declared(entry).spaced_name],
	)
}

# METADATA
# title: Runes come from own addresses
# labels:
#   id: runes.from
allow contains {"id": "runes.from"} if {
	input.tx.family == "utxo"
	count(entries) > 0
	every entry in entries {
		lib.own(entry.from)
	}
}

# METADATA
# title: Runes come from an address that is not an own one
# labels:
#   id: runes.from
reject contains {"id": "runes.from", "message": message} if {
	input.tx.family == "utxo"
	some entry in entries
	not lib.own(entry.from)
	message := sprintf("%q, from which rune %q comes, is not on data.json addresses.%s.own", [entry.from, entry.id, input.tx.chain])
}

goes(entry) if {
	lib.recipient(declared(entry), entry.to)
	entry.to != ""
	not lib.denied(declared(entry), entry.to)
}

# METADATA
# title: Runes go where data.json allows
# labels:
#   id: runes.to
allow contains {"id": "runes.to"} if {
	input.tx.family == "utxo"
	count(entries) > 0
	every entry in entries {
		goes(entry)
	}
}

# METADATA
# title: Runes go where data.json does not allow
# labels:
#   id: runes.to
reject contains {"id": "runes.to", "message": message} if {
	input.tx.family == "utxo"
	some entry in entries
	declared(entry)
	not goes(entry)
	message := sprintf("rune %q to %q is not allowed by data.json", [entry.id, entry.to])
}
