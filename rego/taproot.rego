# METADATA
# title: Under which script trees and by which scripts a key signs
package countersign.rules.taproot

import data.countersign.lib

key := data.taproot[input.request.public_key]

rooted if {
	lib.signing
	is_object(input.tx)
	input.tx.tap_script_root != ""
}

root if key.any_script_root == true

root if is_string(key.script_roots[input.tx.tap_script_root])

require contains "taproot.script_root" if rooted

# METADATA
# title: data.json taproot allows the script tree for the key
# labels:
#   id: taproot.script_root
allow contains {"id": "taproot.script_root"} if {
	rooted
	root
}

# METADATA
# title: data.json taproot does not allow the script tree for the key
# labels:
#   id: taproot.script_root
reject contains {"id": "taproot.script_root", "message": message} if {
	rooted
	not root
	message := sprintf("data.json taproot does not allow tapScriptRoot %q for key %q", [input.tx.tap_script_root, input.request.public_key])
}

# scripted says that the signature may satisfy a script. Without evidence that it is for a key, one that is not tweaked by a
# tree is.
scripted if {
	lib.utxo
	input.utxo.spend == "script"
}

scripted if {
	lib.utxo
	input.request.request_type == "bip340-schnorr-sign"
	not key_spend
}

key_spend if {
	input.utxo.spend == "key"
	input.utxo.source == "evidence"
}

# A script is signed for if it asks for nothing but this signature, for the inscription that evidence found it to reveal, or
# where data.json says so for the key. A runestone says nothing of the scripts beside it: it may move runes that the inputs do
# not even hold.
script if key.script_paths == true

# <32-byte key> OP_CHECKSIG. Evidence is verified only if the key is the one that signs.
script if {
	input.evidence.status == "verified"
	input.utxo.source == "evidence"
	regex.match(`^20[0-9a-f]{64}ac$`, input.evidence.decoded.bitcoin.leaf_script)
}

script if {
	input.evidence.status == "verified"
	input.utxo.source == "evidence"
	count(input.brc20) > 0
	is_object(input.evidence.decoded.bitcoin.inscription)
}

require contains "taproot.script_path" if scripted

# METADATA
# title: The key may sign for the script
# labels:
#   id: taproot.script_path
allow contains {"id": "taproot.script_path"} if {
	scripted
	script
}

# METADATA
# title: The key may not sign for a script
# labels:
#   id: taproot.script_path
reject contains {"id": "taproot.script_path", "message": message} if {
	scripted
	not script
	message := sprintf(
		"a script is satisfied that verified evidence finds neither to ask for this signature alone nor to reveal a BRC-20 inscription, and data.json taproot does not allow key %q script_paths",
		[input.request.public_key],
	)
}
