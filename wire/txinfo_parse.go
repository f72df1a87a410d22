package wire

import "github.com/go-json-experiment/json/jsontext"

// txInfo reads a tx_info into t. What is of the wrong kind there is a Problem and leaves its field empty; a key in the
// wrong case is an error.
func (p *parser) txInfo(t *TxInfo) reader {
	extra := &ExtraData{}
	requester := &Requester{}
	read := p.object(
		member{"vaultId", p.text(&t.VaultID)},
		member{"walletId", p.text(&t.WalletID)},
		member{"requestId", p.text(&t.RequestID)},
		member{"chainSymbol", p.text(&t.ChainSymbol)},
		member{"assetId", p.text(&t.AssetID)},
		member{"from", p.text(&t.From)},
		member{"to", p.text(&t.To)},
		member{"toTag", p.text(&t.ToTag)},
		member{"amount", p.text(&t.Amount)},
		member{"fee", p.text(&t.Fee)},
		member{"fee_rate", p.text(&t.FeeRate)},
		member{"gasPrice", p.text(&t.GasPrice)},
		member{"gasLimit", p.text(&t.GasLimit)},
		member{"inputdata", p.text(&t.InputData)},
		member{"remark", p.text(&t.Remark)},
		member{"note", p.text(&t.Note)},
		member{"curInputId", p.text(&t.CurInputID)},
		member{"tapScriptRoot", p.text(&t.TapScriptRoot)},
		member{"publickKey", p.text(&t.PublicKey)},
		member{"extraData", keepObject(&t.ExtraData, extra, p.extraData(extra))},
		member{"brc20Details", p.list(p.brc20Detail(&t.BRC20Details))},
		member{"runeDetails", p.list(p.runeDetail(&t.RuneDetails))},
		member{"rawTx", p.text(&t.RawTx)},
		member{"requester", keepObject(&t.Requester, requester, p.object(
			member{"key_id", p.text(&requester.KeyID)},
			member{"signature", p.text(&requester.Signature)},
		))},
	)
	return func(value jsontext.Value) error {
		outer := p.lenient
		p.lenient = true
		defer func() { p.lenient = outer }()
		if value.Kind() != '{' {
			return p.wrong("must be a JSON object")
		}
		return read(value)
	}
}

// keepObject sets *to where the value is an object.
func keepObject[T any](to **T, object *T, read reader) reader {
	return func(value jsontext.Value) error {
		if value.Kind() == '{' {
			*to = object
		}
		return read(value)
	}
}

func (p *parser) extraData(e *ExtraData) reader {
	return p.object(
		member{"toTag", p.text(&e.ToTag)},
		member{"vinList", p.list(p.vin(&e.VinList))},
		member{"voutList", p.list(p.vout(&e.VoutList))},
	)
}

func (p *parser) vin(to *[]Vin) reader {
	return func(value jsontext.Value) error {
		var in Vin
		err := p.element(value,
			member{"address", p.text(&in.Address)},
			member{"amount", p.number(&in.Amount)},
			member{"blockHash", p.text(&in.BlockHash)},
			member{"blockHeight", p.number(&in.BlockHeight)},
			member{"blockState", p.number(&in.BlockState)},
			member{"blockTimeStamp", p.number(&in.BlockTimeStamp)},
			member{"currency", p.text(&in.Currency)},
			member{"id", p.number(&in.ID)},
			member{"state", p.number(&in.State)},
			member{"tag", p.text(&in.Tag)},
			member{"transactionHash", p.text(&in.TransactionHash)},
			member{"voutIndex", p.number(&in.VoutIndex)},
		)
		*to = append(*to, in)
		return err
	}
}

func (p *parser) vout(to *[]Vout) reader {
	return func(value jsontext.Value) error {
		var out Vout
		err := p.element(value,
			member{"address", p.text(&out.Address)},
			member{"amount", p.number(&out.Amount)},
		)
		*to = append(*to, out)
		return err
	}
}

func (p *parser) brc20Detail(to *[]BRC20Detail) reader {
	return func(value jsontext.Value) error {
		var d BRC20Detail
		err := p.element(value,
			member{"method", p.text(&d.Method)},
			member{"ticker", p.text(&d.Ticker)},
			member{"quantity", p.text(&d.Quantity)},
			member{"inscriptionId", p.text(&d.InscriptionID)},
			member{"step", p.number(&d.Step)},
			member{"from", p.text(&d.From)},
			member{"to", p.text(&d.To)},
		)
		*to = append(*to, d)
		return err
	}
}

func (p *parser) runeDetail(to *[]RuneDetail) reader {
	return func(value jsontext.Value) error {
		var d RuneDetail
		err := p.element(value,
			member{"fromAddress", p.text(&d.FromAddress)},
			member{"toAddress", p.text(&d.ToAddress)},
			member{"runeName", p.text(&d.RuneName)},
			member{"runeId", p.text(&d.RuneID)},
			member{"runeSpacedName", p.text(&d.RuneSpacedName)},
			member{"runeAmount", p.text(&d.RuneAmount)},
			member{"runeSymbol", p.text(&d.RuneSymbol)},
			member{"runeDivisibility", p.number(&d.RuneDivisibility)},
		)
		*to = append(*to, d)
		return err
	}
}

// element reads an object in a list, where null stands for nothing that could be meant.
func (p *parser) element(value jsontext.Value, members ...member) error {
	if value.Kind() == 'n' {
		return p.wrong("must be a JSON object")
	}
	return p.object(members...)(value)
}
