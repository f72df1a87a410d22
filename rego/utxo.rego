# METADATA
# title: What a payment of inputs and outputs may do
# description: |
#   The recipient gets the amount, everything else comes back to own addresses, and the miners get no more than data.json
#   utxo says. Judged is what evidence decoded, or, where data.json evidence takes the claim on trust, what is claimed.
package countersign.rules.utxo

import data.countersign.lib

# Rules begin with input.tx.family, by which OPA's index leaves them out for other requests; what is required does not, so that
# nothing is lost with it.

require contains id if {
	lib.utxo
	some id in {"utxo.known", "utxo.recipient", "utxo.output", "utxo.input", "utxo.fee", "utxo.fee_rate", "utxo.fee_share"}
}

rules := data.utxo[input.tx.chain]

known if {
	count(input.utxo.inputs) > 0
	count(input.utxo.outputs) > 0
	is_number(input.utxo.paid_base)
	sourced
}

sourced if {
	input.utxo.source == "evidence"
	input.evidence.status == "verified"
}

# Where the evidence rules let a claim through, it is all there is.
sourced if {
	input.utxo.source == "claim"
	input.evidence.status == "unverifiable"
}

# METADATA
# title: The inputs and outputs are known
# labels:
#   id: utxo.known
allow contains {"id": "utxo.known"} if {
	input.tx.family == "utxo"
	known
}

# METADATA
# title: The inputs and outputs are not known
# labels:
#   id: utxo.known
reject contains {"id": "utxo.known", "message": message} if {
	input.tx.family == "utxo"
	lib.utxo
	not known
	message := "inputs and outputs are not known: send the PSBT as rawTx, or where data.json takes claims on trust, extraData"
}

paid if {
	is_number(input.utxo.to_base)
	input.utxo.to_base == input.tx.amount_base
}

# METADATA
# title: The outputs pay the amount to the recipient
# labels:
#   id: utxo.recipient
allow contains {"id": "utxo.recipient"} if {
	input.tx.family == "utxo"
	paid
}

# METADATA
# title: The outputs do not pay the amount to the recipient
# labels:
#   id: utxo.recipient
reject contains {"id": "utxo.recipient", "message": message} if {
	input.tx.family == "utxo"
	lib.utxo
	not paid
	message := sprintf("the outputs do not pay %s to %q", [input.tx.amount, input.tx.to])
}

token_recipients := {entry.to | some entry in array.concat(input.brc20, input.runes)}

fits(output) if output.own == true

fits(output) if {
	output.address == input.tx.to
	output.address != ""
}

# Who gets a token gets the coins that carry it, where coins may go at all.
fits(output) if {
	output.address in token_recipients
	listed(output.address)
}

fits(output) if {
	rules.batch == true
	listed(output.address)
}

fits(output) if {
	output.data == true
	output.amount_base == 0
	data_output
}

data_output if count(input.runes) > 0

data_output if rules.data_outputs == true

listed(address) if {
	address != ""
	data.addresses[input.tx.chain].allow_any == true
}

listed(address) if is_string(data.addresses[input.tx.chain].allow[address])

others := [output | some output in input.utxo.outputs; not fits(output)]

# METADATA
# title: Every output is a recipient's or change
# labels:
#   id: utxo.output
allow contains {"id": "utxo.output"} if {
	input.tx.family == "utxo"
	count(input.utxo.outputs) > 0
	count(others) == 0
}

# METADATA
# title: An output is neither a recipient's nor change
# labels:
#   id: utxo.output
reject contains {"id": "utxo.output", "message": message} if {
	input.tx.family == "utxo"
	lib.utxo
	count(others) > 0
	message := sprintf(
		"%d outputs, one to %q, are neither the recipient's nor to data.json addresses.%s.own",
		[count(others), others[0].address, input.tx.chain],
	)
}

strangers := [coin | some coin in input.utxo.inputs; not coin.own == true]

# METADATA
# title: Every input is spent from an own address
# labels:
#   id: utxo.input
allow contains {"id": "utxo.input"} if {
	input.tx.family == "utxo"
	count(input.utxo.inputs) > 0
	count(strangers) == 0
}

