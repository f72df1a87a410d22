package evidence

import "errors"

// checkBRC20 obstructs a spend that reveals an inscription, since no claim is compared with it.
func (k *comparison) checkBRC20(_ []BRC20Claim, tx ordinalsView) {
	in, err := ParseInscription(tx.leaf)
	if errors.Is(err, ErrNoInscription) {
		return
	}
	tx.bitcoin.Inscription = in
	k.obstruct(CodeInscription, "the spent script reveals an inscription")
}
