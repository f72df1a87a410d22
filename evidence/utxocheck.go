package evidence

// checkUTXO compares a claim about a Bitcoin transaction with its PSBT.
func checkUTXO(claim Claim) Finding {
	k := &comparison{}
	k.utxoCompleteness(claim)
	k.obstruct(CodeNoRawTx, "no rawTx came with the request: the digest cannot be tied to tx_info")
	return k.finding()
}

// utxoCompleteness notes what a claim must name before anything can be verified.
func (k *comparison) utxoCompleteness(claim Claim) {
	if claim.UTXO.Network == "" {
		k.obstruct(CodeChain, "the claimed chain's network is not known: add the chain to data.json")
	}
	if claim.Asset.Kind != AssetNative {
		k.obstruct(CodeAsset, "the claimed asset is not known as this chain's coin: add it to data.json")
	}
	if claim.To == "" || claim.Amount == nil {
		k.obstruct(CodeIncomplete, "tx_info must name both recipient (to) and amount")
	}
}