# METADATA
# title: An input is not spent from an own address
# labels:
#   id: utxo.input
reject contains {"id": "utxo.input", "message": message} if {
	input.tx.family == "utxo"
	lib.utxo
	count(strangers) > 0
	message := sprintf(
		"%d inputs, one of %q, are not of data.json addresses.%s.own",
		[count(strangers), strangers[0].address, input.tx.chain],
	)
}

fee if {
	is_number(input.utxo.fee_base)
	input.utxo.fee_base <= rules.max_fee_base
}

# METADATA
# title: The fee is within data.json utxo max_fee
# labels:
#   id: utxo.fee
allow contains {"id": "utxo.fee"} if {
	input.tx.family == "utxo"
	fee
}

# METADATA
# title: The fee is over data.json utxo max_fee, or not known
# labels:
#   id: utxo.fee
reject contains {"id": "utxo.fee", "message": message} if {
	input.tx.family == "utxo"
	lib.utxo
	not fee
	message := sprintf("a fee of %s is not within the %s", [number(input.utxo, "fee_base", "base units"), limit("max_fee", "coins")])
}

fee_rate if {
	is_number(input.utxo.fee_rate)
	input.utxo.fee_rate <= rules.max_fee_rate_kvb
}

# METADATA
# title: The fee rate is within data.json utxo max_fee_rate
# labels:
#   id: utxo.fee_rate
allow contains {"id": "utxo.fee_rate"} if {
	input.tx.family == "utxo"
	fee_rate
}

# METADATA
# title: The fee rate is over data.json utxo max_fee_rate, or not known
# labels:
#   id: utxo.fee_rate
reject contains {"id": "utxo.fee_rate", "message": message} if {
	input.tx.family == "utxo"
	lib.utxo
	not fee_rate
	message := sprintf(
		"a fee rate of %s is not within the %s",
		[number(input.utxo, "fee_rate", "satoshi per 1000 vB"), limit("max_fee_rate", "satoshi per vB")],
	)
}

# A share of the amount can be told where coins are what is paid. Those that go along with a token only carry it.
sharing if {
	lib.utxo
	rules.max_fee_per_mille
	not carrying
}

carrying if count(input.brc20) > 0

carrying if count(input.runes) > 0

# What leaves the own addresses, or where nothing does the amount that is moved between them.
base := input.utxo.paid_base if input.utxo.paid_base > 0

base := lib.amount if input.utxo.paid_base == 0

small if {
	is_number(input.utxo.fee_base)
	is_number(input.utxo.paid_base)
	input.utxo.fee_base * 1000 <= base * rules.max_fee_per_mille
}

# METADATA
# title: data.json utxo asks for no share of the fee, or the coins only carry tokens
# labels:
#   id: utxo.fee_share
allow contains {"id": "utxo.fee_share"} if {
	input.tx.family == "utxo"
	not sharing
}

# METADATA
# title: The fee is within data.json utxo max_fee_per_mille of what is paid
# labels:
#   id: utxo.fee_share
allow contains {"id": "utxo.fee_share"} if {
	input.tx.family == "utxo"
	sharing
	small
}

# METADATA
# title: The fee is too large a share of what is paid, or not known
# labels:
#   id: utxo.fee_share
reject contains {"id": "utxo.fee_share", "message": message} if {
	input.tx.family == "utxo"
	sharing
	not small
	message := sprintf(
		"a fee of %s is not known to be within %d per mille of what is paid, as data.json utxo.%s asks",
		[number(input.utxo, "fee_base", "base units"), rules.max_fee_per_mille, input.tx.chain],
	)
}

number(document, key, unit) := sprintf("%s %s", [format_int(document[key], 10), unit]) if is_number(document[key])

else := "an amount that is not known"

limit(key, unit) := sprintf("%v %s of data.json utxo.%s", [rules[key], unit, input.tx.chain]) if rules

else := sprintf("limits of data.json utxo, which has none for %q", [input.tx.chain])
