# METADATA
# title: What several rules ask
package countersign.lib

keygen_types := {"keygen", "refresh", "reshare"}

# pre-sign-online is a signature by a presignature and judged as sign is.
signing_types := {"sign", "bip340-schnorr-sign", "taproot-sign", "pre-sign-online"}

signing if input.request.request_type in signing_types

# kind says which rules judge a request. It is undefined for one that nothing judges, which rejects it.
kind := "keygen" if input.request.request_type in keygen_types

kind := "pre_sign" if input.request.request_type == "pre-sign"

kind := "transaction" if {
	signing
	input.request.sign_type == "1"
	is_object(input.tx)
}

# Type 1 with a digest and no word about the transaction is raw signing.
kind := "raw" if {
	signing
	input.request.sign_type == "1"
	not is_object(input.tx)
	not is_object(input.tx_info)
}

kind := "raw" if {
	signing
	input.request.sign_type == "3"
}

# message says that a message is signed.
message if {
	signing
	input.request.sign_type == "2"
}

# by_message says that the message has others carry out a transaction, such as a Safe or a token's contract. The engine has written
# it into input.tx, and it is judged as both.
by_message if {
	message
	input.message.transaction == true
}

kind := "message" if {
	message
	not by_message
}

kind := "transaction" if {
	by_message
	is_object(input.tx)
}

# kinds are what windows and hours may be for.
kinds contains kind

kinds contains "message" if by_message

# call says that the transaction is a contract call that tx_info declares, on a chain of which data.json lists contracts.
call if {
	kind == "transaction"
	input.call.declared == true
	input.evidence.status == "unverifiable"
	input.evidence.differences == []
	is_object(data.contracts[input.tx.chain])
}

call if {
	by_message
	input.call.declared == true
	input.evidence.status == "verified"
	is_object(data.contracts[input.tx.chain])
}

# utxo says that the transaction is one of inputs and outputs. Both words for it count, so that neither can hide it.
utxo if {
	kind == "transaction"
	input.tx.family == "utxo"
}

utxo if {
	kind == "transaction"
	data.chains[input.tx.chain].family == "utxo"
}

# amount is the transaction's, in base units. It has to be a number: null is less than any number in Rego.
amount := input.tx.amount_base if {
	is_number(input.tx.amount_base)
	not utxo
}

# With inputs and outputs, everything counts that leaves the own addresses.
amount := max([input.tx.amount_base, input.utxo.paid_base]) if {
	utxo
	is_number(input.tx.amount_base)
	is_number(input.utxo.paid_base)
}

# own says that an address is one of ours: data.json lists it, or verified evidence found that the signing key spends it.
own(address) if is_string(data.addresses[input.tx.chain].own[address])

own(address) if {
	address != ""
	some coin in input.utxo.inputs
	coin.own == true
	coin.address == address
}

# recipient says that a token of this data.json entry may go to an address: by the token's own list, or else by the chain's.
recipient(token, _) if recipients(token).allow_any == true

recipient(token, address) if is_string(recipients(token).allow[address])

recipient(_, address) if own(address)

recipients(token) := token.recipients if is_object(token.recipients)

recipients(token) := data.addresses[input.tx.chain] if not is_object(token.recipients)

# denied says why a token may not go to an address, by either list.
denied(_, address) if is_string(data.addresses[input.tx.chain].deny[address])

denied(token, address) if is_string(recipients(token).deny[address])

# wallet and vault are what the request says.
default wallet := ""

wallet := input.tx.wallet_id

default vault := ""

vault := input.tx.vault_id

# limits are those of data.json for the transaction's chain and asset that hold for its wallet and vault.
limits := [limit |
	some limit in data.limits[input.tx.chain][input.tx.asset]
	holds_for(limit, "wallets", wallet)
	holds_for(limit, "vaults", vault)
] if {
	kind == "transaction"
}

holds_for(limit, key, _) if not limit[key]

holds_for(limit, key, id) if id in limit[key]

# Who does not say which wallet it is gets the limits of all.
holds_for(_, _, "")

requester := input.requester.key_id if {
	is_string(input.requester.key_id)
	input.requester.key_id != ""
}

# granted says whether a grant of data.json is given to whoever asks.
granted(grant) if grant.any_requester == true

granted(grant) if requester in grant.requesters
