package evidence

// checkRunes obstructs a transaction that carries a runestone, since no claim is compared with it.
func (k *comparison) checkRunes(_ []RuneClaim, tx ordinalsView) {
	if tx.bitcoin.Runestone = FindRunestone(tx.scripts); tx.bitcoin.Runestone != nil {
		k.obstruct(CodeRunestone, "the transaction carries a runestone, which moves more than its outputs say")
	}
}
