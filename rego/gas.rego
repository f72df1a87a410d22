# METADATA
# title: What an EVM transaction may cost
package countersign.rules.gas

import data.countersign.lib

caps := data.gas[input.tx.chain]

# pays says that the transaction pays for its gas. One by message is paid for by who carries it out.
pays if {
	lib.kind == "transaction"
	not lib.by_message
}

# A number that is not known is within nothing.
within(field, cap) if {
	is_number(input.tx.gas[field])
	input.tx.gas[field] <= cap.base
}

# METADATA
# title: The chain is none whose transactions pay for gas
# labels:
#   id: gas.max
allow contains {"id": "gas.max", "message": "the chain is none whose transactions pay for gas"} if lib.utxo

# METADATA
# title: Whoever carries out what the message says pays for gas
# labels:
#   id: gas.max
allow contains {"id": "gas.max", "message": "whoever carries out what the message says pays for gas"} if lib.by_message

# METADATA
# title: Gas price, gas limit and fee are within data.json gas
# labels:
#   id: gas.max
allow contains {"id": "gas.max"} if {
	pays
	every field, cap in caps.max {
		within(field, cap)
	}
}

# METADATA
# title: data.json has no caps for the chain, so a transaction might give everything away as its fee
# labels:
#   id: gas.max
reject contains {"id": "gas.max", "message": message} if {
	pays
	not lib.utxo
	not caps
	message := sprintf("data.json gas has no entry for %q: what is paid as fee has to have a bound", [input.tx.chain])
}

# METADATA
# title: Gas price, gas limit or fee is over data.json gas, or not known
# labels:
#   id: gas.max
reject contains {"id": "gas.max", "message": message} if {
	pays
	some field, cap in caps.max
	not within(field, cap)
	message := sprintf("%s is %s, and data.json gas.%s allows %s", [name[field], known(field), input.tx.chain, cap.written])
}

name := {"price_base": "the gas price", "limit": "the gas limit", "fee_base": "the fee"}

known(field) := format_int(input.tx.gas[field], 10) if is_number(input.tx.gas[field])

else := "not known"

# A share of the amount can be told where fee and amount are of one asset. A call may take no coins along.
sharing if {
	is_number(caps.max_fee_per_mille)
	not lib.call
	input.tx.asset == data.chains[input.tx.chain].native
}

small if {
	is_number(lib.amount)
	is_number(input.tx.gas.fee_base)
	input.tx.gas.fee_base * 1000 <= lib.amount * caps.max_fee_per_mille
}

# METADATA
# title: Whoever carries out what the message says pays for gas
# labels:
#   id: gas.fee_share
allow contains {"id": "gas.fee_share", "message": "whoever carries out what the message says pays for gas"} if lib.by_message

# METADATA
# title: The fee is a small share of the amount, or data.json gas asks for none
# labels:
#   id: gas.fee_share
allow contains {"id": "gas.fee_share"} if {
	pays
	not sharing
}

# METADATA
# title: The fee is a small share of the amount, or data.json gas asks for none
# labels:
#   id: gas.fee_share
allow contains {"id": "gas.fee_share"} if {
	pays
	sharing
	small
}

# METADATA
# title: The fee is too large a share of the amount, or not known
# labels:
#   id: gas.fee_share
reject contains {"id": "gas.fee_share", "message": message} if {
	pays
	sharing
	not small
	message := sprintf(
		"a fee of %s base units is not known to be within %d per mille of the amount, as data.json gas.%s asks",
		[known("fee_base"), caps.max_fee_per_mille, input.tx.chain],
	)
}
